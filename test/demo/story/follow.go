package story

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/test/demo/people"
)

type stage struct{ state, name string }

// stages are the bars of the screen, by the state that a request is in. The last
// two have a bar of their own besides.
var stages = []stage{
	{"submitted", "Diajukan"}, {"validated", "Diperiksa"}, {"registered", "Terdaftar"}, {"approved", "Disetujui"},
	{"accepted", "Diterima"}, {"scheduled", "Terjadwal"}, {"in_progress", "Personalisasi"}, {"done", "Dokumen"},
}

// follow plays whoever must act next, until nothing is left to do.
func (p *play) follow(ctx context.Context, ticket string) (view, error) {
	var last string
	changed := time.Now()
	for {
		v, err := p.see(ctx, ticket)
		if err != nil {
			return v, err
		}
		if v.over() {
			return v, nil
		}
		acted, err := p.act(ctx, v)
		if err != nil {
			if people.Is(err, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired) {
				acted = false // it moved meanwhile: look again
			} else {
				return v, err
			}
		}
		if now := fmt.Sprint(v.State, v.Version, v.Cards, v.Documents, v.Handovers, len(v.Facts)); now != last || acted {
			last, changed = now, time.Now()
			p.show(v)
		}
		if time.Since(changed) > stuckAfter {
			return v, fmt.Errorf("tidak ada kemajuan sejak %s dalam keadaan %q", stuckAfter, v.State)
		}
		if acted {
			continue
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

func (p *play) show(v view) {
	at := p.office.Now().In(clock.Jakarta).Format("02-01-2006 15.04") + " WIB"
	cards := func() {
		p.out.Bar("Personalisasi", v.Cards.Clear, v.CardCount, fmt.Sprintf("gagal %d, ragu %d, %s", v.Cards.Failed+v.Cards.Spoiled, v.Cards.InDoubt, at))
	}
	reached := slices.IndexFunc(stages, func(s stage) bool { return s.state == v.State })
	entered := reached >= 0 && reached != p.stage
	if entered && v.State == "done" {
		cards() // the last card finishes the request: it was not seen in progress
	}
	if reached >= 0 && (entered || reached < len(stages)-2) {
		name := stages[reached].name
		if v.State == "approved" && v.fact("disposed") {
			name = "Didisposisikan"
		}
		p.out.Bar("Tahap", reached+1, len(stages), name+", "+at)
	}
	p.stage = reached
	switch v.State {
	case "in_progress":
		cards()
	case "done":
		p.out.Bar("Dokumen", v.papers(), papersOfRequest, at)
	}
}

// act does one thing that somebody has to do, and says whether it did.
func (p *play) act(ctx context.Context, v view) (bool, error) {
	path := "/api/v1/requests/" + v.Ticket
	verb := func(role, name string, body any) (bool, error) {
		_, err := p.staff[role].Do(ctx, people.Call{Method: http.MethodPost, Path: path + "/" + name, JSON: body,
			Header: map[string]string{"If-Match": strconv.Quote(strconv.FormatInt(v.Version, 10))}}, nil)
		return err == nil, err
	}
	switch v.State {
	case "returned":
		return false, p.findings(ctx, v)
	case "rejected", "cancelled", "held":
		return false, fmt.Errorf("permohonan berhenti dalam keadaan %q", v.Label)
	case "submitted", "resubmitted", "validated":
		today := clock.Today(p.office)
		switch {
		case !v.fact("letter_received"):
			return verb("persuratan", "letter", map[string]any{"received_on": today})
		case !v.fact("blanks_counted"):
			p.later()
			return verb("persuratan", "blanks", map[string]any{"count": v.CardCount})
		case !v.fact("compared"):
			return verb("operator", "comparison", map[string]any{"submission": v.Submission, "letter": true, "purchase_orders": true, "pks": true})
		}
	case "registered":
		p.nextDay(10, 0)
		return verb("dirjen", "approval", map[string]any{})
	case "approved":
		if !v.fact("disposed") {
			p.later()
			return verb("direktur", "disposition", map[string]any{})
		}
		p.nextDay(9, 30)
		return verb("kasubdit", "acceptance", map[string]any{})
	case "scheduled":
		s, err := p.plan(ctx, v.Ticket)
		if err != nil || s.begun(clock.Today(p.office)) {
			return false, err
		}
		return p.await(ctx, s)
	case "in_progress":
		return p.personalise(ctx, v)
	case "done":
		return p.papers(ctx, v)
	}
	return false, nil
}

// findings tells why the validator returned the sample: a fault of the demo.
func (p *play) findings(ctx context.Context, v view) error {
	var answer struct {
		Findings []struct {
			Pointer string `json:"pointer"`
			Detail  string `json:"detail"`
		} `json:"findings"`
	}
	if _, err := p.client.Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/requests/" + v.Ticket}, &answer); err != nil {
		return err
	}
	err := errors.New("permohonan dikembalikan")
	for _, f := range answer.Findings {
		err = fmt.Errorf("%w\n  %s: %s", err, f.Pointer, f.Detail)
	}
	return err
}
