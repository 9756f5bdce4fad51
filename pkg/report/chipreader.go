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
	for _, a := range all {
		one := ChipActivation{
			Ticket: a.Ticket, Number: a.Number, Lembaga: a.Lembaga, ReaderSerial: a.Reader, Address: a.Address, Region: a.Region, Mode: a.Mode, State: a.State,
			StateLabel: activation.Machine.Label(a.State), CauseLabel: activation.CauseLabels[a.Cause], AcceptedOn: a.AcceptedOn, InstalledOn: a.InstalledOn,
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
			return t.worded(sentence{text: "Reader " + a.Reader + " (" + a.Ticket + "): " + lowerFirst(activationSentences[t.Verb])}, true, outside)
		}
	}
	return Event{}, false
}

// lowerFirst is a sentence as the end of another.
func lowerFirst(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[size:]
}
