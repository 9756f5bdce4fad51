package public

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

const (
	fresh    = 10 * time.Second // how long one reading of the queue is good
	patience = 3 * time.Second  // how long the front page waits for one
)

// prospects keeps one reading of the queue for all who ask within a few seconds, and
// a failure as well: the front page does not wait for a database that is away.
type prospects struct {
	mu    sync.Mutex
	last  *report.Prospect
	err   error
	until time.Time
}

// Outlook is what anybody may know of the queue, for a request of so many cards.
func (p *Window) Outlook(ctx context.Context, cards int) (report.Outlook, error) {
	s := &p.prospects
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := p.clock.Now(); !now.Before(s.until) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience) // it is read for others too
		defer cancel()
		s.last, s.err = report.ReadProspect(ctx, p.db, p.office.Now(), p.hours)
		s.until = now.Add(fresh)
	}
	if s.err != nil {
		return report.Outlook{}, s.err
	}
	return s.last.For(cards), nil
}

// outlook answers GET /api/v1/outlook.
func (p *Window) outlook(w http.ResponseWriter, r *http.Request) error {
	if bad := report.Unknown(r.URL.Query(), "cards"); len(bad) > 0 {
		return web.BadRequest("Parameter pada alamat tidak benar.", web.FieldError{Pointer: "/" + bad[0].Name, Code: bad[0].Code, Detail: bad[0].Detail})
	}
	cards := 1
	if text := r.URL.Query().Get("cards"); text != "" {
		var ok bool
		if cards, ok = ParseCards(text); !ok {
			return web.BadRequest("Parameter pada alamat tidak benar.", web.FieldError{Pointer: "/cards", Code: "out_of_range", Detail: CardsRange})
		}
	}
	o, err := p.Outlook(r.Context(), cards)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(fresh/time.Second)))
	web.WriteJSON(w, r, http.StatusOK, o)
	return nil
}

// CardsRange says how many cards an outlook can be asked for.
var CardsRange = "Jumlah kartu harus antara 1 dan " + terbilang.FormatInt(report.MostAsked) + "."

// ParseCards reads a number of cards that an outlook can be asked for.
func ParseCards(text string) (n int, ok bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 1 && n <= report.MostAsked
}
