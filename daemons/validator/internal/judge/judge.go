// Package judge is the work of the validator: it hears that a request was
// submitted, reads its card list, and passes the request on or returns it with
// findings.
package judge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/validation"
)

var actor = machine.Actor{Name: "validator", Role: request.Validator}

// Judge judges submissions.
type Judge struct {
	office clock.Office
	doing  func(format string, args ...any)
	judged *prometheus.CounterVec
}

// New returns a judge that tells doing what it does; registry may be nil.
func New(office clock.Office, doing func(format string, args ...any), registry prometheus.Registerer) *Judge {
	j := &Judge{office: office, doing: doing, judged: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sifilma_validator_judged_total", Help: "Submissions by their result.",
	}, []string{"result"})}
	if registry != nil {
		registry.MustRegister(j.judged)
	}
	return j
}

// Hear is the handler of the queue. A bell for a request that nobody waits for
// any more does nothing, so bells may ring twice and late.
func (j *Judge) Hear(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
	for _, e := range events {
		do := j.one
		if e.Type == rabbit.ActivationSubmitted {
			do = j.readers
		}
		if err := do(ctx, tx, e.Subject); err != nil {
			return err
		}
	}
	return nil
}

func (j *Judge) one(ctx context.Context, tx *postgres.Tx, id string) error {
	seen, err := request.Get(ctx, tx, id)
	if err != nil {
		return err
	}
	if !waiting(seen) {
		return nil
	}
	j.doing("memeriksa %s", seen.Ticket)
	defer j.doing("")
	if err := seen.LoadParts(ctx, tx); err != nil {
		return err
	}
	// Reading comes before the lock, so that nobody waits for it.
	list, err := cards(ctx, tx, seen)
	if err != nil {
		return err
	}
	now, err := request.Lock(ctx, tx, id)
	if err != nil {
		return err
	}
	if now.Version != seen.Version {
		return nil // it was cancelled, or judged by another; a resubmission rings its own bell
	}
	found, err := validation.Check(ctx, tx, seen, list, clock.Today(j.office))
	if err != nil {
		return err
	}
	if len(validation.Errors(found)) == 0 {
		taken, err := cardlist.Store(ctx, tx, id, validation.Cards(seen, list))
		if err != nil {
			return err
		}
		found = append(found, validation.Taken(list, taken)...)
	}
	if err := validation.Save(ctx, tx, id, now.Submission, found); err != nil {
		return err
	}
	return j.decide(ctx, tx, now, found)
}

// Waiting is how many submissions wait for their judgement, and since when the
// oldest does.
type Waiting struct {
	Count  int     `json:"count" db:"count"`
	Oldest float64 `json:"oldest_seconds" db:"seconds"`
}

// Backlog returns what is waiting, by the database's clock.
func Backlog(ctx context.Context, r postgres.Reader) (Waiting, error) {
	var w Waiting
	err := r.Get(ctx, &w, `
		SELECT count(*) AS count, coalesce(extract(epoch FROM now() - min(h.at)), 0)::float8 AS seconds
		FROM request r JOIN history h ON h.machine = $1 AND h.subject = r.id AND h.version = r.version
		WHERE r.state IN ($2, $3)`, request.Machine.Name, string(request.Submitted), string(request.Resubmitted))
	return w, err
}

func waiting(r request.Request) bool {
	return r.State == request.Submitted || r.State == request.Resubmitted
}

// decide passes a request on, or returns it and gives its serials back.
func (j *Judge) decide(ctx context.Context, tx *postgres.Tx, r request.Request, found []validation.Finding) error {
	faults := len(validation.Errors(found))
	change := request.Change{Actor: actor, OfficeAt: j.office.Now(), Detail: map[string]any{
		"submission": r.Submission, "errors": faults, "warnings": len(found) - faults,
	}}
	result := "validated"
	if faults > 0 {
		result = "returned"
		change.Reason = validation.Summary(found)
		if _, err := request.Take(ctx, tx, r, request.Return, change); err != nil {
			return err
		}
		if err := cardlist.Free(ctx, tx, r.ID); err != nil {
			return err
		}
	} else {
		if _, err := request.Take(ctx, tx, r, request.Validate, change); err != nil {
			return err
		}
		fact := map[string]any{"submission": r.Submission, "cards": r.CardCount}
		if _, err := request.State(ctx, tx, r.ID, request.FactValidated, fact, change); err != nil {
			return err
		}
	}
	tx.OnCommit(func() {
		j.judged.WithLabelValues(result).Inc()
		zerolog.Ctx(ctx).Info().Ctx(trace.ContextWith(ctx, r.TraceParent)).Str("request", r.ID).Str("ticket", r.Ticket).Str("result", result).Int("errors", faults).Msg("submission judged")
	})
	return audit.Record(ctx, tx, audit.Entry{
		Actor: actor.Name, Action: "request." + result, Subject: r.ID, Request: r.ID, Detail: change.Detail,
	})
}

// cards reads the card list of the newest submission. What is wrong with the
// file is in the list's faults.
func cards(ctx context.Context, rd postgres.Reader, r request.Request) (validation.List, error) {
	files, err := request.Files(ctx, rd, r)
	if err != nil {
		return validation.List{}, err
	}
	for _, f := range files {
		if f.Kind == request.FileCardList {
			return read(ctx, rd, f.BlobID)
		}
	}
	return validation.List{Unreadable: true, Faults: []validation.Finding{{
		Code: "list_missing", Severity: validation.Error, Pointer: "/card_list", Detail: "Daftar kartu tidak dilampirkan.",
	}}}, nil
}

// read copies the file to disk first: a workbook is read from its end.
func read(ctx context.Context, rd postgres.Reader, blobID string) (list validation.List, err error) {
	id, err := uuid.Parse(blobID)
	if err != nil {
		return list, fmt.Errorf("validator: blob id: %w", err)
	}
	content, _, err := blob.Open(ctx, rd, id)
	if err != nil {
		return list, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	spool, err := os.CreateTemp("", "sifilma-list-*")
	if err != nil {
		return list, rabbit.Hold(fmt.Errorf("validator: spool: %w", err)) // the disk is full: not the request's fault
	}
	defer func() { _ = spool.Close() }() // it is read, and has no name
	if err := os.Remove(spool.Name()); err != nil {
		return list, rabbit.Hold(fmt.Errorf("validator: spool: %w", err))
	}
	size, err := io.Copy(&holding{spool}, content)
	if err != nil {
		return list, fmt.Errorf("validator: reading the card list: %w", err)
	}
	return validation.ReadList(spool, size)
}

// holding marks errors of the disk as not the request's own.
type holding struct{ f *os.File }

func (h *holding) Write(p []byte) (int, error) {
	n, err := h.f.Write(p)
	if err != nil {
		return n, rabbit.Hold(err)
	}
	return n, nil
}
