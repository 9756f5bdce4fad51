// Package press makes the files of drafted papers: it fills the templates, has
// LibreOffice print them, and attaches the result.
//
// No transaction is open while LibreOffice works. A paper that is ready is
// attached by compare-and-set, so that two presses do no harm: the second one's
// files are thrown away. Whatever happens to the process, a paper that is
// drafted keeps its row and its number, and a press finds it again.
package press

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/document-generator/internal/content"
	"dukcapil.go.id/sifilma/daemons/document-generator/internal/desk"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
)

const (
	// waitingMost bounds one look at the papers that wait.
	waitingMost = 200
	// batchMost papers go to one run of LibreOffice.
	batchMost = 8
)

// Converter prints Word files as PDF; docx.Converter does.
type Converter interface {
	Convert(ctx context.Context, sources []docx.Source) ([][]byte, error)
}

// Press makes files.
type Press struct {
	cfg        Config
	db         *postgres.DB
	writer     *content.Writer
	converters []Converter
	disk       *daemon.Disk
	office     clock.Office
	clock      clock.Machine
	log        zerolog.Logger
	status     *daemon.Status
	made       *prometheus.CounterVec
	agrees     func(ctx context.Context) error // see Heed; nil for always

	mu   sync.Mutex
	held map[string]*hold // papers that failed, by id
	away error            // LibreOffice did not work when it was last needed
}

// hold is a paper that waits for its next try.
type hold struct {
	until    time.Time
	failures int
	why      string
}

// New makes a press that works with as many converters at the same time. While
// disk, which they work on, is low, papers wait.
func New(cfg Config, db *postgres.DB, writer *content.Writer, converters []Converter, disk *daemon.Disk, env *daemon.Env) *Press {
	p := &Press{
		cfg: cfg, db: db, writer: writer, converters: converters, disk: disk, office: env.Office, clock: env.Machine, log: env.Log, status: env.Status,
		made: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sifilma_papers_made_total", Help: "Papers whose files were made and attached.",
		}, []string{"kind"}),
		held: map[string]*hold{},
	}
	env.Registry.MustRegister(p.made)
	return p
}

// Heed has printed papers wait while agrees says that the address on them is not the
// portal's.
func (p *Press) Heed(agrees func(ctx context.Context) error) { p.agrees = agrees }

// Run makes what waits until ctx ends: at the start, when the desk rings, when
// a hold is over, and now and then. A failure is logged when it begins.
func (p *Press) Run(ctx context.Context) error {
	bell := p.db.Bell(desk.BellName)
	failing := false
	for ctx.Err() == nil {
		err := p.Once(ctx)
		if err != nil && ctx.Err() == nil {
			p.status.Error(err)
			if !failing {
				p.log.Warn().Err(err).Msg("papers wait; they are tried again")
			}
		}
		failing = err != nil
		timer := p.clock.NewTimer(p.pause())
		select {
		case <-ctx.Done():
		case <-bell.C():
		case <-timer.C():
		}
		timer.Stop()
	}
	return nil
}

// pause is the time to the next look.
func (p *Press) pause() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	pause := p.cfg.Poll
	for _, h := range p.held {
		pause = min(pause, max(h.until.Sub(p.clock.Now()), p.cfg.Retry/2))
	}
	return pause
}

// Once makes all papers that wait and are due. Its error is of the database, of the disk,
// or of the portal's address: a paper's own failure only holds that paper.
func (p *Press) Once(ctx context.Context) error {
	due, err := letter.Waiting(ctx, p.db, p.holding(), waitingMost)
	if err != nil {
		return err
	}
	p.free(due)
	if len(due) == 0 {
		return nil
	}
	if err := p.disk.Refuse(); err != nil {
		return err
	}
	var unlike error
	if p.agrees != nil {
		if unlike = p.agrees(ctx); unlike != nil { // lists carry no address
			due = slices.DeleteFunc(due, func(d letter.Document) bool { return printed(d) > 0 })
		}
	}
	// Lists need no LibreOffice: they go first, and runs of it are full.
	slices.SortStableFunc(due, func(a, b letter.Document) int { return cmp.Compare(printed(a), printed(b)) })
	p.status.Doing("making %d papers", len(due))
	defer p.status.Doing("")
	batches := make(chan []letter.Document)
	failed := make([]error, len(p.converters))
	var workers sync.WaitGroup
	for i, c := range p.converters {
		workers.Go(func() {
			for batch := range batches {
				if err := p.batch(ctx, c, batch); err != nil {
					failed[i] = err
				}
			}
		})
	}
	for len(due) > 0 {
		n := min(len(due), batchMost)
		batches <- due[:n]
		due = due[n:]
	}
	close(batches)
	workers.Wait()
	return errors.Join(append(failed, unlike)...)
}

// printed is 1 for a paper that LibreOffice prints, 0 for another.
func printed(d letter.Document) int {
	if d.Kind == letter.ResultList {
		return 0
	}
	return 1
}

// holding are the papers on hold. They must not stand before others for ever.
func (p *Press) holding() (ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	for id, h := range p.held {
		if h.until.After(now) {
			ids = append(ids, id)
		}
	}
	return ids
}

// free forgets the holds that are over, of papers that do not wait any more.
func (p *Press) free(waiting []letter.Document) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	maps.DeleteFunc(p.held, func(id string, h *hold) bool {
		return len(waiting) < waitingMost && !h.until.After(now) && !slices.ContainsFunc(waiting, func(d letter.Document) bool { return d.ID == id })
	})
}

// job is a paper on its way through LibreOffice.
type job struct {
	doc   letter.Document
	paper content.Paper
}

// batch makes a few papers with one run of LibreOffice. It returns an error of
// the database, after which the rest waits.
func (p *Press) batch(ctx context.Context, c Converter, docs []letter.Document) error {
	var jobs []job
	for _, d := range docs {
		paper, err := p.writer.Write(ctx, p.db, d)
		switch {
		case postgres.Foreign(err):
			return err
		case err != nil:
			p.fail(d, err)
			continue
		case paper.Print != nil:
			jobs = append(jobs, job{d, paper})
			continue
		}
		if err := p.attach(ctx, job{d, paper}, nil); err != nil {
			return err
		}
	}
	for len(jobs) > 0 {
		pdfs, err := p.convert(ctx, c, jobs)
		var bad *docx.SourceError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &bad):
			jobs = p.without(jobs, bad)
			continue
		case err != nil:
			for _, j := range jobs {
				p.fail(j.doc, err)
			}
			return nil
		}
		for i, j := range jobs {
			if err := p.attach(ctx, j, pdfs[i]); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

func (p *Press) convert(ctx context.Context, c Converter, jobs []job) ([][]byte, error) {
	sources := make([]docx.Source, len(jobs))
	for i, j := range jobs {
		sources[i] = docx.Source{Name: j.doc.ID, Bytes: j.paper.Print}
	}
	pdfs, err := c.Convert(ctx, sources)
	var bad *docx.SourceError
	if ctx.Err() == nil {
		p.mu.Lock()
		p.away = nil
		if err != nil && !errors.As(err, &bad) {
			p.away = err
		}
		p.mu.Unlock()
	}
	if err == nil && len(pdfs) != len(jobs) {
		return nil, fmt.Errorf("press: %d papers for %d", len(pdfs), len(jobs))
	}
	return pdfs, err
}

// without holds the paper that LibreOffice cannot print, so that its
// neighbours go on.
func (p *Press) without(jobs []job, bad *docx.SourceError) []job {
	var rest []job
	for _, j := range jobs {
		if j.doc.ID == bad.Name {
			p.fail(j.doc, bad)
			continue
		}
		rest = append(rest, j)
	}
	if len(rest) == len(jobs) { // it names none of ours: nothing would ever change
		for _, j := range jobs {
			p.fail(j.doc, bad)
		}
		return nil
	}
	return rest
}

// attach stores the files and moves the paper on, in one transaction; with a
// BAST it moves the handover on too.
func (p *Press) attach(ctx context.Context, j job, pdf []byte) error {
	err := p.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		change := request.Change{Actor: desk.Self, OfficeAt: p.office.Now()}
		files := letter.Files{TemplateSHA256: j.paper.TemplateSHA256, Signatures: j.paper.Signatures}
		detail := map[string]any{"kind": j.doc.Kind}
		if j.doc.Number != nil {
			detail["number"] = *j.doc.Number
		}
		for _, f := range []struct {
			ending, media string
			body          []byte
			id            *string
		}{
			{"docx", content.MediaDOCX, j.paper.DOCX, &files.DOCX}, {"pdf", content.MediaPDF, pdf, &files.PDF},
			{"xlsx", content.MediaXLSX, j.paper.XLSX, &files.XLSX},
		} {
			if f.body == nil {
				continue
			}
			ref, err := blob.Put(ctx, tx, j.paper.Name+"."+f.ending, f.media, bytes.NewReader(f.body))
			if err != nil {
				return err
			}
			*f.id, detail[f.ending+"_sha256"] = ref.ID.String(), ref.Hash()
		}
		if j.paper.TemplateSHA256 != nil {
			detail["template_sha256"] = hex.EncodeToString(j.paper.TemplateSHA256)
		}
		if j.doc.Kind == letter.BAST { // the handover's row before the paper's, as whoever takes it back
			if _, err := handover.OwesBAST(ctx, tx, j.doc.SubjectID); err != nil {
				return err
			}
		}
		if _, err := letter.Attach(ctx, tx, j.doc, files, change); err != nil {
			return err
		}
		if j.doc.Kind == letter.BAST {
			h, err := handover.Get(ctx, tx, j.doc.SubjectID)
			if err != nil {
				return err
			}
			if h.State == handover.Prepared { // else this BAST takes the place of a void one
				if _, err := handover.DraftBAST(ctx, tx, h, change); err != nil {
					return err
				}
			}
		}
		return audit.Record(ctx, tx, audit.Entry{
			Actor: desk.Self.Name, Action: "document.made", Subject: j.doc.ID, Request: j.doc.RequestID, Detail: detail,
		})
	})
	switch {
	case err == nil:
		p.made.WithLabelValues(j.doc.Kind).Inc()
		p.log.Info().Ctx(trace.ContextWith(ctx, j.doc.TraceParent)).Str("paper", j.doc.ID).Str("kind", j.doc.Kind).Str("request", j.doc.RequestID).Msg("paper made")
		p.forget(j.doc.ID)
		return nil
	case errors.Is(err, postgres.ErrStale):
		return nil // another press was first, or it is void by now; the next look tells
	case postgres.Foreign(err):
		return err
	}
	p.fail(j.doc, err)
	return nil
}

func (p *Press) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, id)
}

// fail holds a paper for a while.
func (p *Press) fail(d letter.Document, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[d.ID]
	if h == nil {
		h = &hold{}
		p.held[d.ID] = h
	}
	if h.why != err.Error() {
		p.log.Warn().Ctx(trace.ContextWith(context.Background(), d.TraceParent)).Err(err).Str("paper", d.ID).Str("kind", d.Kind).
			Str("request", d.RequestID).Msg("paper waits; it is tried again")
		p.status.Error(fmt.Errorf("%s %s: %w", d.Kind, d.ID, err))
	}
	h.why = err.Error()
	h.until = p.clock.Now()
	if errors.Is(err, content.ErrUnsigned) { // whoever signs rings when it has
		if h.failures == 0 {
			p.db.Bell(desk.SealBellName).Ring()
		}
	} else {
		h.until = h.until.Add(min(p.cfg.Retry<<min(h.failures, 20), p.cfg.RetryMost))
	}
	h.failures++
}

// Check is the readyz check of LibreOffice: the program is there, and worked
// when it was last needed.
func (p *Press) Check(soffice string) func(context.Context) error {
	return func(context.Context) error {
		if _, err := exec.LookPath(soffice); err != nil {
			return fmt.Errorf("press: %w", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.away
	}
}

// Waiting is a paper that waits for its files, for the status page.
type Waiting struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Number   string `json:"number,omitempty"`
	Request  string `json:"request"`
	Seconds  int64  `json:"age_seconds"`
	Failures int    `json:"failures,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Queue is what waits, oldest first, for the status page.
func (p *Press) Queue(ctx context.Context) (any, error) {
	list, err := letter.Waiting(ctx, p.db, nil, waitingMost)
	if err != nil {
		return nil, err
	}
	waiting := make([]Waiting, 0, len(list))
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range list {
		w := Waiting{ID: d.ID, Kind: d.Kind, Request: d.RequestID}
		if id, err := uuid.Parse(d.ID); err == nil { // its time is the machine's, as ours is
			seconds, _ := id.Time().UnixTime()
			w.Seconds = p.clock.Now().Unix() - seconds
		}
		if d.Number != nil {
			w.Number = *d.Number
		}
		if h := p.held[d.ID]; h != nil {
			w.Failures, w.Error = h.failures, h.why
		}
		waiting = append(waiting, w)
	}
	return map[string]any{"count": len(waiting), "papers": waiting}, nil
}
