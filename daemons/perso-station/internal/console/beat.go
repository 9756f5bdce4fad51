package console

import (
	"context"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

const (
	// beatEvery is how often the station says in the database that it is there.
	beatEvery = 5 * time.Second
	// askWithin bounds a question to the database.
	askWithin = 4 * time.Second
)

// Beat says every few seconds that the station is there and with which cards, and
// learns what people want of it and how far the day is, until ctx ends. While the
// database is away it keeps what it knew.
func (c *Console) Beat(ctx context.Context) error {
	away := false
	for {
		err := c.beat(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !away {
			c.Log.Warn().Err(err).Msg("the station cannot say that it is there")
		}
		away = err != nil
		timer := c.Machine.NewTimer(beatEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-c.ring:
			timer.Stop()
		case <-timer.C():
		}
	}
}

func (c *Console) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	c.mu.Lock()
	var alarms []string
	for _, a := range c.alarms {
		alarms = append(alarms, a.Code)
	}
	started := c.started
	c.mu.Unlock()
	b := perso.Beat{
		Station: c.Station, StartedAt: started, Build: c.Build, Readers: len(c.work.Readers()), InHand: c.work.InHand(), Alarms: alarms,
	}
	var s perso.Standing
	if err := c.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		s, err = b.Put(ctx, tx)
		return err
	}); err != nil {
		return err
	}
	c.learn(s)
	day, err := perso.DayOf(ctx, c.DB, c.Station, clock.Today(c.Office))
	if err != nil {
		return err
	}
	label, err := c.work.ProfileLabel(ctx)
	if postgres.Foreign(err) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.day, c.profile = &day, label // without a label there is none in force
	switch {
	case day.Waiting == 0:
		c.waiting = time.Time{}
	case c.waiting.IsZero():
		c.waiting = c.Machine.Now()
	}
	return nil
}
