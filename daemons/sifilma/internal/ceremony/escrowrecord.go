package ceremony

import (
	"context"
	"strconv"
	"time"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// EscrowPaper is the berita acara of the escrow key's ceremony. It holds the public key
// and check values, never a part.
type EscrowPaper struct {
	At     time.Time
	Key    cardsecret.Escrow
	Checks [2]string
	Roles  []string // of witnesses, who sign besides the custodians and the operator
}

// Word fills the Word template of the berita acara.
func (p EscrowPaper) Word() ([]byte, error) {
	template, err := configs.Template("keys/berita-acara-escrow")
	if err != nil {
		return nil, err
	}
	values := map[string]string{
		"date_in_words": terbilang.DateInWords(clock.DateOf(p.At)), "time": p.At.In(clock.Jakarta).Format("15.04") + " WIB", "place": p.Key.Place,
		"edition": strconv.Itoa(p.Key.Edition), "recipient": p.Key.Recipient, "fingerprint": cardsecret.Spell(p.Key.Fingerprint),
	}
	var parts, signers []map[string]string
	for i, role := range p.Key.Custodians {
		parts = append(parts, map[string]string{
			"no": strconv.Itoa(i + 1), "custodian": role, "part": strconv.Itoa(i+1) + " dari 2", "size": strconv.Itoa(8*cardsecret.PartBytes) + " bit",
			"check": p.Checks[i], "kept": "kertas dalam amplop tersegel",
		})
	}
	all := append(append([]string(nil), p.Key.Custodians...), p.Roles...)
	for i, role := range append(all, "Pelaksana: "+p.Key.RecordedBy) {
		signers = append(signers, map[string]string{"no": strconv.Itoa(i + 1), "role": role})
	}
	return docx.Fill(template, values, map[string][]map[string]string{"parts": parts, "signers": signers})
}

// Write writes the berita acara as Paper.Write does.
func (p EscrowPaper) Write(ctx context.Context, path string) error {
	body, err := p.Word()
	if err != nil {
		return err
	}
	return writePaper(ctx, body, path)
}
