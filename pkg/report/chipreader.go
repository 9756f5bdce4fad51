package report

import (
	"context"
	"unicode"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ChipActivation is an activation that a card was, or is, in: the reader that it went into
// and where that stands.
type ChipActivation struct {
	Ticket         string        `json:"ticket"`
	Number         int           `json:"line"`
	Lembaga        string        `json:"lembaga"`
	ReaderSerial   string        `json:"reader_serial"`
	Address        string        `json:"address"`
	Region         string        `json:"region"`
	Mode           string        `json:"mode"`
	State          machine.State `json:"state"`
	StateLabel     string        `json:"state_label"`
	CauseLabel     string        `json:"cause_label"`
	ManifestSerial string        `json:"manifest_serial"`
	AcceptedOn     *clock.Date   `json:"accepted_on"`
	InstalledOn    *clock.Date   `json:"installed_on"`
	// Replaces and ReplacedBy are lines of the same letter: whose place it took, and which
	// took its.
	Replaces   *int `json:"replaces_line"`
	ReplacedBy *int `json:"replaced_by_line"`
}

// succession is which lines took the places of others, by their ids; always within a letter.
type succession struct {
	numbers map[string]int // of all lines
	heirs   map[string]int // numbers of heirs by whose place they took
}

func inPlace(lines []activation.Activation) succession {
	s := succession{map[string]int{}, map[string]int{}}
	for _, a := range lines {
		s.numbers[a.ID] = a.Number
		if a.Replaces != nil {
			s.heirs[*a.Replaces] = a.Number
		}
	}
	return s
}

// before is the line whose place a line took, nil for none.
func (s succession) before(a activation.Activation) *int {
	if a.Replaces == nil {
		return nil
	}
	n := s.numbers[*a.Replaces]
	return &n
}

// behind is the line that took the place of a line, nil for none.
func (s succession) behind(a activation.Activation) *int {
	if n, ok := s.heirs[a.ID]; ok {
		return &n
	}
	return nil
}

// readActivations reads them, oldest first.
func (l *life) readActivations(ctx context.Context, rd postgres.Reader, _ bool) error {
	l.Activations = []ChipActivation{}
	if !l.row.Activated {
		return nil
	}
	all, err := activation.OfCard(ctx, rd, l.ID)
	if err != nil {
		return err
	}
	l.readers = all
	lines := make([]activation.Activation, len(all))
	for i, a := range all {
		lines[i] = a.Activation
	}
	after := inPlace(lines)
	for _, a := range all {
		one := ChipActivation{
			Ticket: a.Ticket, Number: a.Number, Lembaga: a.Lembaga, ReaderSerial: a.Reader, Address: a.Address, Region: a.Region, Mode: a.Mode, State: a.State,
			StateLabel: activation.Machine.Label(a.State), CauseLabel: activation.CauseLabels[a.Cause], AcceptedOn: a.AcceptedOn, InstalledOn: a.InstalledOn,
			Replaces: after.before(a.Activation), ReplacedBy: after.behind(a.Activation),
		}
		if a.ManifestSerial != nil {
			one.ManifestSerial = *a.ManifestSerial
		}
		l.Activations = append(l.Activations, one)
	}
	return nil
}

// replies are the surat balasan aktivasi that tell of the card's readers: to eyes outside
// those of letters that name the card's own produsen.
func (l *life) replies(ctx context.Context, rd postgres.Reader, outside bool) ([]Document, error) {
	var lines []activation.Activation
	for _, a := range l.readers {
		if !outside || a.ProdusenID == l.applicant {
			lines = append(lines, a.Activation)
		}
	}
	return replies(ctx, rd, lines, outside)
}

// activated words a step of one of the card's activations, with the reader that it was of.
func (l *life) activated(t taken, outside bool) (Event, bool) {
	for _, a := range l.readers {
		if a.ID == t.Subject {
			return t.worded(sentence{text: "Reader " + a.Reader + " (" + a.Ticket + "): " + lowerFirst(activationSentence(t.Verb, t.From))}, true, outside)
		}
	}
	return Event{}, false
}

// lowerFirst is a sentence as the end of another.
func lowerFirst(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[size:]
}
