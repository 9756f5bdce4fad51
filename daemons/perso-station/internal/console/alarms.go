package console

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
)

// Alarm is something that a person should look after.
type Alarm struct {
	Code   string    `json:"code"`   // idle, stalled or away
	Reader string    `json:"reader"` // that is concerned; empty for all of them
	Since  time.Time `json:"since"`
	Text   string    `json:"text"` // for people
}

// Codes of alarms.
const (
	idle    = "idle"
	stalled = "stalled"
	away    = "away"
)

// look is how often the alarms are looked at.
const look = time.Second

// Guard looks at the alarms and keeps the last failures on disk until ctx ends.
func (c *Console) Guard(ctx context.Context) error {
	for {
		c.check()
		c.save()
		timer := c.Machine.NewTimer(look)
		select {
		case <-ctx.Done():
			timer.Stop()
			c.save()
			return ctx.Err()
		case <-timer.C():
		}
	}
}

// check raises and ends alarms.
func (c *Console) check() {
	readers := c.work.Readers()
	inHand := c.work.InHand()
	pulled := c.pulled()
	c.mu.Lock()
	now := c.Machine.Now()
	was := c.alarms
	c.alarms = append(pulled, c.due(now, readers, inHand)...)
	is := slices.Clone(c.alarms)
	c.mu.Unlock()
	c.metrics.alarm(is)
	for _, a := range is {
		if !has(was, a) {
			c.Log.Warn().Str("alarm", a.Code).Str("reader", a.Reader).Time("since", a.Since).Msg("alarm raised")
		}
	}
	for _, a := range was {
		if !has(is, a) {
			c.Log.Info().Str("alarm", a.Code).Str("reader", a.Reader).Msg("alarm is over")
		}
	}
	if len(is) != len(was) {
		c.Ring()
	}
}

// pulled are the alarms of readers that are away.
func (c *Console) pulled() (list []Alarm) {
	gone := c.away()
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		list = append(list, Alarm{Code: away, Reader: name, Since: gone[name].UTC(), Text: "Pembaca kartu tidak terhubung"})
	}
	return list
}

func has(list []Alarm, a Alarm) bool {
	return slices.ContainsFunc(list, func(b Alarm) bool { return a.Code == b.Code && a.Reader == b.Reader })
}

// due are the alarms that stand now, by machine time. The caller holds mu.
func (c *Console) due(now time.Time, readers []line.ReaderStatus, inHand []string) (list []Alarm) {
	free := c.standing != nil && c.standing.Mode == perso.Running
	atWork := false
	for _, r := range readers {
		s := c.readers[r.Name]
		if s == nil || !s.present || r.State != "working" && r.State != "wait" {
			continue
		}
		atWork = true
		// A card that waits because people want it so is no concern.
		if !free && !slices.Contains(inHand, r.CardID) {
			continue
		}
		if c.StalledAfter > 0 && now.Sub(s.progress) > c.StalledAfter {
			list = append(list, Alarm{Code: stalled, Reader: r.Name, Since: s.progress.UTC(), Text: "Kartu di pembaca ini tidak maju"})
		}
	}
	if !free || atWork || c.IdleAfter == 0 || c.waiting.IsZero() {
		return list
	}
	since := latest(c.put, c.waiting, c.running)
	if now.Sub(since) > c.IdleAfter {
		list = append(list, Alarm{Code: idle, Since: since.UTC(), Text: "Ada kartu yang menunggu, dan tidak ada yang dimasukkan"})
	}
	return list
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// metrics are the console's.
type metrics struct {
	alarms *prometheus.GaugeVec
	held   *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		alarms: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sifilma_station_alarm", Help: "1 while the alarm stands: idle, no card is put in although some wait; stalled, a card makes no progress; away, a reader that was there is not connected.",
		}, []string{"alarm"}),
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sifilma_station_mode", Help: "1 for what people want of the station: running, paused or draining.",
		}, []string{"mode"}),
	}
	m.alarm(nil)
	if reg != nil {
		reg.MustRegister(m.alarms, m.held)
	}
	return m
}

func (m metrics) alarm(list []Alarm) {
	for _, code := range []string{idle, stalled, away} {
		m.alarms.WithLabelValues(code).Set(0)
	}
	for _, a := range list {
		m.alarms.WithLabelValues(a.Code).Set(1)
	}
}

func (m metrics) stand(mode perso.Mode) {
	for _, one := range []perso.Mode{perso.Running, perso.Paused, perso.Draining} {
		m.held.WithLabelValues(string(one)).Set(0)
	}
	m.held.WithLabelValues(string(mode)).Set(1)
}
