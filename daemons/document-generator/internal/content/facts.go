package content

import (
	"context"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
)

// facts are what a paper rests on.
type facts struct {
	doc      letter.Document
	signer   letter.Signatory
	request  request.Request
	produsen institution.Institution // who asks and receives the cards
	tally    perso.Tally
	from, to clock.Date // of the personalisation

	handed handover.Handover // of a BAST
	cards  []handover.Card   // of a BAST
	// whole is how many cards all handovers of the request come to, earlier how many
	// those before this one had; unnumbered says that one of these was taken back; of a BAST.
	whole, earlier int
	unnumbered     bool

	rows []perso.CardRow // of a result list

	reductions []perso.Reduction // of a letter

	destroyed stock.Destruction // of a berita acara kartu rusak

	activated activated         // of a surat balasan aktivasi
	counted   letter.BlankCount // of a tanda terima blangko
	sheet     letter.DayFacts   // of a lembar harian
	head      audit.SignedHead  // that it prints
}

// ErrUnsigned says that the head of the audit chain which a lembar harian prints is not
// signed yet: the sheet waits.
var ErrUnsigned = errors.New("content: the audit head of the day sheet is not signed yet")

// gather reads them.
func gather(ctx context.Context, rd postgres.Reader, d letter.Document) (facts, error) {
	f := facts{doc: d}
	var err error
	if f.signer, err = d.Signer(); err != nil {
		return f, fmt.Errorf("content: signatory of the paper: %w", err)
	}
	switch d.Kind {
	case letter.ActivationReply:
		f.activated, err = gatherReaders(ctx, rd, d.SubjectID)
		return f, err
	case letter.DaySheet:
		if _, err = letter.AskedFor(ctx, rd, d.SubjectID, &f.sheet); err != nil {
			return f, err
		}
		if f.head, err = audit.SignedFor(ctx, rd, d.SubjectID); errors.Is(err, audit.ErrNotSigned) {
			err = ErrUnsigned
		}
		return f, err
	}
	if f.request, err = request.Get(ctx, rd, d.RequestID); err != nil {
		return f, err
	}
	if err = f.request.LoadParts(ctx, rd); err != nil {
		return f, err
	}
	if f.produsen, err = institution.Get(ctx, rd, f.request.InstitutionID); err != nil {
		return f, err
	}
	switch d.Kind {
	case letter.BAST:
		return f, f.gatherHanded(ctx, rd)
	case letter.BlankReceipt:
		_, err = letter.AskedFor(ctx, rd, d.SubjectID, &f.counted)
		return f, err
	case letter.DestructionReport:
		f.destroyed, err = stock.GetDestruction(ctx, rd, d.SubjectID)
		return f, err
	case letter.ResultList:
		f.rows, err = perso.List(ctx, rd, d.RequestID)
		return f, err
	}
	if f.tally, err = perso.Counts(ctx, rd, d.RequestID); err != nil {
		return f, err
	}
	if f.reductions, err = perso.Reductions(ctx, rd, d.RequestID); err != nil {
		return f, err
	}
	f.from, f.to, err = period(ctx, rd, d)
	return f, err
}

// period is from the first card that a station took to the last result, in
// office time; without any of them the day of the paper.
func period(ctx context.Context, rd postgres.Reader, d letter.Document) (from, to clock.Date, err error) {
	var span struct {
		From clock.Date `db:"from_day"`
		To   clock.Date `db:"to_day"`
	}
	err = rd.Get(ctx, &span, `
		SELECT (min(h.office_at) AT TIME ZONE 'Asia/Jakarta')::date AS from_day,
		       (max(coalesce(c.finished_at, h.office_at)) AT TIME ZONE 'Asia/Jakarta')::date AS to_day
		FROM history h JOIN card c ON c.id = h.subject
		WHERE h.request_id = $1 AND h.machine = $2 AND h.verb = $3`,
		d.RequestID, perso.Machine.Name, string(perso.ClaimVerb))
	if err != nil {
		return from, to, fmt.Errorf("content: period of the personalisation: %w", err)
	}
	var none clock.Date
	if span.From == none || span.To == none {
		return *d.Dated, *d.Dated, nil
	}
	return span.From, span.To, nil
}
