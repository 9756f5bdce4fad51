package activation_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

func codes(found []activation.Finding) (all []string) {
	for _, f := range found {
		all = append(all, fmt.Sprintf("%d %s %s", f.Number, f.Field, f.Code))
	}
	return all
}

// A wrong line comes back alone with all that is wrong with it; corrected, it goes on. What
// the office's record has instead is not told.
func TestAWrongLineComesBackAlone(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 4})
	r := o.Done(t)
	o.HandOver(t, r)
	in := o.Lembaga(t)
	right := o.ReaderLines(t, r)
	o.Pair(t, right[:3])
	sent := append([]activation.Line{}, right...)
	sent[1].PCID, sent[1].Perso, sent[1].Origin = right[0].PCID, right[0].Perso, "LAIN1"
	sent[2].Reader, sent[2].SAM = "RDR-BARU", "TAKADA1"
	l := o.Asks(t, in, "1", sent)
	passed, returned := o.Judge(t, l)
	require.Equal(t, []int{1, 3}, []int{passed, returned})
	require.Equal(t, []machine.State{activation.Validated, activation.Returned, activation.Returned, activation.Returned}, states(t, o, l))
	found, err := activation.Findings(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"2 origin_no differs", "2 pcid differs", "2 perso_no differs", "3 sam_serial unknown_value", "4 reader_serial not_paired"}, codes(found))
	for _, f := range found {
		require.NotContains(t, f.Detail, right[1].PCID)
	}
	p, q := o.Judge(t, l)
	require.Zero(t, p+q, "a bell that rings twice")

	o.Pair(t, right[3:])
	var illegal *machine.IllegalError
	err = o.TryLetter(t, l, request.Lembaga, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Correct(ctx, tx, l, map[int]activation.Line{1: right[0]}, c)
	})
	require.ErrorAs(t, err, &illegal, "what passed is not corrected")
	o.OnLetter(t, l, request.Lembaga, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Correct(ctx, tx, l, map[int]activation.Line{2: right[1], 3: right[2], 4: right[3]}, c)
	})
	passed, returned = o.Judge(t, l)
	require.Equal(t, []int{3, 0}, []int{passed, returned})
	require.Equal(t, 2, bells(t, o, "activation.submitted"))
	found, err = activation.Findings(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	require.Empty(t, found)
}

// Each rule about the card, its produsen, its lembaga and its reader.
func TestWhatTheRecordSays(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	first, second := o.Done(t), o.Done(t)
	in := o.Lembaga(t)
	lines := o.ReaderLines(t, first)
	o.Pair(t, lines)
	other := o.ReaderLines(t, second)
	o.HandOver(t, second)
	o.Pair(t, other)
	judge := func(number string, sent ...activation.Line) []string {
		l := o.Asks(t, in, number, sent)
		o.Judge(t, l)
		found, err := activation.Findings(t.Context(), o.DB, l.ID)
		require.NoError(t, err)
		return codes(found)
	}
	require.Equal(t, []string{"1 sam_serial not_handed_over"}, judge("1", lines[0]))
	o.HandOver(t, first)
	swapped := lines[0]
	swapped.Reader = lines[1].Reader
	require.Equal(t, []string{"1 reader_serial other_pair"}, judge("2", swapped))
	require.Empty(t, judge("3", lines[0]))
	require.Equal(t, []string{"1 reader_serial active_elsewhere", "1 sam_serial active_elsewhere"}, judge("4", lines[0]))

	stranger := o.Lembaga(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		stranger, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "Koperasi Lain"})
		return err
	})
	l := o.Asks(t, stranger, "1", other[:1])
	o.Judge(t, l)
	found, err := activation.Findings(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"1 pks not_in_force", "1 sam_serial other_lembaga"}, codes(found))

	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Lain"})
		return err
	})
	o.Plan.Produsen = "PT Produsen Lain"
	require.Equal(t, []string{"1 sam_serial other_produsen"}, judge("5", other[0]))
}

// Of two letters that claim one card and reader at once, one has them.
func TestClaimedAtOnce(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	r := o.Done(t)
	o.HandOver(t, r)
	in := o.Lembaga(t)
	lines := o.ReaderLines(t, r)
	o.Pair(t, lines)
	letters := []activation.Letter{o.Asks(t, in, "1", lines), o.Asks(t, in, "2", lines)}
	var all sync.WaitGroup
	var passed, returned [2]int
	for i := range letters {
		all.Go(func() { passed[i], returned[i] = o.Judge(t, letters[i]) })
	}
	all.Wait()
	require.Equal(t, []int{2, 2}, []int{passed[0] + passed[1], returned[0] + returned[1]})
	require.Contains(t, []int{0, 2}, passed[0])
}

// Nothing is accepted without the paper, the disposition and a PKS in force; and by nobody
// but those whose step it is.
func TestTheHandsThatItTakes(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	r := o.Done(t)
	o.HandOver(t, r)
	in := o.Lembaga(t)
	lines := o.ReaderLines(t, r)
	o.Pair(t, lines)
	l := o.Asks(t, in, "1", lines)
	o.Judge(t, l)
	do := func(role machine.Role, reason string, f func(ctx context.Context, tx *postgres.Tx, l activation.Letter, numbers []int, c request.Change) error, numbers ...int) error {
		return o.TryLetter(t, l, role, reason, func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
			return f(ctx, tx, l, numbers, c)
		})
	}
	dispose := func(ctx context.Context, tx *postgres.Tx, l activation.Letter, numbers []int, c request.Change) error {
		return activation.Dispose(ctx, tx, l, numbers, paperoffice.Today, c)
	}
	var wrongRole *machine.RoleError
	var illegal *machine.IllegalError
	require.ErrorIs(t, do(request.Persuratan, "", activation.Register), activation.ErrNoPaper)
	require.ErrorAs(t, do(request.Kasubdit, "", activation.Accept), &illegal)
	require.ErrorAs(t, o.TryLetter(t, l, request.Operator, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Receive(ctx, tx, l, paperoffice.Today, c)
	}), &wrongRole)
	o.OnLetter(t, l, request.Persuratan, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Receive(ctx, tx, l, paperoffice.Today, c)
	})
	require.ErrorIs(t, do(request.Persuratan, "", activation.Register, 7), activation.ErrNotFound)
	require.NoError(t, do(request.Persuratan, "", activation.Register))
	require.ErrorIs(t, do(request.Dirjen, "", activation.Reject, 2), activation.ErrReasonMissing)
	require.NoError(t, do(request.Dirjen, "Alamat tidak jelas.", activation.Reject, 2))
	require.ErrorAs(t, do(request.Direktur, "", activation.Approve), &wrongRole)
	require.NoError(t, do(request.Dirjen, "", activation.Approve))
	require.ErrorIs(t, do(request.Kasubdit, "", activation.Accept), activation.ErrNotDisposed)
	require.NoError(t, do(request.Direktur, "", dispose))
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE pks SET state = 'withdrawn'`)
		return err
	})
	var lapsed *institution.NotInForceError
	require.ErrorAs(t, do(request.Kasubdit, "", activation.Accept), &lapsed)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE pks SET state = 'in_force'`)
		return err
	})
	require.NoError(t, do(request.Kasubdit, "", activation.Accept))
	require.Equal(t, []machine.State{activation.Accepted, activation.Rejected}, states(t, o, l))
	require.Equal(t, 1, bells(t, o, "activation.accepted"))
}

// What stands on the revocation list: what has a manifest and does not count.
func TestTheRevocationList(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 4})
	l, all := o.Readers(t)
	require.NoError(t, signed(t, o, all[0], all[1], all[2]))
	list := func() (told []string) {
		rows, err := activation.RevocationList(t.Context(), o.DB)
		require.NoError(t, err)
		for _, r := range rows {
			require.NotEmpty(t, r.ManifestSerial)
			told = append(told, r.Reader+" "+string(r.State)+" "+r.Cause)
		}
		return told
	}
	require.Empty(t, list())
	in := o.Lembaga(t)
	suspend := func(do func(context.Context, *postgres.Tx, string, request.Change) (int, error), reason string) (n int) {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
			n, err = do(ctx, tx, in.ID, paperoffice.As(request.Kasubdit, reason))
			return err
		})
		return n
	}
	require.Equal(t, 4, suspend(activation.SuspendLembaga, "PKS dicabut"))
	require.Equal(t, 1, bells(t, o, "activation.revoked"), "one act")
	require.Len(t, list(), 3, "one has no manifest yet")
	require.Empty(t, awaiting(t, o), "nor gets one")
	require.Zero(t, suspend(activation.SuspendLembaga, "PKS dicabut"))
	require.Equal(t, 4, suspend(activation.ResumeLembaga, "PKS berlaku lagi"))
	require.Empty(t, list())
	require.Equal(t, []machine.State{activation.ManifestReady, activation.ManifestReady, activation.ManifestReady, activation.Accepted}, states(t, o, l))
	require.Equal(t, 2, bells(t, o, "activation.accepted"), "its manifest is still due")

	do := func(role machine.Role, f func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error) error {
		return o.TryLetter(t, l, role, "Laporan lembaga", f)
	}
	require.NoError(t, do(request.Operator, func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.End(ctx, tx, l, []int{1}, activation.VerbStolen, c)
	}))
	var wrongRole *machine.RoleError
	require.ErrorAs(t, do(request.Operator, func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.End(ctx, tx, l, []int{2}, activation.VerbRevoke, c)
	}), &wrongRole)
	var made activation.Activation
	replace := func(reader string) error {
		return do(request.Operator, func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) (err error) {
			made, err = activation.Replace(ctx, tx, l, 2, activation.Replacement{Reader: reader, Address: "Tempat baru", Region: "Kota Contoh"}, c)
			return err
		})
	}
	require.ErrorIs(t, replace(all[2].Reader), activation.ErrReaderTaken)
	require.NoError(t, replace("RDR-PENGGANTI"))
	require.Equal(t, 5, made.Number)
	require.Equal(t, activation.Accepted, made.State)
	require.NotEqual(t, *all[1].ManifestSerial, *made.ManifestSerial)
	require.NotEqual(t, *all[1].ReplyID, *made.ReplyID)
	require.Equal(t, []string{all[0].Reader + " revoked stolen", all[1].Reader + " revoked reader_replaced"}, list())
	require.NoError(t, do(request.Kasubdit, func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Move(ctx, tx, l, 3, "Alamat baru", "Kabupaten Contoh", c)
	}))
	moved, err := activation.GetLine(t.Context(), o.DB, all[2].ID)
	require.NoError(t, err)
	require.Equal(t, []string{"Alamat baru", "Kabupaten Contoh", "manifest_ready"}, []string{moved.Address, moved.Region, string(moved.State)})
	require.Len(t, list(), 2, "it moved and counts still")
}

// A produsen prepares the letter, its lembaga reads, completes and submits it (N8).
func TestAProdusenPreparesTheLetter(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	o.HandOver(t, r)
	in := o.Lembaga(t)
	lines := o.ReaderLines(t, r)
	maker, err := institution.ByName(t.Context(), o.DB, o.Plan.Produsen)
	require.NoError(t, err)
	n := activation.New{LembagaID: in.ID, By: maker.ID, Lines: lines, Draft: true, Form: activation.Form{
		Produsen: o.Plan.Produsen, Number: "9", Date: paperoffice.Today, Subject: "Aktivasi", Leader: "Pimpinan", LeaderPost: "Kepala",
	}}
	var l activation.Letter
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		l, err = activation.Create(ctx, tx, n, paperoffice.As(request.Produsen, ""))
		return err
	})
	kept, err := l.DraftLines()
	require.NoError(t, err)
	require.Equal(t, lines, kept)
	_, err = activation.ByTicket(t.Context(), o.DB, l.Ticket, "")
	require.ErrorIs(t, err, activation.ErrNotFound, "a draft is none of the office's")
	seen, err := activation.ByTicket(t.Context(), o.DB, l.Ticket, in.ID)
	require.NoError(t, err)
	require.Equal(t, l.ID, seen.ID)
	var wrongRole *machine.RoleError
	require.ErrorAs(t, o.TryLetter(t, l, request.Lembaga, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Discard(ctx, tx, l, in.ID, c)
	}), &wrongRole, "it is not the lembaga's to throw away")
	submit := func(role machine.Role) error {
		return o.TryLetter(t, l, role, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
			_, err := activation.Submit(ctx, tx, l, n, c)
			return err
		})
	}
	require.ErrorAs(t, submit(request.Produsen), &wrongRole)
	require.True(t, postgres.IsCheck(submit(request.Lembaga), ""), "without the scan of the letter")
	first := o.Asks(t, in, "9", lines)
	require.Equal(t, activation.LetterSubmitted, first.State)
	n.Scan = *first.Scan
	require.ErrorIs(t, submit(request.Lembaga), activation.ErrNumberUsed)
	var own activation.Letter
	mine := n
	mine.By, mine.Number = in.ID, "11"
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		own, err = activation.Create(ctx, tx, mine, paperoffice.As(request.Lembaga, ""))
		return err
	})
	_, err = activation.ByTicket(t.Context(), o.DB, own.Ticket, maker.ID)
	require.ErrorIs(t, err, activation.ErrNotFound, "a lembaga's own draft is none of the produsen's that it names")
	n.Number = "10"
	require.NoError(t, submit(request.Lembaga))
	require.Equal(t, []machine.State{activation.Submitted}, states(t, o, l))
	var illegal *machine.IllegalError
	require.ErrorAs(t, submit(request.Lembaga), &illegal)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE institution SET active = false WHERE kind = 'produsen'`)
		return err
	})
	require.ErrorIs(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := activation.Create(ctx, tx, n, paperoffice.As(request.Lembaga, ""))
		return err
	}), activation.ErrUnknownProdusen)
}

func TestPairs(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	r := o.Done(t)
	record := func(pairs ...activation.Pair) (told []string) {
		err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return activation.RecordPairs(ctx, tx, "", pairs, activation.SourceForm, paperoffice.As(request.Operator, ""))
		})
		if err == nil {
			return nil
		}
		var wrong form.Faults
		require.ErrorAs(t, err, &wrong)
		for _, f := range wrong {
			told = append(told, f.Pointer+" "+f.Code)
		}
		return told
	}
	require.Equal(t, []string{"/pairs/1/reader_serial repeated", "/pairs/2/sam_serial unknown_value"},
		record(activation.Pair{SAM: r.Serials[0], Reader: "R1"}, activation.Pair{SAM: r.Serials[1], Reader: "R1"}, activation.Pair{SAM: "X", Reader: "R2"}))
	require.Nil(t, record(activation.Pair{SAM: r.Serials[0], Reader: "R1"}))
	require.Equal(t, []string{"/pairs/0/reader_serial used"}, record(activation.Pair{SAM: r.Serials[1], Reader: "R1"}))
	require.Nil(t, record(activation.Pair{SAM: r.Serials[0], Reader: "R2"}), "typed wrong before")
	require.Nil(t, record(activation.Pair{SAM: r.Serials[1], Reader: "R1"}))
}

func TestTidy(t *testing.T) {
	t.Parallel()
	lines := []activation.Line{
		{Reader: " rdr-1 ", SAM: "sam1", Perso: "m-1", PCID: "0011 2233-44556677 8899aabbccddeeff", MachineType: "uji", Mode: "Online", Address: "A", Region: "B"},
		{Reader: "RDR-1", SAM: "SAM2", Perso: "m-2", PCID: "12", MachineType: "uji", Mode: "kadang", Address: "A"},
	}
	f := activation.Form{Produsen: "P", Number: "1", Date: clock.MustParseDate("2026-11-24"), Subject: "S", Leader: "L"}
	var told []string
	for _, w := range activation.Tidy(&f, lines, false, paperoffice.Today) {
		told = append(told, w.Pointer+" "+w.Code)
	}
	require.Equal(t, []string{
		"/leader_post missing", "/date in_future", "/lines/1/region missing", "/lines/1/pcid wrong_form", "/lines/1/mode unknown_value", "/lines/1/reader_serial repeated",
	}, told)
	require.Equal(t, activation.Line{
		Reader: "RDR-1", SAM: "SAM1", Origin: "SAM1", Perso: "M-1", PCID: "00112233445566778899AABBCCDDEEFF", MachineType: "uji", Mode: "online", Address: "A", Region: "B",
	}, lines[0])
}
