package console

import (
	"context"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// unread is said while nobody knows yet whether people hold the station.
const unread = "Keadaan stasiun belum terbaca; kartu menunggu"

// held is why the station does not go on, in words.
func held(s perso.Standing) *line.Held {
	return &line.Held{Text: "Stasiun " + map[perso.Mode]string{perso.Paused: "dijeda", perso.Draining: "dikosongkan"}[s.Mode] +
		" oleh " + s.By + ": " + s.Reason}
}

// Begin implements line.Orders: what counts is what the database says in this very
// transaction.
func (c *Console) Begin(ctx context.Context, tx *postgres.Tx) error {
	s, err := perso.StandingOf(ctx, tx, c.Station)
	if err != nil {
		return err
	}
	c.learn(s)
	if s.Mode != perso.Running {
		return held(s)
	}
	return nil
}

// Touch implements line.Orders: what counts is what was last heard, and until it was
// heard no card is touched.
func (c *Console) Touch() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.standing == nil:
		return &line.Held{Text: unread}
	case c.standing.Mode == perso.Draining:
		return held(*c.standing)
	}
	return nil
}

// learn takes over what people want. The line looks again at the cards in its readers
// and the lamps show their words anew when that is something else.
func (c *Console) learn(s perso.Standing) {
	c.mu.Lock()
	was := c.standing
	c.standing = &s
	if was != nil && was.Mode != perso.Running && s.Mode == perso.Running {
		c.running = c.Machine.Now()
	}
	c.mu.Unlock()
	if was != nil && was.Mode == s.Mode {
		return
	}
	c.metrics.stand(s.Mode)
	if was != nil || s.Mode != perso.Running {
		c.Log.Warn().Str("mode", string(s.Mode)).Str("by", s.By).Str("reason", s.Reason).Msg("people want the station otherwise")
	}
	for _, r := range c.work.Readers() {
		c.lamp.show(r.Name, wordOf(r, &s))
	}
	c.work.Wake()
}

// Stand has the station pause, drain or go on.
func (c *Console) Stand(ctx context.Context, w perso.Wish) (perso.Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	w.OfficeAt = c.Office.Now()
	var s perso.Standing
	err := c.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		s, err = perso.Stand(ctx, tx, c.Station, w)
		return err
	})
	if err != nil {
		return s, err
	}
	c.learn(s)
	c.Ring()
	return s, nil
}

// Ring asks for a beat now.
func (c *Console) Ring() {
	select {
	case c.ring <- struct{}{}:
	default: // one is asked for already
	}
}
