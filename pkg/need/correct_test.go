package need_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// file stores a file of a need; rows make it a list that was read.
func (o *office) file(t *testing.T, kind string, rows int) need.File {
	t.Helper()
	f := need.File{Kind: kind, Name: kind}
	require.NoError(t, o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		refs, err := blob.PutAll(ctx, tx, []blob.Content{{Name: kind, MediaType: "application/pdf", Data: []byte(kind)}})
		if err == nil {
			f.BlobID = refs[0].ID.String()
		}
		return err
	}))
	for i := range rows {
		f.Cards = append(f.Cards, need.Card{Row: i + 1, ReaderSerial: fmt.Sprint("R-", i+1)})
	}
	return f
}

// withFiles is create with a letter and a list of as many rows as the form has
// cards.
func (o *office) withFiles(t *testing.T, f need.Form) (n need.Need) {
	t.Helper()
	files := []need.File{o.file(t, need.FileLetter, 0), o.file(t, need.FileList, f.Quantity)}
	require.NoError(t, o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		n, err = need.Create(ctx, tx, o.lembaga, f, files, as(need.Lembaga, ""))
		return err
	}))
	return n
}

func (o *office) correct(t *testing.T, n need.Need, verb machine.Verb, to need.Correction) (next need.Need, err error) {
	t.Helper()
	err = o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		next, err = need.Correct(ctx, tx, n, verb, to, as(need.Lembaga, ""))
		return err
	})
	return next, err
}

func (o *office) rows(t *testing.T, n need.Need) (rows []int, total int) {
	t.Helper()
	cards, total, err := need.Cards(t.Context(), o, n, 0, 1000)
	require.NoError(t, err)
	for _, c := range cards {
		rows = append(rows, c.Row)
	}
	return rows, total
}

func TestAnEditKeepsWhatIsNotSent(t *testing.T) {
	t.Parallel()
	o := open(t)
	f := o.form()
	f.Quantity = 3
	n := o.withFiles(t, f)
	rows, total := o.rows(t, n)
	require.Equal(t, []int{1, 2, 3}, rows)
	require.Equal(t, 3, total)
	some, _, err := need.Cards(t.Context(), o, n, 1, 1)
	require.NoError(t, err)
	require.Equal(t, []need.Card{{Row: 2, ReaderSerial: "R-2"}}, some)

	f.Title, f.Reference, f.Produsen = "Judul lain", "nomor lain", "PT Produsen Lain"
	n, err = o.correct(t, n, need.Edit, need.Correction{Form: f})
	require.NoError(t, err)
	require.Equal(t, need.Submitted, n.State)
	require.NotEqual(t, "nomor lain", n.Reference)
	got, err := need.ByNumber(t.Context(), o, n.Number, o.other)
	require.ErrorIs(t, err, need.ErrNotFound, "another produsen is not asked by an edit: %v", got)
	files, err := need.Files(t.Context(), o, n)
	require.NoError(t, err)
	require.Len(t, files, 2)
	rows, _ = o.rows(t, n)
	require.Len(t, rows, 3)

	more := f
	more.Quantity = 4
	_, err = o.correct(t, n, need.Edit, need.Correction{Form: more})
	require.ErrorIs(t, err, need.ErrListDiffers)
	other := f
	other.MachineType = "lain"
	_, err = o.correct(t, n, need.Edit, need.Correction{Form: other})
	require.ErrorIs(t, err, need.ErrListDiffers)
	n, err = o.correct(t, n, need.Edit, need.Correction{Form: more, Files: []need.File{o.file(t, need.FileList, 4)}})
	require.NoError(t, err)
	rows, _ = o.rows(t, n)
	require.Len(t, rows, 4)
	n, err = o.correct(t, n, need.Edit, need.Correction{Form: other, DropList: true})
	require.NoError(t, err)
	_, total = o.rows(t, n)
	require.Zero(t, total)
	require.EqualValues(t, 4, n.Version)
	require.Equal(t, 4, n.Submission)

	_, err = o.correct(t, n, need.Resubmit, need.Correction{Form: f})
	require.ErrorAs(t, err, new(*machine.IllegalError), "nobody has returned it")
	n, err = o.take(t, n, need.Approve, as(need.Produsen, ""))
	require.NoError(t, err)
	for _, verb := range []machine.Verb{need.Edit, need.Resubmit} {
		_, err = o.correct(t, n, verb, need.Correction{Form: f})
		require.ErrorAs(t, err, new(*machine.IllegalError))
	}
	_, err = o.take(t, n, need.Cancel, as(need.Lembaga, ""))
	require.ErrorAs(t, err, new(*machine.IllegalError), "a decision stands for the lembaga too")
}

// Of a lembaga that edits and a produsen that approves at the same moment one is
// first; the other has not seen what is there and changes nothing.
func TestAnEditAndADecisionAtOnce(t *testing.T) {
	t.Parallel()
	o := open(t)
	for range 10 {
		n, err := o.create(t, o.form())
		require.NoError(t, err)
		f := o.form()
		f.Quantity = 99
		var edited, approved error
		var wg sync.WaitGroup
		wg.Go(func() { _, edited = o.correct(t, n, need.Edit, need.Correction{Form: f}) })
		wg.Go(func() { _, approved = o.take(t, n, need.Approve, as(need.Produsen, "")) })
		wg.Wait()
		now, err := need.ByNumber(t.Context(), o, n.Number, "")
		require.NoError(t, err)
		require.EqualValues(t, 2, now.Version)
		if edited == nil {
			require.ErrorIs(t, approved, postgres.ErrStale)
			require.Equal(t, need.Submitted, now.State)
			require.Equal(t, 99, now.Quantity)
			continue
		}
		require.ErrorIs(t, edited, postgres.ErrStale)
		require.NoError(t, approved)
		require.Equal(t, need.Approved, now.State)
		require.Equal(t, 10, now.Quantity, "what was approved is what was seen")
	}
}

// SQL holds what the code promises, whoever writes.
func TestNothingChangesOnTheWayToADecision(t *testing.T) {
	t.Parallel()
	o := open(t)
	n := o.withFiles(t, o.form())
	for change, want := range map[string]string{
		"state='approved', version=version+1, quantity=quantity+1":                "need_fixed",
		"state='approved', version=version+1, title='x', submission=submission+1": "need_fixed",
		"quantity=quantity+1": "need_fixed", "version=version+1, quantity=quantity+1": "need_fixed",
		"submission=submission+1, quantity=quantity+1":                       "need_fixed",
		"version=version+1, submission=submission+1, quantity=quantity+1":    "",
		"version=version+1, submission=submission+1, produsen_id=lembaga_id": "need_fixed",
	} {
		err := o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.ExecOne(ctx, `UPDATE need SET `+change+` WHERE id=$1`, n.ID)
		})
		if want == "" {
			require.NoError(t, err, change)
			continue
		}
		require.Equal(t, want, postgres.Constraint(err), change)
	}
	for _, change := range []string{`UPDATE need_card SET serial='x'`, `DELETE FROM need_card`} {
		require.Error(t, o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, change)
			return err
		}), change)
	}
}
