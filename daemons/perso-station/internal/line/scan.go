package line

import (
	"context"
	"time"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/sam"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
)

// DefaultScanWithin is how long a scan waits for its card.
const DefaultScanWithin = 30 * time.Second

// scan is a serial that was read off a card and belongs to no card in a slot yet.
type scan struct {
	serial string
	at     time.Time
}

// Scanned takes what the scanner of a reader has read off a card. It is of the next
// card that is inserted there within the time for it, or of the one that waits there
// to be scanned. Two different serials with no card between them are of neither: the
// card is refused until it is taken out.
func (l *Line) Scanned(reader, text string) {
	serial := cardlist.Normalise(text)
	if serial == "" {
		return
	}
	now := l.Machine.Now()
	l.mu.Lock()
	kept := l.scans[reader][:0]
	for _, s := range l.scans[reader] {
		if now.Sub(s.at) < l.ScanWithin && s.serial != serial {
			kept = append(kept, s)
		}
	}
	l.scans[reader] = append(kept, scan{serial, now})
	l.mu.Unlock()
	l.Log.Info().Str("reader", reader).Str("scanned", serial).Msg("serial scanned")
	l.Wake()
}

// takeScan hands out the scan that waits at a reader, once; twice tells that there
// were different ones.
func (l *Line) takeScan(reader string) (serial string, twice bool) {
	now := l.Machine.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.scans[reader] {
		if now.Sub(s.at) < l.ScanWithin {
			twice = twice || serial != ""
			serial = s.serial
		}
	}
	delete(l.scans, reader)
	if twice {
		return "", true
	}
	return serial, false
}

// paired is the scan that belongs to the card of one insertion.
type paired struct {
	serial string
	twice  bool // different ones were there for it
}

// pair gives the card that has just come the scan that waits for it.
func (r *runner) pair() {
	serial, twice := r.line.takeScan(r.reader.Name())
	r.paired = paired{serial, twice}
}

// serial is the printed serial of a card, as its profile says where it is found. A
// *perso.Refusal says why it is not known.
func (t *task) serial(ctx context.Context, look sam.Look) (string, error) {
	switch t.kit.profile.Identify.Serial.From {
	case profile.FromUID:
		return perso.SerialOf(ctx, t.line.DB, look.ChipID)
	case profile.FromBarcode:
		return t.scanned(ctx, look)
	}
	return look.Serial, nil
}

// scanned is the serial that was scanned for the card. A chip that was claimed once has
// its serial for ever: then a scan may only say the same.
func (t *task) scanned(ctx context.Context, look sam.Look) (string, error) {
	known, err := perso.SerialOfChip(ctx, t.line.DB, look.ChipID)
	if err != nil {
		return "", err
	}
	if known == "" && t.paired == (paired{}) {
		t.pair() // it was scanned where it is
	}
	switch {
	case t.paired.twice:
		return "", &perso.Refusal{Why: perso.ScanTwice}
	case known != "" && t.paired.serial != "" && t.paired.serial != known:
		return "", &perso.Refusal{Why: perso.ScanDiffers}
	case known != "":
		return known, nil
	case t.paired.serial == "":
		return "", &perso.Refusal{Why: perso.ScanAwaited}
	}
	return t.paired.serial, nil
}
