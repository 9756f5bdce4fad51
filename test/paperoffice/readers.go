package paperoffice

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Today is the office's day at At.
var Today = clock.DateOf(At)

// HandOver delivers all cards of a request that is done to its produsen.
func (o *Office) HandOver(t testing.TB, r Request) (h handover.Handover) {
	t.Helper()
	h = o.Open(t, r, 0)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		c := As(request.Generator, "")
		d, _, err := letter.Make(ctx, tx, letter.Draft{Kind: letter.BAST, SubjectID: h.ID, RequestID: h.RequestID, Dated: Today, Numbering: "BAST-{urut}"}, c)
		if err != nil {
			return err
		}
		ref, err := blob.Put(ctx, tx, "bast.pdf", "application/pdf", strings.NewReader("%PDF"))
		if err != nil {
			return err
		}
		if _, err := letter.Attach(ctx, tx, d, letter.Files{PDF: ref.ID.String()}, c); err != nil {
			return err
		}
		if h, err = handover.DraftBAST(ctx, tx, h, c); err != nil {
			return err
		}
		scan, err := blob.Put(ctx, tx, "bast-bertanda-tangan.pdf", "application/pdf", strings.NewReader("%PDF "+h.ID))
		if err != nil {
			return err
		}
		h, err = handover.Deliver(ctx, tx, h, handover.Delivery{
			Representative: "Wakil Produsen Contoh", Post: "PIC Produsen", Of: handover.OfProdusen, On: Today, ScanBlob: scan.ID.String(),
		}, As(request.Operator, ""))
		return err
	})
	return h
}

// Reader is the reader that the tests put a card into.
func Reader(serial string) string { return "RDR" + serial }

// Lembaga makes the plan's first lembaga an institution with a PKS in force.
func (o *Office) Lembaga(t testing.TB) (in institution.Institution) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if in, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: o.Plan.Lembaga[0], Address: "Jl. Contoh No. 2"}); err != nil {
			return err
		}
		return institution.EnsurePKS(ctx, tx, institution.PKS{
			Number: "PKS/1/2026", InstitutionID: in.ID, ValidFrom: clock.MustParseDate("2026-01-01"), ValidTo: clock.MustParseDate("2027-12-31"), State: institution.PKSInForce,
		})
	})
	return in
}

// ReaderLines are what a letter says of the cards of a request, each in its Reader.
func (o *Office) ReaderLines(t testing.TB, r Request) (lines []activation.Line) {
	t.Helper()
	var cards []struct {
		Serial     string `db:"serial"`
		PCID       string `db:"pcid"`
		ManifestNo string `db:"manifest_no"`
	}
	require.NoError(t, o.DB.Select(t.Context(), &cards, `SELECT serial, pcid, manifest_no FROM card WHERE request_id = $1 AND state = 'clear' ORDER BY serial`, r.ID))
	for i, c := range cards {
		lines = append(lines, activation.Line{
			Reader: Reader(c.Serial), SAM: c.Serial, Origin: c.Serial, Perso: c.ManifestNo, PCID: c.PCID, MachineType: "uji", Mode: activation.Offline,
			Address: fmt.Sprintf("Kantor Cabang %d, Jl. Contoh No. 3", i+1), Region: "Kota Contoh",
		})
	}
	return lines
}

// Pair records the readers of a request's cards.
func (o *Office) Pair(t testing.TB, lines []activation.Line) {
	t.Helper()
	pairs := make([]activation.Pair, len(lines))
	for i, l := range lines {
		pairs[i] = activation.Pair{SAM: l.SAM, Reader: l.Reader}
	}
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return activation.RecordPairs(ctx, tx, "", pairs, activation.SourceForm, As(request.Operator, ""))
	})
}

// Asks submits an activation letter of a lembaga for these lines.
func (o *Office) Asks(t testing.TB, in institution.Institution, number string, lines []activation.Line) (l activation.Letter) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "surat.pdf", "application/pdf", strings.NewReader("%PDF"))
		if err != nil {
			return err
		}
		l, err = activation.Create(ctx, tx, activation.New{LembagaID: in.ID, By: in.ID, Lines: lines, Scan: ref.ID.String(), Form: activation.Form{
			Produsen: o.Plan.Produsen, Number: number, Date: Today, Subject: "Permohonan Aktivasi Perangkat Pembaca KTP-el", Leader: "Pimpinan Contoh", LeaderPost: "Direktur Utama",
		}}, As(request.Lembaga, ""))
		return err
	})
	return l
}

// Judge checks what was submitted of a letter, as the validator does.
func (o *Office) Judge(t testing.TB, l activation.Letter) (passed, returned int) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		passed, returned, err = activation.Judge(ctx, tx, l.ID, As(request.Validator, ""))
		return err
	})
	return passed, returned
}

// OnLetter does something to a letter as it stands.
func (o *Office) OnLetter(t testing.TB, l activation.Letter, role machine.Role, reason string, do func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error) {
	t.Helper()
	require.NoError(t, o.TryLetter(t, l, role, reason, do))
}

// TryLetter is OnLetter for what may fail.
func (o *Office) TryLetter(t testing.TB, l activation.Letter, role machine.Role, reason string, do func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error) error {
	t.Helper()
	return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		now, err := activation.LockID(ctx, tx, l.ID)
		if err != nil {
			return err
		}
		return do(ctx, tx, now, As(role, reason))
	})
}

// Accepted takes all lines of a letter that passed the check through the hands of the
// office, until they are accepted.
func (o *Office) Accepted(t testing.TB, l activation.Letter) {
	t.Helper()
	o.OnLetter(t, l, request.Persuratan, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		if err := activation.Receive(ctx, tx, l, Today, c); err != nil {
			return err
		}
		now, err := activation.LockID(ctx, tx, l.ID)
		if err != nil {
			return err
		}
		return activation.Register(ctx, tx, now, nil, c)
	})
	o.OnLetter(t, l, request.Dirjen, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Approve(ctx, tx, l, nil, c)
	})
	o.OnLetter(t, l, request.Direktur, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Dispose(ctx, tx, l, nil, Today, c)
	})
	o.OnLetter(t, l, request.Kasubdit, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Accept(ctx, tx, l, nil, c)
	})
}

// Readers has cards made and handed over, and the activation of all of them accepted: what
// a manifest is made for.
func (o *Office) Readers(t testing.TB) (activation.Letter, []activation.Activation) {
	t.Helper()
	r := o.Done(t)
	o.HandOver(t, r)
	lines := o.ReaderLines(t, r)
	o.Pair(t, lines)
	l := o.Asks(t, o.Lembaga(t), "017/"+r.Ticket, lines)
	passed, returned := o.Judge(t, l)
	require.Equal(t, []int{len(lines), 0}, []int{passed, returned})
	o.Accepted(t, l)
	all, err := activation.Lines(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	return l, all
}
