package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// statement is a fact that people state, and how its detail is read.
type statement struct {
	fact string
	read func(r *http.Request, of request.Request, today clock.Date) (detail map[string]any, err error)
}

// statements are the sub-resources by which facts are stated, in any order.
var statements = map[string]statement{
	"letter": {request.FactLetterReceived, readLetter}, "blanks": {request.FactBlanksCounted, readBlanks},
	"comparison": {request.FactCompared, readComparison}, "disposition": {request.FactDisposed, readDisposition},
}

func readLetter(r *http.Request, of request.Request, today clock.Date) (map[string]any, error) {
	var in struct {
		ReceivedOn clock.Date         `json:"received_on"`
		Time       *workday.TimeOfDay `json:"received_time"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return nil, err
	}
	switch {
	case in.ReceivedOn.IsZero():
		return nil, missing("/received_on", "Tanggal penerimaan surat wajib diisi.")
	case in.ReceivedOn.After(today):
		return nil, invalid("/received_on", "in_future", "Tanggal penerimaan surat tidak boleh setelah hari ini.")
	case in.ReceivedOn.Before(of.Letter.Date):
		return nil, invalid("/received_on", "before_letter", "Surat tidak dapat diterima sebelum tanggal surat itu sendiri.")
	}
	detail := map[string]any{"received_on": in.ReceivedOn}
	if in.Time != nil {
		detail["received_time"] = *in.Time
	}
	return detail, nil
}

// countsFrom adds the hari kerja from which a letter counts: one that came in
// after office hours or on an off day counts from the next (users.md B.1). Without
// a time of its own, one that is recorded on its day came now, and one that is
// recorded later came within office hours.
func (a *API) countsFrom(ctx context.Context, rd postgres.Reader, detail map[string]any) error {
	on, _ := detail["received_on"].(clock.Date) // readLetter has put it there
	at := on.At(12, 0)
	if t, ok := detail["received_time"].(workday.TimeOfDay); ok {
		at = on.At(int(t)/60, int(t)%60)
	} else if now := a.office.Now(); clock.DateOf(now) == on {
		at = now
	}
	calendar, err := capacity.Calendar(ctx, rd)
	if err != nil {
		return err
	}
	detail["counts_from"] = calendar.ReceivedOn(at, a.hours)
	return nil
}

func readBlanks(r *http.Request, _ request.Request, _ clock.Date) (map[string]any, error) {
	var in struct {
		Count *int `json:"count"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Count == nil {
		return nil, missing("/count", "Jumlah blangko wajib diisi.")
	}
	return map[string]any{"count": *in.Count}, nil
}

// readComparison wants every paper of the request to have been found equal:
// whoever finds a difference returns the request instead. It names the submission
// whose papers were compared, for a correction may have come in meanwhile.
func readComparison(r *http.Request, of request.Request, _ clock.Date) (map[string]any, error) {
	var in struct {
		Submission *int   `json:"submission"`
		Letter     *bool  `json:"letter"`
		Orders     *bool  `json:"purchase_orders"`
		PKS        *bool  `json:"pks"`
		Notes      string `json:"notes"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return nil, err
	}
	var errs []web.FieldError
	switch {
	case in.Submission == nil:
		errs = append(errs, web.FieldError{Pointer: "/submission", Code: "missing", Detail: "Sebutkan pengajuan ke berapa yang dibandingkan."})
	case *in.Submission != of.Submission:
		return nil, postgres.ErrStale
	}
	for _, paper := range []struct {
		pointer, label string
		equal          *bool
		needed         bool
	}{
		{"/letter", "Surat permohonan", in.Letter, true},
		{"/purchase_orders", "Purchase order (PO)", in.Orders, of.Kind == request.KindReader},
		{"/pks", "Perjanjian kerja sama (PKS)", in.PKS, of.Kind == request.KindReader},
	} {
		switch {
		case paper.equal == nil && paper.needed:
			errs = append(errs, web.FieldError{Pointer: paper.pointer, Code: "missing", Detail: paper.label + " belum dibandingkan."})
		case paper.equal != nil && !*paper.equal:
			errs = append(errs, web.FieldError{Pointer: paper.pointer, Code: "differs", Detail: paper.label + " tidak sesuai dengan isian."})
		}
	}
	if len(errs) > 0 {
		return nil, web.Unprocessable("Pencatatan hanya untuk berkas yang sesuai. Bila ada yang berbeda, kembalikan permohonan dengan alasan.", errs...)
	}
	detail := map[string]any{}
	if in.Notes != "" {
		detail["notes"] = cut(in.Notes)
	}
	return detail, nil
}

func readDisposition(r *http.Request, _ request.Request, _ clock.Date) (map[string]any, error) {
	var in struct {
		Note string `json:"note"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	detail := map[string]any{}
	if in.Note != "" {
		detail["note"] = cut(in.Note)
	}
	return detail, nil
}

// cut bounds a note.
func cut(s string) string {
	if runes := []rune(s); len(runes) > maxReason {
		return string(runes[:maxReason])
	}
	return s
}

// state answers a fact: the last of those that are needed registers the request
// in the same transaction. Facts come in any order and need no version; whoever
// sends one all the same states the fact of what was seen, and of nothing newer.
func (a *API) state(s statement) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		of, err := scoped(r.Context(), a.db, r)
		if err != nil {
			return err
		}
		c := a.change(r, "")
		if !slices.Contains(request.FactRoles(s.fact), c.Actor.Role) {
			return &machine.RoleError{Machine: request.Machine.Name, Verb: machine.Verb(s.fact), Role: c.Actor.Role}
		}
		if r.Header.Get("If-Match") != "" {
			version, err := web.MatchVersion(r)
			if err != nil {
				return err
			}
			if version != of.Version {
				return postgres.ErrStale
			}
		}
		detail, err := s.read(r, of, clock.DateOf(c.OfficeAt))
		if err != nil {
			return err
		}
		err = a.db.InTx(r.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			locked, err := request.Lock(ctx, tx, of.ID)
			if err != nil {
				return err
			}
			if locked.Submission != of.Submission { // corrected while the body was on its way
				return postgres.ErrStale
			}
			if s.fact == request.FactLetterReceived {
				if err := a.countsFrom(ctx, tx, detail); err != nil {
					return err
				}
			}
			now, err := request.State(ctx, tx, of.ID, s.fact, detail, c)
			if errors.Is(err, request.ErrTooLate) {
				return tooLate(of, s.fact)
			}
			if err != nil {
				return err
			}
			return note(ctx, tx, c, "request.fact."+s.fact, of.ID, of.ID, map[string]any{"fact": detail, "state": now.State})
		})
		if err != nil {
			return err
		}
		return a.showRequest(w, r, of.ID)
	}
}
