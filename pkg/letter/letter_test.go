package letter_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

const numbering = "400.8.2.15/{urut}/Dukcapil"

var monday = clock.MustParseDate("2026-11-23")

func draft(kind, subject, requestID string) letter.Draft {
	d := letter.Draft{Kind: kind, SubjectID: subject, RequestID: requestID, Dated: monday, Numbering: numbering}
	if kind == letter.ResultList {
		d.Numbering = ""
	}
	return d
}

func makePaper(t *testing.T, o *paperoffice.Office, n letter.Draft) (d letter.Document, made bool) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		d, made, err = letter.Make(ctx, tx, n, paperoffice.As(request.Generator, ""))
		return err
	})
	return d, made
}

// attach gives a paper a file, as the press does.
func attach(t *testing.T, o *paperoffice.Office, d letter.Document) letter.Document {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "x.pdf", "application/pdf", strings.NewReader("%PDF"))
		if err != nil {
			return err
		}
		f := letter.Files{PDF: ref.ID.String()}
		if d.Kind == letter.ResultList {
			f = letter.Files{XLSX: ref.ID.String()}
		}
		d, err = letter.Attach(ctx, tx, d, f, paperoffice.As(request.Generator, ""))
		return err
	})
	return d
}

// TestNumbersHaveNoGaps: ten drafts at once, some of them rolled back, and
// different kinds on one counter.
func TestNumbersHaveNoGaps(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	var drafts sync.WaitGroup
	for i := range 10 {
		drafts.Go(func() {
			kind := []string{letter.BAST, letter.ReplyLetter, letter.CompletionLetter}[i%3]
			err := o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
				_, made, err := letter.Make(ctx, tx, draft(kind, uuid.NewString(), r.ID), paperoffice.As(request.Generator, ""))
				if err == nil && (!made || i >= 7) {
					return context.Canceled // gives its number back
				}
				return err
			})
			if i < 7 && err != nil {
				t.Error(err)
			}
		})
	}
	drafts.Wait()
	list, err := letter.List(t.Context(), o.DB, r.ID)
	require.NoError(t, err)
	numbers := map[string]bool{}
	for _, d := range list {
		require.Equal(t, letter.Numbered, d.State)
		numbers[*d.Number] = true
	}
	require.Len(t, numbers, 7)
	for n := 1; n <= 7; n++ {
		require.True(t, numbers[fmt.Sprintf("400.8.2.15/%d/Dukcapil", n)], n)
	}
}

// TestNumbersStartAgainEachYear: the number need not name the year.
func TestNumbersStartAgainEachYear(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	for _, c := range []struct {
		day, numbering, want string
	}{
		{"2026-12-31", numbering, "400.8.2.15/1/Dukcapil"},
		{"2027-01-01", numbering, "400.8.2.15/1/Dukcapil"},
		{"2027-01-01", numbering, "400.8.2.15/2/Dukcapil"},
		{"2027-01-04", "470/{urut}/{tahun}", "470/1/2027"},
	} {
		n := draft(letter.BAST, uuid.NewString(), r.ID)
		n.Dated, n.Numbering = clock.MustParseDate(c.day), c.numbering
		d, made := makePaper(t, o, n)
		require.True(t, made)
		require.Equal(t, c.want, *d.Number)
	}
	// Whoever writes the SQL: a number is given once in its year.
	err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO document (id, kind, subject_id, request_id, state, number, dated, created_at)
			SELECT gen_random_uuid(), kind, gen_random_uuid(), request_id, 'drafted', '400.8.2.15/1/Dukcapil', dated, created_at FROM document WHERE number = '400.8.2.15/2/Dukcapil'`)
		return err
	})
	require.True(t, postgres.IsUnique(err, "document_number"), err)
}

// TestOneLivingPaper: ten who ask at once for one paper get one.
func TestOneLivingPaper(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	var mu sync.Mutex
	got, mades := map[string]int{}, 0
	var askers sync.WaitGroup
	for range 10 {
		askers.Go(func() {
			var d letter.Document
			var made bool
			err := o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) (err error) {
				d, made, err = letter.Make(ctx, tx, draft(letter.ReplyLetter, r.ID, r.ID), paperoffice.As(request.Generator, ""))
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			got[d.ID]++
			if made {
				mades++
			}
		})
	}
	askers.Wait()
	require.Len(t, got, 1)
	require.Equal(t, 1, mades)
	other, made := makePaper(t, o, draft(letter.CompletionLetter, r.ID, r.ID))
	require.True(t, made)
	require.Equal(t, "400.8.2.15/2/Dukcapil", *other.Number, "who asked in vain used no number")
}

// TestVoidKeepsItsNumber: and the paper in its place gets the next.
func TestVoidKeepsItsNumber(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	first, _ := makePaper(t, o, draft(letter.ReplyLetter, r.ID, r.ID))
	err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.Cancel(ctx, tx, first, paperoffice.As(request.Persuratan, ""))
		return err
	})
	require.ErrorIs(t, err, letter.ErrReasonMissing)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		void, err := letter.Cancel(ctx, tx, first, paperoffice.As(request.Persuratan, "salah tujuan"))
		if err == nil {
			require.Equal(t, letter.Void, void.State)
			require.Equal(t, "400.8.2.15/1/Dukcapil", *void.Number)
		}
		return err
	})
	second, made := makePaper(t, o, draft(letter.ReplyLetter, r.ID, r.ID))
	require.True(t, made)
	require.Equal(t, "400.8.2.15/2/Dukcapil", *second.Number)
	// A press that still has the void paper in hand comes too late.
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.Attach(ctx, tx, first, letter.Files{}, paperoffice.As(request.Generator, ""))
		return err
	})
	require.ErrorIs(t, err, postgres.ErrStale)
}

// TestLifeOfALetter: from draft to the signed scan, by the right people only.
func TestLifeOfALetter(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	d, _ := makePaper(t, o, draft(letter.ReplyLetter, r.ID, r.ID))
	waiting, err := letter.Waiting(t.Context(), o.DB, nil, 10)
	require.NoError(t, err)
	require.Len(t, waiting, 1)
	signer, err := d.Signer()
	require.NoError(t, err)
	require.Equal(t, letter.Dirjen, signer.PostCode)
	require.Equal(t, "Pejabat Contoh", signer.Name)

	issue := func(d letter.Document, c request.Change) (issued letter.Document, err error) {
		err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			ref, err := blob.Put(ctx, tx, "scan.pdf", "application/pdf", strings.NewReader("%PDF signed"))
			if err != nil {
				return err
			}
			issued, err = letter.Issue(ctx, tx, d, ref.ID.String(), monday, c)
			return err
		})
		return issued, err
	}
	var illegal *machine.IllegalError
	_, err = issue(d, paperoffice.As(request.Persuratan, ""))
	require.ErrorAs(t, err, &illegal, "nothing to sign yet")

	d = attach(t, o, d)
	require.Equal(t, letter.AwaitingSignature, d.State)
	require.Equal(t, []string{"pdf"}, d.Formats())
	waiting, err = letter.Waiting(t.Context(), o.DB, nil, 10)
	require.NoError(t, err)
	require.Empty(t, waiting)

	var role *machine.RoleError
	_, err = issue(d, paperoffice.As(request.Produsen, ""))
	require.ErrorAs(t, err, &role)
	issued, err := issue(d, paperoffice.As(request.Persuratan, ""))
	require.NoError(t, err)
	require.Equal(t, letter.Issued, issued.State)
	require.Equal(t, monday, *issued.SignedOn)
	require.Equal(t, []string{"pdf", "scan"}, issued.Formats())
	_, err = issue(d, paperoffice.As(request.Persuratan, ""))
	require.ErrorIs(t, err, postgres.ErrStale, "signed by somebody else meanwhile")

	taken, err := machine.Timeline(t.Context(), o.DB, r.ID)
	require.NoError(t, err)
	var steps []machine.State
	for _, s := range taken {
		if s.Machine == letter.Machine.Name && s.Subject == d.ID {
			steps = append(steps, s.To)
		}
	}
	require.Equal(t, []machine.State{letter.Drafted, letter.Numbered, letter.AwaitingSignature, letter.Issued}, steps)
}

// TestWhatIsPrintedStays, whoever writes to the table: the number once it is given, the
// files once they are made, the signed one once it came back.
func TestWhatIsPrintedStays(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	d, _ := makePaper(t, o, draft(letter.ReplyLetter, r.ID, r.ID))
	refused := func(constraint, table string, sets ...string) {
		t.Helper()
		for _, set := range sets {
			err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE `+table+` SET `+set)
				return err
			})
			require.True(t, postgres.IsCheck(err, constraint), "%s: %v", set, err)
		}
	}
	numbered := []string{`number = '7'`, `dated = dated + 1`, `signatory = '{}'`, `subject_id = id`}
	refused("document_fixed", "document", append(numbered, `signed_on = dated`)...)
	d = attach(t, o, d)
	made := append(numbered, `pdf_blob = NULL, state = 'void', version = version + 1`, `signatures = '[{}]'`, `template_sha256 = '\x00'`)
	refused("document_fixed", "document", made...)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "scan.pdf", "application/pdf", strings.NewReader("%PDF signed"))
		if err != nil {
			return err
		}
		d, err = letter.Issue(ctx, tx, d, ref.ID.String(), monday, paperoffice.As(request.Persuratan, ""))
		return err
	})
	refused("document_fixed", "document", append(made[:len(made):len(made)], `scan_blob = pdf_blob`, `signed_on = signed_on + 1`, `electronic = true`)...)
	refused("signing_fixed", "signing", `state = 'refused', version = version + 1`, `driver = 'bsre'`)
}

// TestResultListIsIssuedAtOnce: it has neither number nor signature.
func TestResultListIsIssuedAtOnce(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1, NoSignatories: true})
	r := o.Done(t)
	d, made := makePaper(t, o, draft(letter.ResultList, r.ID, r.ID))
	require.True(t, made)
	require.Nil(t, d.Number)
	require.Equal(t, letter.Issued, attach(t, o, d).State)
}

// TestSignatoryOfTheDay: the paper carries whoever held the post on its date.
func TestSignatoryOfTheDay(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1, NoSignatories: true})
	r := o.Done(t)
	until := clock.MustParseDate("2026-11-22")
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return letter.SeedSignatory(ctx, tx, letter.Signatory{
			PostCode: letter.Dirjen, Name: "Pejabat Lama", Rank: "Pembina Utama (IV/e)", Post: "Direktur Jenderal",
			ValidFrom: clock.MustParseDate("2025-01-01"), ValidTo: &until,
		})
	})
	last, err := letter.SignatoryOn(t.Context(), o.DB, letter.Dirjen, until)
	require.NoError(t, err)
	require.Equal(t, "Pembina Utama (IV/e)", last.Rank)
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, _, err := letter.Make(ctx, tx, draft(letter.ReplyLetter, r.ID, r.ID), paperoffice.As(request.Generator, ""))
		return err
	})
	require.ErrorIs(t, err, letter.ErrNoSignatory)
	list, err := letter.List(t.Context(), o.DB, r.ID)
	require.NoError(t, err)
	require.Empty(t, list, "nothing half made")
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error { // seeding again leaves the post alone
		return letter.SeedSignatory(ctx, tx, letter.Signatory{PostCode: letter.Dirjen, Name: "Lain", Post: "x", ValidFrom: monday})
	})
	_, err = letter.SignatoryOn(t.Context(), o.DB, letter.Dirjen, monday)
	require.ErrorIs(t, err, letter.ErrNoSignatory)
}

// TestTokens: each paper has its own, for good, also when it takes the place of another.
func TestTokens(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	seen := map[string]bool{}
	for range 20 {
		d, _ := makePaper(t, o, draft(letter.BAST, uuid.NewString(), r.ID))
		require.Regexp(t, `^[0-9a-hjkmnp-tv-z]{26}$`, d.Token)
		require.False(t, seen[d.Token])
		seen[d.Token] = true
	}
	first, _ := makePaper(t, o, draft(letter.ReplyLetter, r.ID, r.ID))
	again, made := makePaper(t, o, draft(letter.ReplyLetter, r.ID, r.ID))
	require.False(t, made)
	require.Equal(t, first.Token, again.Token)
	attached := attach(t, o, first)
	require.Equal(t, first.Token, attached.Token)
	found, err := letter.ByToken(t.Context(), o.DB, first.Token)
	require.NoError(t, err)
	require.Equal(t, attached, found)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.Cancel(ctx, tx, attached, paperoffice.As(request.Persuratan, "salah tujuan"))
		return err
	})
	second, _ := makePaper(t, o, draft(letter.ReplyLetter, r.ID, r.ID))
	require.NotEqual(t, first.Token, second.Token)

	_, err = letter.ByToken(t.Context(), o.DB, strings.Repeat("0", 26))
	require.ErrorIs(t, err, letter.ErrNotFound)
	do := func(query string, args ...any) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		})
	}
	const insert = `INSERT INTO document (id, kind, subject_id, request_id, state, created_at, verification_token)
		VALUES (gen_random_uuid(), 'bast', gen_random_uuid(), $1, 'drafted', now(), $2)`
	require.True(t, postgres.IsUnique(do(insert, r.ID, first.Token), "document_verification_token"))
	require.True(t, postgres.IsCheck(do(insert, r.ID, "kode"), "document_verification_token_check"))
	require.True(t, postgres.IsCheck(do(`UPDATE document SET verification_token = $2 WHERE id = $1`, first.ID, strings.Repeat("7", 26)),
		"verification_token_kept"))
}

func TestTokensAsTheyAreTyped(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdefghjkmnpq10"
	for _, typed := range []string{
		token, " 01234-56789-ABCDE-FGHJK-MNPQ1-0\n", "O123456789abcdefghjkmnpqIo", "o123456789abcdefghjkmnpqLO",
		"https://sifilma.dukcapil.kemendagri.go.id/verifikasi/" + token,
	} {
		got, ok := letter.ParseToken(typed)
		require.True(t, ok, typed)
		require.Equal(t, token, got, typed)
	}
	for _, typed := range []string{"", "abc", token + "0", token[1:] + "u", token[1:] + "\x00", "/verifikasi/", token + "/"} {
		_, ok := letter.ParseToken(typed)
		require.False(t, ok, typed)
	}
}

// TestSignaturesStayAsPrinted, whoever holds the post later.
func TestSignaturesStayAsPrinted(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	d, _ := makePaper(t, o, draft(letter.BAST, uuid.NewString(), r.ID))
	signed, err := d.Signatures()
	require.NoError(t, err)
	require.Empty(t, signed)
	printed := []letter.Signature{{Name: "Pejabat", Post: "Direktur"}, {Post: "PIC Produsen"}}
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "x.pdf", "application/pdf", strings.NewReader("%PDF"))
		if err != nil {
			return err
		}
		d, err = letter.Attach(ctx, tx, d, letter.Files{PDF: ref.ID.String(), Signatures: printed}, paperoffice.As(request.Generator, ""))
		return err
	})
	signed, err = d.Signatures()
	require.NoError(t, err)
	require.Equal(t, printed, signed)
}
