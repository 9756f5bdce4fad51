package template_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

var officeAt = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

func by(name string, role machine.Role) template.Change {
	return template.Change{Actor: machine.Actor{Name: name, Role: role}, Reason: "uji", OfficeAt: officeAt}
}

var (
	ani     = by("ani", request.Operator)
	budi    = by("budi", request.Operator)
	citra   = by("citra", request.Kasubdit)
	dewi    = by("dewi", request.Persuratan)
	printer = by("document-generator", request.Generator)
)

type office struct {
	*postgres.DB
	t        *testing.T
	database *harness.Database
}

func newOffice(t *testing.T) office {
	t.Helper()
	database := harness.NewDatabase(t)
	o := office{database.Open(t, ""), t, database}
	require.NoError(t, machine.Sync(t.Context(), o.DB, template.Machine))
	all, err := template.FromProgram()
	require.NoError(t, err)
	o.ship(all)
	return o
}

func (o office) ship(all []template.Shipped) {
	o.t.Helper()
	require.NoError(o.t, o.InTx(o.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return template.Ship(ctx, tx, all, template.Change{OfficeAt: officeAt})
	}))
}

func (o office) do(f func(ctx context.Context, tx *postgres.Tx) (template.Edition, error)) (e template.Edition, err error) {
	err = o.InTx(o.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		e, err = f(ctx, tx)
		return err
	})
	return e, err
}

func (o office) offer(file []byte, ch template.Change) (template.Edition, error) {
	return o.do(func(ctx context.Context, tx *postgres.Tx) (template.Edition, error) {
		sound, err := template.Read(letter.ReplyLetter, file)
		require.NoError(o.t, err)
		return template.Offer(ctx, tx, sound, ch)
	})
}

func (o office) offered(file []byte, ch template.Change) template.Edition {
	o.t.Helper()
	e, err := o.offer(file, ch)
	require.NoError(o.t, err)
	return e
}

func (o office) sampled(e template.Edition) template.Edition {
	o.t.Helper()
	e, err := o.do(func(ctx context.Context, tx *postgres.Tx) (template.Edition, error) {
		return template.Sampled(ctx, tx, e, []byte("%PDF"), 7, printer)
	})
	require.NoError(o.t, err)
	return e
}

type step func(ctx context.Context, tx *postgres.Tx, s template.Seen, ch template.Change) (template.Edition, error)

func (o office) try(e template.Edition, s step, ch template.Change) (template.Edition, error) {
	return o.do(func(ctx context.Context, tx *postgres.Tx) (template.Edition, error) {
		return s(ctx, tx, template.Seen{ID: e.ID, Version: e.Version}, ch)
	})
}

func (o office) inForce(kind string) template.Edition {
	o.t.Helper()
	e, err := template.InForce(o.t.Context(), o, kind)
	require.NoError(o.t, err)
	return e
}

func reply(t *testing.T, words string) []byte {
	return paperoffice.Template(t, letter.ReplyLetter, "Lampiran", words)
}

// TestWhatCameWithTheProgramIsInForce once, and gives way to nothing but a newer program
// and people.
func TestWhatCameWithTheProgramIsInForce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	all, err := template.FromProgram()
	require.NoError(t, err)
	o.ship(all)
	list, err := template.List(t.Context(), o)
	require.NoError(t, err)
	require.Len(t, list, len(template.Kinds()))
	for _, kind := range template.Kinds() {
		e := o.inForce(kind)
		require.Equal(t, 1, e.Edition)
		require.True(t, e.Shipped)
		require.Equal(t, template.SetUp, *e.ApprovedBy)
		file, err := template.Content(t.Context(), o, e)
		require.NoError(t, err)
		require.NoError(t, template.Check(kind, file))
	}
	newer := []template.Shipped{{Kind: letter.ReplyLetter, File: reply(t, "Berkas")}}
	o.ship(newer)
	require.Equal(t, 2, o.inForce(letter.ReplyLetter).Edition, "a newer program brings what its papers need")
	o.ship(newer)

	own := o.sampled(o.offered(reply(t, "Sertaan"), ani))
	own, err = o.try(own, template.Approve, citra)
	require.NoError(t, err)
	o.ship([]template.Shipped{{Kind: letter.ReplyLetter, File: reply(t, "Turutan")}})
	require.Equal(t, own.ID, o.inForce(letter.ReplyLetter).ID, "people's own stays")
	waiting, err := template.Unsampled(t.Context(), o)
	require.NoError(t, err)
	require.Len(t, waiting, 1, "and the program's is offered to them")
	require.Equal(t, 4, waiting[0].Edition)
	o.ship(all)
	require.Equal(t, own.ID, o.inForce(letter.ReplyLetter).ID)
}

// TestTwoPeopleAndASample: none of them can be left out, here and in the database.
func TestTwoPeopleAndASample(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var role *machine.RoleError
	for _, who := range []machine.Role{request.Produsen, request.Lembaga, request.Dirjen, request.Generator} {
		_, err := o.offer(reply(t, "Berkas"), by("x", who))
		require.ErrorAs(t, err, &role, who)
	}
	silent := ani
	silent.Reason = "  "
	_, err := o.offer(reply(t, "Berkas"), silent)
	require.ErrorIs(t, err, template.ErrReasonMissing)

	e := o.offered(reply(t, "Berkas"), dewi)
	require.Equal(t, 2, e.Edition)
	require.Equal(t, template.Offered, e.State)
	var illegal *machine.IllegalError
	_, err = o.try(e, template.Approve, citra)
	require.ErrorIs(t, err, template.ErrNotSampled, "nobody has seen a sample")
	_, err = o.do(func(ctx context.Context, tx *postgres.Tx) (template.Edition, error) {
		if _, err := tx.Exec(ctx, `UPDATE letter_template SET state = 'superseded', version = version + 1 WHERE state = 'active' AND kind = $1`, e.Kind); err != nil {
			return e, err
		}
		_, err := tx.Exec(ctx, `UPDATE letter_template SET state = 'active', approved_by = 'citra', version = version + 1 WHERE id = $1`, e.ID)
		return e, err
	})
	require.ErrorContains(t, err, "letter_template_sampled")

	require.NoError(t, o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return template.SampleWaits(ctx, tx, e, "LibreOffice jauh")
	}))
	waits, err := template.Get(t.Context(), o, e.ID)
	require.NoError(t, err)
	require.Equal(t, "LibreOffice jauh", waits.SampleProblem)
	require.Equal(t, e.Version, waits.Version, "a wait is no step")

	e = o.sampled(e)
	require.Equal(t, template.Proposed, e.State)
	require.Equal(t, 7, *e.SamplePages)
	require.Empty(t, e.SampleProblem)
	for _, who := range []template.Change{by("dewi", request.Kasubdit), by("dewi", request.Operator)} {
		_, err = o.try(e, template.Approve, who)
		require.ErrorIs(t, err, template.ErrSamePerson)
	}
	_, err = o.try(e, template.Approve, by("eko", request.Persuratan))
	require.ErrorAs(t, err, &role)
	_, err = o.do(func(ctx context.Context, tx *postgres.Tx) (template.Edition, error) {
		if _, err := tx.Exec(ctx, `UPDATE letter_template SET state = 'superseded', version = version + 1 WHERE state = 'active' AND kind = $1`, e.Kind); err != nil {
			return e, err
		}
		_, err := tx.Exec(ctx, `UPDATE letter_template SET state = 'active', approved_by = offered_by, version = version + 1 WHERE id = $1`, e.ID)
		return e, err
	})
	require.ErrorContains(t, err, "letter_template_two_people")
	first := o.inForce(letter.ReplyLetter)
	e, err = o.try(e, template.Approve, budi)
	require.NoError(t, err)
	require.Equal(t, e.ID, o.inForce(letter.ReplyLetter).ID)
	_, err = o.try(e, template.Refuse, citra)
	require.ErrorAs(t, err, &illegal)

	// The one of before stays, and comes back by the same way.
	first, err = template.Get(t.Context(), o, first.ID)
	require.NoError(t, err)
	require.Equal(t, template.Superseded, first.State)
	first, err = o.try(first, template.OfferAgain, ani)
	require.NoError(t, err)
	require.Nil(t, first.SampleBlob, "its sample is of another day")
	first, err = o.try(o.sampled(first), template.Approve, budi)
	require.NoError(t, err)
	require.Equal(t, first.ID, o.inForce(letter.ReplyLetter).ID)
	steps, err := template.Machine.TimelineOf(t.Context(), o, first.ID)
	require.NoError(t, err)
	require.Len(t, steps, 6)

	// A file that is there already is not another edition.
	var known *template.KnownError
	_, err = o.offer(reply(t, "Berkas"), ani)
	require.ErrorAs(t, err, &known)
	require.Equal(t, 2, known.Edition)
}

func TestWhatWasSentInNeverChanges(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	e := o.sampled(o.offered(reply(t, "Berkas"), ani))
	for _, statement := range []string{
		`UPDATE letter_template SET sha256 = sha256('x') WHERE id = $1`, `UPDATE letter_template SET file_blob = sample_blob WHERE id = $1`,
		`UPDATE letter_template SET shipped = true WHERE id = $1`, `UPDATE letter_template SET sample_pages = 1 WHERE id = $1`,
		`UPDATE letter_template SET offered_by = 'budi' WHERE id = $1`, `DELETE FROM letter_template WHERE id = $1`,
	} {
		_, err := o.do(func(ctx context.Context, tx *postgres.Tx) (template.Edition, error) {
			_, err := tx.Exec(ctx, statement, e.ID)
			return e, err
		})
		require.ErrorContains(t, err, "what was sent in, and the sample that was looked at, never change", statement)
	}
	portal := o.database.Open(t, "sifilma_portal")
	err := portal.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO letter_template (id, kind, edition, file_blob, sha256, state, offered_by, note, offered_at, shipped)
			SELECT gen_random_uuid(), kind, 9, file_blob, sha256('y'), 'offered', 'ani', '', offered_at, true FROM letter_template WHERE id = $1`, e.ID)
		return err
	})
	require.ErrorContains(t, err, "permission denied")
}

// TestOfTwoApprovalsAtOnceOneIsInForce, whichever was last.
func TestOfTwoApprovalsAtOnceOneIsInForce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	one, other := o.sampled(o.offered(reply(t, "Berkas"), ani)), o.sampled(o.offered(reply(t, "Sertaan"), ani))
	var all sync.WaitGroup
	for _, e := range []template.Edition{one, other} {
		all.Go(func() {
			_, err := o.try(e, template.Approve, citra)
			require.NoError(t, err)
		})
	}
	all.Wait()
	list, err := template.List(t.Context(), o)
	require.NoError(t, err)
	states := map[machine.State]int{}
	for _, e := range list {
		if e.Kind == letter.ReplyLetter {
			states[e.State]++
		}
	}
	require.Equal(t, map[machine.State]int{template.Active: 1, template.Superseded: 2}, states)
}

func TestASampleThatComesLateChangesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	e := o.offered(reply(t, "Berkas"), ani)
	refused, err := o.try(e, template.Refuse, ani)
	require.NoError(t, err, "whoever offered it takes it back")
	_, err = o.do(func(ctx context.Context, tx *postgres.Tx) (template.Edition, error) {
		return template.Sampled(ctx, tx, e, []byte("%PDF"), 7, printer)
	})
	require.ErrorIs(t, err, postgres.ErrStale)
	again, err := o.try(refused, template.OfferAgain, budi)
	require.NoError(t, err)
	failed, err := o.do(func(ctx context.Context, tx *postgres.Tx) (template.Edition, error) {
		return template.NotPrintable(ctx, tx, again, printer)
	})
	require.NoError(t, err)
	require.Equal(t, template.Unprintable, failed.State)
	require.Equal(t, "uji", failed.SampleProblem)
}

// TestEveryFaultIsToldInWords that say where it is.
func TestEveryFaultIsToldInWords(t *testing.T) {
	t.Parallel()
	file := paperoffice.Template(t, letter.BAST, "{{first_party_name}}", "{{first_party_nama}}", "{{ticket}}", "", "{{@verification_qr}}", "", "{{serial}}", "{{serialnya}}",
		"<w:body>", `<w:body><w:p><w:r><w:t>Nomor {{no}}</w:t></w:r></w:p><w:p><w:ins><w:r><w:t>sisipan</w:t></w:r></w:ins></w:p>`)
	var faults form.Faults
	require.ErrorAs(t, template.Check(letter.BAST, file), &faults)
	var said []string
	for _, f := range faults {
		require.Equal(t, "/file", f.Pointer)
		require.False(t, strings.Contains(f.Detail, "%!"), f.Detail)
		said = append(said, f.Detail)
	}
	all := strings.Join(said, "\n")
	for _, words := range []string{
		"Tag {{first_party_nama}} tidak dikenal untuk naskah ini. Mungkin maksudnya {{first_party_name}}.",
		"Badan naskah, di dalam tabel, pada “", "Tag wajib {{ticket}} tidak ada: Kode Tiket.", "Gambar wajib {{@verification_qr}} tidak ada: kode QR",
		"Tag {{serialnya}} (baris cards) tidak dikenal untuk naskah ini. Mungkin maksudnya {{serial}} (baris cards).", "Kolom wajib {{serial}} tidak ada di baris cards",
		"Badan naskah, pada “Nomor {{no}}”: Tag {{no}} hanya berisi di baris tabel yang diulang. Letakkan di antara {{#cards}} dan {{/cards}}",
		"Badan naskah, pada “sisipan”: Ada perubahan terlacak",
	} {
		require.Contains(t, all, words)
	}
	for words, wrong := range map[string]struct {
		kind string
		file []byte
	}{
		"Berkas ini PDF. Simpan sebagai Dokumen Word (.docx)": {letter.BAST, []byte("%PDF-1.7")}, "tidak dikenal": {letter.ResultList, file},
		"Paling besar 3 MB": {letter.BAST, make([]byte, template.MaxBytes+1)}, "Pilih dahulu": {letter.BAST, nil},
	} {
		require.ErrorAs(t, template.Check(wrong.kind, wrong.file), &faults)
		require.Len(t, faults, 1)
		require.Contains(t, faults[0].Detail, words)
	}
}
