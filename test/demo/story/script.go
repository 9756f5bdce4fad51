// Package story is the course of the demo: one request from its drop to its
// handover, and the activation of some of its readers. It is driven by the state that the office shows, not by a list of
// steps, so it goes on from wherever an interrupted run left a request.
package story

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/test/demo/hand"
	"dukcapil.go.id/sifilma/test/demo/people"
	"dukcapil.go.id/sifilma/test/demo/screen"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
)

// Script is what the demo needs to know of the office that runs.
type Script struct {
	Dir         string    `json:"dir"`
	Began       time.Time `json:"began"`
	Once        bool      `json:"once"`
	OfficeClock string    `json:"office_clock"`
	Portal      string    `json:"portal"`
	Intake      string    `json:"intake"`
	Station     string    `json:"station"`
	VirtualSAM  string    `json:"virtual_sam"`
	Readers     []string  `json:"readers"`
	Token       struct {
		Module  string `json:"module"`
		Label   string `json:"label"`
		PINFile string `json:"pin_file"`
	} `json:"token"`
	Cast struct {
		Produsen string  `json:"produsen"`
		Lembaga  string  `json:"lembaga"`
		PKS      string  `json:"pks"`
		APIKey   string  `json:"api_key"`
		Logins   []Login `json:"logins"`
	} `json:"cast"`
}

// Login is an account of the office.
type Login struct {
	Username string `json:"username"`
	Name     string `json:"name"`
	Role     string `json:"role"`
	Password string `json:"password"`
}

// Requests that a demo drops.
const (
	cards      = 25
	faulty     = 2
	stuckAfter = 3 * time.Minute        // without any change
	lookEvery  = 100 * time.Millisecond // while waiting for a daemon
)

// SampleTitle is the title of a demo's requests, by which it knows them again: it
// goes on with its own and with nobody else's.
const SampleTitle = "Personalisasi kartu SAM contoh"

type play struct {
	Script
	out    *screen.Screen
	client *people.Client            // the produsen's software
	staff  map[string]*people.Client // by role
	sam    *client.Client
	maker  *hand.ChipMaker
	office clock.Office
	stage  int // the last one shown, by its place in stages
	pinned pinned
	turned refusals
}

// Play plays until a request is handed over, its papers are signed, and some of its
// readers are active.
func Play(ctx context.Context, s Script, w io.Writer) error {
	p, err := newPlay(s, w)
	if err != nil {
		return err
	}
	if p.sam, err = dial(ctx, s.VirtualSAM); err != nil {
		return err
	}
	defer func() { _ = p.sam.Close() }()
	token, err := pkcs11.Open(pkcs11.Config{Module: s.Token.Module, TokenLabel: s.Token.Label, PINFile: s.Token.PINFile})
	if err != nil {
		return err
	}
	defer func() { _ = token.Close() }()
	if p.maker, err = hand.NewChipMaker(ctx, p.sam, token); err != nil {
		return err
	}
	ticket, err := p.unfinished(ctx)
	if err != nil {
		return err
	}
	if ticket != "" {
		p.out.Say("\nMelanjutkan permohonan %s dari keadaan terakhirnya.", ticket)
	} else {
		p.stepTo(p.workday(p.office.Now(), 0).At(9, 0), "jam kerja dimulai")
		if ticket, err = p.drop(ctx, SampleTitle, cards); err != nil {
			return err
		}
	}
	view, err := p.follow(ctx, ticket)
	if err != nil {
		return fmt.Errorf("permohonan %s: %w", ticket, err)
	}
	readers, err := p.activate(ctx, view)
	if err != nil {
		return fmt.Errorf("aktivasi atas permohonan %s: %w", ticket, err)
	}
	return p.summary(ctx, view, readers)
}

func newPlay(s Script, w io.Writer) (*play, error) {
	p := &play{Script: s, out: screen.New(w, s.Began), client: people.NewProgram(s.Intake, s.Cast.APIKey), staff: map[string]*people.Client{}, stage: -1, turned: refusals{}}
	for _, l := range s.Cast.Logins {
		p.staff[l.Role] = people.NewPerson(s.Portal, l.Username, l.Password)
	}
	var err error
	p.office, err = clock.OpenOffice("file:" + s.OfficeClock)
	return p, err
}

// Queue drops a request for so many cards that is nobody's sample and plays it into
// the plan, for tests of an office that is busy; nobody puts its cards in.
func Queue(ctx context.Context, s Script, w io.Writer, cards int) (ticket string, err error) {
	p, err := newPlay(s, w)
	if err != nil {
		return "", err
	}
	if ticket, err = p.drop(ctx, "Permohonan lain", cards); err != nil {
		return "", err
	}
	for {
		v, err := p.see(ctx, ticket)
		if err != nil || v.State == "scheduled" || v.State == "in_progress" {
			return ticket, err
		}
		acted, err := p.act(ctx, v)
		if err != nil && !people.Is(err, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired) {
			return ticket, err
		}
		if acted && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return ticket, ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// dial waits for the virtual cards' socket.
func dial(ctx context.Context, path string) (*client.Client, error) {
	for {
		c, err := client.Dial(ctx, path)
		if err == nil {
			return c, nil
		}
		if _, missing := os.Stat(path); missing == nil && ctx.Err() == nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// unfinished returns the ticket of a sample request that an earlier run did not
// bring to its end.
func (p *play) unfinished(ctx context.Context) (string, error) {
	var list struct {
		Requests []view `json:"requests"`
	}
	_, err := p.staff["operator"].Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/requests?limit=50"}, &list)
	if err != nil {
		return "", err
	}
	for i := len(list.Requests) - 1; i >= 0; i-- {
		r := list.Requests[i]
		if r.Title != SampleTitle { // a person's, who decides it
			continue
		}
		if r.State == "returned" || r.State == "rejected" || r.State == "cancelled" {
			continue
		}
		if r.State != "done" {
			return r.Ticket, nil
		}
		full, err := p.see(ctx, r.Ticket)
		if err != nil {
			return "", err
		}
		if !full.over() {
			return r.Ticket, nil
		}
		if a, err := p.activationOf(ctx, r.Ticket); err != nil || a == nil || !a.over() {
			return r.Ticket, err
		}
	}
	return "", nil
}

// stepTo sets the office clock forward, and says why when another day begins; it
// never goes back. It says whether it moved.
func (p *play) stepTo(t time.Time, why string) bool {
	now := p.office.Now()
	if !t.After(now) {
		return false
	}
	if err := clock.StepOffice(p.OfficeClock, t); err != nil {
		p.out.Say("jam kantor: %v", err)
		return false
	}
	if day := clock.DateOf(t); day != clock.DateOf(now) {
		p.out.Say("  Jam kantor dimajukan ke %s, %s WIB: %s.", terbilang.FormatDate(day), t.In(clock.Jakarta).Format("15.04"), why)
	}
	return true
}

// later lets an hour of office time pass, within office hours.
func (p *play) later() {
	now := p.office.Now().In(clock.Jakarta)
	if now.Hour() >= 14 {
		p.nextDay(9, 0)
		return
	}
	p.stepTo(now.Add(time.Hour), "satu jam berlalu")
}

func (p *play) nextDay(hour, minute int) {
	p.stepTo(p.workday(p.office.Now(), 1).At(hour, minute), "hari kerja berikutnya")
}
