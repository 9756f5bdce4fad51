package blanks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
)

// Brought is what is typed of who brought blanks, for the receipt that they get.
type Brought struct {
	MovementID string // of the book; empty for what was counted when the request was registered
	By         letter.Signature
}

// Attest asks for a tanda terima blangko; its paper follows. What came in is attested
// once: whoever asks for the same again is answered by the paper that is there, until it
// is voided. Errors: request.ErrNotFound, ErrInside, *machine.RoleError, form.Faults.
func (d Desk) Attest(ctx context.Context, who identity.Account, ticket string, n Brought) error {
	r, err := d.on(ctx, who, ticket, stock.AttestVerb)
	if err != nil {
		return err
	}
	var wrong form.Faults
	wrong.Need("/brought_by", "Nama yang menyerahkan", &n.By.Name, maxName)
	wrong.Need("/post", "Jabatan yang menyerahkan", &n.By.Post, maxName)
	if len(wrong) > 0 {
		return wrong
	}
	c := d.change(who, "")
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := request.Lock(ctx, tx, r.ID); err != nil { // one at a time, so that the second sees the first
			return err
		}
		count, err := arrival(ctx, tx, r, n.MovementID)
		if err != nil {
			return err
		}
		if there, err := attested(ctx, tx, r.ID, count, n.By); there || err != nil {
			return err
		}
		count.BroughtBy, count.ReceivedBy = n.By, letter.Signature{Name: who.Name, Post: letter.PostOf(who.Role)}
		asked, err := letter.Ask(ctx, tx, letter.Asked{Kind: letter.BlankReceipt, RequestID: r.ID, Dated: d.Today()}, count, c)
		if err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.ask", asked.ID, r.ID, map[string]any{"kind": asked.Kind, "quantity": count.Quantity})
	})
}

// attested says whether a receipt stands already of what came in, by the same person; of
// another person it is a fault.
func attested(ctx context.Context, rd postgres.Reader, requestID string, count letter.BlankCount, by letter.Signature) (bool, error) {
	list, err := letter.AskedStanding(ctx, rd, letter.BlankReceipt, requestID)
	if err != nil {
		return false, err
	}
	for _, a := range list {
		var had letter.BlankCount
		if err := json.Unmarshal(a.Facts, &had); err != nil {
			return false, fmt.Errorf("blanks: facts of a receipt: %w", err)
		}
		if had.MovementID != count.MovementID || had.MovementID == "" && (had.Quantity != count.Quantity || had.BroughtOn != count.BroughtOn) {
			continue // other blanks, or a count that was made anew
		}
		if had.BroughtBy != by {
			return false, form.One("/brought_by", "paper_exists", fmt.Sprintf(
				"Tanda terima atas blangko ini sudah disusun untuk %s (%s). Batalkan dahulu bila keliru, lalu susun lagi.", had.BroughtBy.Name, had.BroughtBy.Post))
		}
		return true, nil
	}
	return false, nil
}

// arrival is what came in: a line of the book, or what was counted at registration.
func arrival(ctx context.Context, rd postgres.Reader, r request.Request, movementID string) (n letter.BlankCount, err error) {
	if movementID != "" {
		book, err := stock.Movements(ctx, rd, r.ID)
		if err != nil {
			return n, err
		}
		i := slices.IndexFunc(book, func(m stock.Movement) bool {
			return m.ID == movementID && m.Kind == stock.Receipt && !m.Reversed && m.Reverses == nil
		})
		if i < 0 {
			return n, form.One("/movement", "unknown_value", "Pilih penerimaan yang ada di buku blangko dan tidak dibatalkan.")
		}
		m := book[i]
		return letter.BlankCount{BroughtOn: m.Happened, Quantity: m.Quantity, MovementID: m.ID, Explanation: m.Reason}, nil
	}
	facts, err := request.Facts(ctx, rd, r.ID)
	if err != nil {
		return n, err
	}
	i := slices.IndexFunc(facts, func(f request.Fact) bool { return f.Fact == request.FactBlanksCounted })
	if i < 0 {
		return n, form.One("/movement", "missing", "Blangko permohonan ini belum dihitung.")
	}
	var counted struct {
		Count int `json:"count"`
	}
	if err := json.Unmarshal(facts[i].Detail, &counted); err != nil {
		return n, fmt.Errorf("blanks: count: %w", err)
	}
	n = letter.BlankCount{Quantity: counted.Count, Listed: r.CardCount}
	n.BroughtOn, err = facts[i].ReceivedOn()
	return n, err
}

// Print asks for the lembar harian of a day as it is now; its paper follows. Errors:
// ErrInside, *machine.RoleError, form.Faults.
func (d Desk) Print(ctx context.Context, who identity.Account, day clock.Date) error {
	if report.Outside(who) {
		return ErrInside
	}
	if err := stock.May(stock.SheetVerb, who.Role); err != nil {
		return err
	}
	switch {
	case day.IsZero():
		return form.One("/day", "missing", "Tanggal wajib diisi.")
	case day.After(d.Today()):
		return form.One("/day", "in_future", "Tanggal tidak boleh setelah hari ini.")
	}
	c := d.change(who, "")
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		facts, err := report.DayFacts(ctx, tx, day, c.OfficeAt)
		if err != nil {
			return err
		}
		facts.MadeBy = letter.Signature{Name: who.Name, Post: letter.PostOf(who.Role)}
		facts.KnownBy = letter.Signature{Post: letter.PostOf(request.Kasubdit)}
		knows, err := letter.SignatoryOn(ctx, tx, letter.KasubditKI, d.Today())
		switch {
		case err == nil:
			facts.KnownBy = letter.Signature{Name: knows.Name, Post: knows.Printed()}
		case !errors.Is(err, letter.ErrNoSignatory):
			return err
		}
		asked, err := letter.Ask(ctx, tx, letter.Asked{Kind: letter.DaySheet, Dated: day}, facts, c)
		if err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.ask", asked.ID, "", map[string]any{
			"kind": asked.Kind, "day": day.String(), "head_seq": facts.HeadSeq, "head_hash": facts.HeadHash,
		})
	})
}

// sheets are the printed sheets of a day; one that is being made has no id yet.
func sheets(ctx context.Context, rd postgres.Reader, day clock.Date) ([]Paper, error) {
	asked, err := letter.AskedOn(ctx, rd, letter.DaySheet, day)
	if err != nil {
		return nil, err
	}
	papers := []Paper{}
	for _, a := range asked {
		p := Paper{State: letter.Drafted, StateLabel: letter.Machine.Label(letter.Drafted), Formats: []string{}}
		doc, err := letter.Newest(ctx, rd, letter.DaySheet, a.ID)
		switch {
		case err == nil:
			p = shownPaper(doc)
		case !errors.Is(err, letter.ErrNotFound):
			return nil, err
		}
		papers = append(papers, p)
	}
	return papers, nil
}

// receipts are the tanda terima blangko among the papers of a request.
func receipts(papers []letter.Document) []Paper {
	list := []Paper{}
	for _, d := range papers {
		if d.Kind == letter.BlankReceipt {
			list = append(list, shownPaper(d))
		}
	}
	return list
}

func shownPaper(d letter.Document) Paper {
	p := Paper{ID: d.ID, State: d.State, StateLabel: letter.Machine.Label(d.State), Formats: report.DocumentFormats(d, false)}
	if d.Number != nil {
		p.Number = *d.Number
	}
	return p
}
