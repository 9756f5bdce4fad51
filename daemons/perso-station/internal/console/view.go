package console

import (
	"maps"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
)

// View is a station as people and programs see it; the JSON names are the API.
type View struct {
	Station   string            `json:"station"`
	Build     string            `json:"build"`
	At        time.Time         `json:"at"`
	StartedAt time.Time         `json:"started_at"`
	Profile   string            `json:"profile"`  // that new cards are written by; empty while none is in force
	Standing  *perso.Standing   `json:"standing"` // what people want; null until it was read
	InHand    int               `json:"in_hand"`  // cards that are worked on
	Drained   bool              `json:"drained"`  // people had it drained, and nothing is in hand any more
	Readers   []Reader          `json:"readers"`
	Pace      Pace              `json:"pace"`
	Counts    Counts            `json:"counts"`
	Day       *perso.StationDay `json:"day"` // null until it was read
	Failures  []Failure         `json:"failures"`
	Journal   Journal           `json:"journal"`
	Checks    []Check           `json:"checks"`
	Alarms    []Alarm           `json:"alarms"`
}

// Reader is a reader and the card in it.
type Reader struct {
	Name      string     `json:"name"`
	Word      string     `json:"word"` // masukkan, tunggu, ambil or sisihkan
	Bin       string     `json:"bin"`  // for a card that is set aside: gagal, ragu or tolak; else empty
	State     string     `json:"state"`
	Serial    string     `json:"serial"`
	Chip      string     `json:"chip"`
	CardID    string     `json:"card_id"`
	Step      string     `json:"step"`
	StepLabel string     `json:"step_label"`
	Outcome   string     `json:"outcome"`
	Reason    string     `json:"reason"`
	Since     time.Time  `json:"since"`
	Stalled   bool       `json:"stalled"`
	Last      *line.Last `json:"last"`
}

// Pace is how fast cards become clear.
type Pace struct {
	LastHour int `json:"last_hour"` // cards in the last 60 minutes
	PerHour  int `json:"per_hour"`  // at the speed of the last ten minutes
}

// Journal is the health of the local journal.
type Journal struct {
	OK      bool   `json:"ok"`
	Error   string `json:"error"`
	Entries uint64 `json:"entries"`
	Torn    int64  `json:"torn"` // bytes of an entry that a crash cut off, at the last start
}

// Check is what the station last found of something that it needs.
type Check struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	OK    bool   `json:"ok"`
	Error string `json:"error"`
}

// checkLabels are the words for the readiness checks.
var checkLabels = map[string]string{
	"postgres": "Basis data", "rabbitmq": "RabbitMQ", "hsm": "HSM", "journal": "Jurnal", "profile": "Profil", "readers": "Aturan pembaca",
	"numbers": "Nomor kartu", "disk": "Ruang disk",
}

// stepLabel words a step; looking at a card is none of the profile's.
func stepLabel(step string) string {
	if step == "" {
		return "pembacaan kartu"
	}
	if label := profile.Labels[profile.Step(step)]; label != "" {
		return label
	}
	return step
}

const shortPace = 10 * time.Minute

// View takes a look. It asks nothing of anybody: what it tells was learnt before.
func (c *Console) View() View {
	c.mu.Lock()
	draining := c.standing != nil && c.standing.Mode == perso.Draining
	c.mu.Unlock()
	still := draining && c.work.Still() // in this order: see line.Still
	readers, inHand := c.work.Readers(), c.work.InHand()
	findings := c.Findings()
	c.mu.Lock()
	defer c.mu.Unlock()
	v := View{
		Station: c.Station, Build: c.Build, At: time.Now().UTC(), StartedAt: c.started.UTC(), Profile: c.profile, Standing: c.standing,
		InHand: len(inHand), Readers: []Reader{}, Counts: c.counts, Day: c.day, Failures: append([]Failure{}, c.failures...),
		Checks: []Check{}, Alarms: append([]Alarm{}, c.alarms...),
	}
	now, quick := c.Machine.Now(), 0
	for _, t := range c.cleared {
		switch age := now.Sub(t); {
		case age <= shortPace:
			quick++
			v.Pace.LastHour++
		case age <= time.Hour:
			v.Pace.LastHour++
		}
	}
	v.Pace.PerHour = quick * int(time.Hour/shortPace)
	for _, r := range readers {
		v.Readers = append(v.Readers, Reader{
			Name: r.Name, Word: wordOf(r, c.standing), Bin: binOf(r), State: r.State, Serial: r.Serial, Chip: r.Chip, CardID: r.CardID, Step: r.Step,
			StepLabel: labelOf(r), Outcome: r.Outcome, Reason: r.Reason, Since: r.Since, Last: r.Last,
			Stalled: has(c.alarms, Alarm{Code: stalled, Reader: r.Name}),
		})
	}
	v.Drained = still
	for _, name := range slices.Sorted(maps.Keys(findings)) {
		label := checkLabels[name]
		if label == "" {
			label = name
		}
		v.Checks = append(v.Checks, Check{Name: name, Label: label, OK: findings[name] == "", Error: findings[name]})
	}
	v.Journal = Journal{OK: findings["journal"] == "", Error: findings["journal"], Entries: c.Journal.Head().Seq, Torn: c.Journal.Torn()}
	return v
}

// labelOf words the step of a card that is worked on.
func labelOf(r line.ReaderStatus) string {
	if r.State == "working" || r.State == "wait" && r.Step != "" {
		return stepLabel(r.Step)
	}
	return ""
}
