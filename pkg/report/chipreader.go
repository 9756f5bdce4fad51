package report

import (
	"context"

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
