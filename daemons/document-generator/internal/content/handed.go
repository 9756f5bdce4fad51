package content

import (
	"context"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// gatherHanded reads what a BAST tells of its handover, and where that stands among
// the handovers of its request.
func (f *facts) gatherHanded(ctx context.Context, rd postgres.Reader) (err error) {
	if f.handed, err = handover.Get(ctx, rd, f.doc.SubjectID); err != nil {
		return err
	}
	if f.cards, err = handover.Cards(ctx, rd, f.doc.SubjectID); err != nil {
		return err
	}
	if len(f.cards) != f.handed.Quantity {
		return fmt.Errorf("content: handover %s counts %d cards and lists %d", f.doc.SubjectID, f.handed.Quantity, len(f.cards))
	}
	if f.tally, err = perso.Counts(ctx, rd, f.doc.RequestID); err != nil {
		return err
	}
	f.whole = f.request.CardCount - f.tally.Reduced
	all, err := handover.List(ctx, rd, f.doc.RequestID)
	for _, h := range all {
		switch {
		case h.Ordinal >= f.handed.Ordinal:
		case h.State == handover.Cancelled:
			f.unnumbered = true
		default:
			f.earlier += h.Quantity
		}
	}
	return err
}

// handoverNote places a handover among those of its request; empty when it is the only
// one (features.md N25, N26: what is handed over may be less than was asked for). It may
// be while others of its cards are still personalised. It does not count the handovers
// where one before it was taken back: nobody outside has seen that one.
func (f facts) handoverNote() string {
	rest := f.whole - f.earlier - f.handed.Quantity
	if f.earlier == 0 && rest <= 0 {
		return ""
	}
	which := fmt.Sprintf("ke-%d", f.handed.Ordinal)
	if f.unnumbered {
		which = "bertahap"
	}
	note := ", sebagai penyerahan " + which + " dari jumlah seluruhnya " + pieces(f.whole)
	switch unfinished := f.whole - f.tally.Clear; {
	case rest <= 0:
		return note + " tanpa sisa,"
	case unfinished <= 0:
		return note + " dengan sisa " + pieces(rest) + ","
	case unfinished < rest:
		return note + " dengan sisa " + pieces(rest) + ", yaitu " + pieces(unfinished) + " yang belum selesai dipersonalisasi dan " +
			pieces(rest-unfinished) + " yang sudah selesai,"
	}
	return note + " dengan sisa " + pieces(rest) + " yang belum selesai dipersonalisasi,"
}

// lembagaShares are the lembaga pengguna of the request, each with the number of the
// handed cards that are for it where there are several.
func (f facts) lembagaShares() string {
	if len(f.request.Lines) < 2 {
		return f.request.LembagaNames()
	}
	of := map[int]int{}
	for _, c := range f.cards {
		of[c.Line]++
	}
	var shares []string
	for _, l := range f.request.Lines {
		if of[l.Line] > 0 {
			shares = append(shares, l.Lembaga+" sebanyak "+pieces(of[l.Line]))
		}
	}
	return terbilang.List(shares)
}

// title is the post that a signatory holds or acts in, on one line: whom they sign for
// stands above the signature only.
func title(s letter.Signatory) string {
	if s.Form == letter.Plt || s.Form == letter.Plh {
		return strings.ReplaceAll(s.Printed(), "\n", " ")
	}
	return s.Post
}
