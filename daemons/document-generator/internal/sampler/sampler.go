// Package sampler prints samples of templates that somebody has offered, so that
// whoever approves one has seen what papers will look like.
//
// The row is the truth: a template that waits for its sample says so, and is found again
// whatever happened to the process that was at it. A sample is attached by
// compare-and-set, so that of two that are printed at once one is thrown away.
package sampler

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/document-generator/internal/desk"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Config says how samples are printed.
type Config struct {
	// Poll is how often the sampler looks for templates that were offered.
	Poll time.Duration `yaml:"poll"`
	// Retry is the wait after LibreOffice was away; it doubles up to RetryMost.
	Retry     time.Duration `yaml:"retry"`
	RetryMost time.Duration `yaml:"retry_most"`
}

// Defaults suit one office: whoever sends a template in waits for its sample.
func Defaults() Config {
	return Config{Poll: 3 * time.Second, Retry: 5 * time.Second, RetryMost: time.Minute}
}

// Validate checks the section.
func (c Config) Validate() error {
	if c.Poll < 100*time.Millisecond || c.Retry < 10*time.Millisecond || c.RetryMost < c.Retry {
		return errors.New("poll must be at least 100ms, retry at least 10ms and retry_most no less than retry")
	}
	return nil
}

// Converter prints Word files as PDF; docx.Converter does.
type Converter interface {
	Convert(ctx context.Context, sources []docx.Source) ([][]byte, error)
}

// Writer fills a template of a kind of paper with what is hard for a layout.
type Writer interface {
	Samples(kind string, template []byte) ([][]byte, error)
}

// Sampler prints samples.
type Sampler struct {
	cfg       Config
	db        *postgres.DB
	writer    Writer
	converter Converter
	disk      *daemon.Disk
	office    clock.Office
	clock     clock.Machine
	log       zerolog.Logger
	status    *daemon.Status
	failures  int // times in a row that LibreOffice was away
	waiting   prometheus.Gauge
}

// New makes a sampler with a converter of its own, so that papers do not wait for
// samples.
func New(cfg Config, db *postgres.DB, writer Writer, converter Converter, disk *daemon.Disk, env *daemon.Env) *Sampler {
	s := &Sampler{cfg: cfg, db: db, writer: writer, converter: converter, disk: disk, office: env.Office, clock: env.Machine, log: env.Log, status: env.Status}
	s.waiting = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sifilma_template_samples_waiting", Help: "Templates of papers whose sample is to be printed, when they were last looked for.",
	})
	env.Registry.MustRegister(s.waiting)
	return s
}

// Run prints what waits until ctx ends.
func (s *Sampler) Run(ctx context.Context) error {
	failing := false
	for ctx.Err() == nil {
		err := s.Once(ctx)
		if err != nil && ctx.Err() == nil {
			s.status.Error(err)
			if !failing {
				s.log.Warn().Err(err).Msg("samples of templates wait; they are tried again")
			}
		}
		failing = err != nil
		if clock.Sleep(ctx, s.clock, s.pause()) != nil {
			break
		}
	}
	return nil
}

func (s *Sampler) pause() time.Duration {
	if s.failures == 0 {
		return s.cfg.Poll
	}
	return min(s.cfg.Retry<<min(s.failures-1, 20), s.cfg.RetryMost)
}

// Once prints the samples that wait. Its error is of the database, of the disk, or of a
// LibreOffice that is away, after which the rest waits.
func (s *Sampler) Once(ctx context.Context) error {
	waiting, err := template.Unsampled(ctx, s.db)
	if err != nil {
		return err
	}
	s.waiting.Set(float64(len(waiting)))
	if len(waiting) == 0 {
		s.failures = 0
		return nil
	}
	if err := s.disk.Refuse(); err != nil {
		return err
	}
	var failed error
	for _, e := range waiting {
		err := s.one(ctx, e)
		if postgres.Foreign(err) || errors.Is(err, docx.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		failed = errors.Join(failed, err) // of this one alone
	}
	return failed
}

// awayWords are what the people who wait for a sample read meanwhile.
const awayWords = "LibreOffice, yang mencetak contoh, sedang tidak dapat dipakai. Contoh dicoba lagi dengan sendirinya."

// mostBegun is how often a template may have been begun without an end: whoever prints
// it dies of it then.
const mostBegun = 5

// one prints the sample of one edition. That it is begun is written down before, so that
// a template that ends this process ends its own way too.
func (s *Sampler) one(ctx context.Context, e template.Edition) error {
	body, err := template.Content(ctx, s.db, e)
	if err != nil {
		return err
	}
	var begun int
	if err := s.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		begun, err = template.SampleBegins(ctx, tx, e)
		return err
	}); errors.Is(err, postgres.ErrStale) {
		return nil // refused meanwhile, or another sampler was first
	} else if err != nil {
		return err
	}
	if begun > mostBegun {
		return s.end(ctx, e, func(ctx context.Context, tx *postgres.Tx, ch request.Change) (template.Edition, error) {
			ch.Reason = fmt.Sprintf("Contohnya %d kali tidak selesai dicetak. Perkecil gambar dan tabelnya, lalu unggah kembali; atau usulkan lagi bila menurut Anda berkasnya baik.", mostBegun)
			return template.NotPrintable(ctx, tx, e, ch)
		})
	}
	pdf, pages, err := s.print(ctx, e, body)
	switch {
	case ctx.Err() != nil: // stopped, and no fault of the template
		left := context.WithoutCancel(ctx)
		return errors.Join(ctx.Err(), s.db.InTx(left, func(ctx context.Context, tx *postgres.Tx) error { return template.SampleLeft(ctx, tx, e) }))
	case errors.Is(err, docx.ErrUnavailable):
		s.failures++
		if noted := s.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return template.SampleWaits(ctx, tx, e, awayWords) }); noted != nil {
			return noted
		}
		return fmt.Errorf("sampler: %s: %w", e.Label(), err)
	case err != nil:
		s.log.Warn().Err(err).Str("template", e.ID).Str("kind", e.Kind).Msg("template cannot be printed")
		return s.end(ctx, e, func(ctx context.Context, tx *postgres.Tx, ch request.Change) (template.Edition, error) {
			ch.Reason = notPrintable(err)
			return template.NotPrintable(ctx, tx, e, ch)
		})
	}
	s.failures = 0
	return s.end(ctx, e, func(ctx context.Context, tx *postgres.Tx, ch request.Change) (template.Edition, error) {
		return template.Sampled(ctx, tx, e, pdf, pages, ch)
	})
}

// notPrintable says why in the words of whoever sent the template in.
func notPrintable(err error) string {
	var bad *docx.SourceError
	if errors.As(err, &bad) {
		return "LibreOffice tidak dapat mencetak berkas ini (" + bad.Reason + "). Buka dengan Word, simpan ulang sebagai .docx, lalu unggah kembali; atau usulkan lagi bila menurut Anda berkasnya baik."
	}
	return "Berkas ini tidak dapat diisi (" + err.Error() + "). Perbaiki, lalu unggah kembali."
}

// print makes the sample and counts its pages.
func (s *Sampler) print(ctx context.Context, e template.Edition, body []byte) (pdf []byte, pages int, err error) {
	s.status.Doing("printing a sample of %s/%d", e.Kind, e.Edition)
	defer s.status.Doing("")
	made, err := s.writer.Samples(e.Kind, body)
	if err != nil {
		return nil, 0, err
	}
	sources := make([]docx.Source, len(made))
	for i, b := range made {
		sources[i] = docx.Source{Name: fmt.Sprintf("%s/%d", e.ID, i+1), Bytes: b}
	}
	pdfs, err := s.converter.Convert(ctx, sources)
	if err != nil {
		return nil, 0, err
	}
	if pdf, err = docx.Join(pdfs); err != nil {
		return nil, 0, err
	}
	pages, err = docx.PageCount(pdf)
	return pdf, pages, err
}

// end takes the step that an edition's sample leads to.
func (s *Sampler) end(ctx context.Context, e template.Edition, step func(ctx context.Context, tx *postgres.Tx, ch request.Change) (template.Edition, error)) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		now, err := step(ctx, tx, request.Change{Actor: desk.Self, OfficeAt: s.office.Now()})
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: desk.Self.Name, Action: "template.sample", Subject: e.ID, Detail: map[string]any{
			"kind": e.Kind, "edition": e.Edition, "state": now.State, "sha256": hex.EncodeToString(e.SHA256),
		}})
	})
	if errors.Is(err, postgres.ErrStale) { // refused meanwhile, or another sampler was first
		return nil
	}
	return err
}

// Queue is what waits, oldest first, for the status page.
func (s *Sampler) Queue(ctx context.Context) (any, error) {
	list, err := template.Unsampled(ctx, s.db)
	if err != nil {
		return nil, err
	}
	waiting := make([]map[string]any, len(list))
	for i, e := range list {
		waiting[i] = map[string]any{"id": e.ID, "kind": e.Kind, "edition": e.Edition, "tries": e.SampleTries, "error": e.SampleProblem}
	}
	return map[string]any{"count": len(list), "templates": waiting}, nil
}
