package letter_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

func issue(t *testing.T, o *paperoffice.Office, d letter.Document) letter.Document {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "scan.pdf", "application/pdf", strings.NewReader("%PDF signed "+d.ID))
		if err != nil {
			return err
		}
		d, err = letter.Issue(ctx, tx, d, ref.ID.String(), monday, paperoffice.As(request.Persuratan, ""))
		return err
	})
	return d
}

func now(t *testing.T, o *paperoffice.Office, d letter.Document) letter.Document {
	t.Helper()
	d, err := letter.Get(t.Context(), o.DB, d.ID)
	require.NoError(t, err)
	return d
}

// TestAPaperInForceIsReplaced: the old one counts until the new one does, and exactly one
// of them at any time.
func TestAPaperInForceIsReplaced(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	old := issue(t, o, attach(t, o, first(makePaper(t, o, draft(letter.ReplyLetter, r.ID, r.ID)))))
	ask := func(d letter.Document, c request.Change) (asked letter.Document, err error) {
		err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
			asked, err = letter.AskReplacement(ctx, tx, d, c)
			return err
		})
		return asked, err
	}
	var role *machine.RoleError
	_, err := ask(old, paperoffice.As(request.Produsen, "x"))
	require.ErrorAs(t, err, &role)
	_, err = ask(old, paperoffice.As(request.Persuratan, ""))
	require.ErrorIs(t, err, letter.ErrReasonMissing)
	old, err = ask(old, paperoffice.As(request.Persuratan, "salah nama"))
	require.NoError(t, err)
	_, err = ask(old, paperoffice.As(request.Persuratan, "salah nama"))
	require.ErrorIs(t, err, letter.ErrReplacementAsked)

	n := draft(letter.ReplyLetter, r.ID, r.ID)
	n.Replaces = old.ID
	next, made := makePaper(t, o, n)
	require.True(t, made)
	require.Equal(t, "400.8.2.15/2/Dukcapil", *next.Number)
	again, made := makePaper(t, o, n)
	require.False(t, made)
	require.Equal(t, next.ID, again.ID)
	living, err := letter.Living(t.Context(), o.DB, letter.ReplyLetter, r.ID)
	require.NoError(t, err)
	require.Equal(t, old.ID, living.ID, "the one in force")

	// Whoever writes the SQL: nothing is replaced by a paper that is not in force.
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE document SET state = 'replaced', version = version + 1 WHERE id = $1`, old.ID)
		return err
	})
	require.True(t, postgres.IsCheck(err, "document_replaced"), err)

	next = issue(t, o, attach(t, o, next))
	require.Equal(t, letter.Issued, next.State)
	require.Equal(t, letter.Replaced, now(t, o, old).State)
	living, err = letter.Living(t.Context(), o.DB, letter.ReplyLetter, r.ID)
	require.NoError(t, err)
	require.Equal(t, next.ID, living.ID)
	successor, err := letter.Successor(t.Context(), o.DB, now(t, o, old))
	require.NoError(t, err)
	require.Equal(t, next.ID, successor.ID)
	_, err = letter.Successor(t.Context(), o.DB, next)
	require.ErrorIs(t, err, letter.ErrNotFound, "it is in force itself")

	// It can itself be replaced.
	next, err = ask(next, paperoffice.As(request.Operator, "salah lagi"))
	require.NoError(t, err)
	n.Replaces = next.ID
	third := issue(t, o, attach(t, o, first(makePaper(t, o, n))))
	require.Equal(t, letter.Replaced, now(t, o, next).State)
	require.Equal(t, letter.Issued, third.State)
	for _, d := range []letter.Document{old, next} { // what counts now, and not what counted between
		successor, err = letter.Successor(t.Context(), o.DB, now(t, o, d))
		require.NoError(t, err)
		require.Equal(t, third.ID, successor.ID)
	}
}

// TestAReplacementIsVoided: with another in its place, or for good; the paper in force
// stays so.
func TestAReplacementIsVoided(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	list := attach(t, o, first(makePaper(t, o, draft(letter.ResultList, r.ID, r.ID))))
	cancel := func(d letter.Document, how func(context.Context, *postgres.Tx, letter.Document, request.Change) (letter.Document, error)) {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := how(ctx, tx, d, paperoffice.As(request.Persuratan, "keliru"))
			return err
		})
	}
	ask := func() {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := letter.AskReplacement(ctx, tx, now(t, o, list), paperoffice.As(request.Persuratan, "salah"))
			return err
		})
	}
	ask()
	n := draft(letter.ResultList, r.ID, r.ID)
	n.Replaces = list.ID
	cancel(first(makePaper(t, o, n)), letter.Cancel)
	require.True(t, now(t, o, list).ReplacementAsked, "another is drafted")
	second, made := makePaper(t, o, n)
	require.True(t, made)
	cancel(second, letter.CancelForGood)
	require.False(t, now(t, o, list).ReplacementAsked)
	require.Equal(t, letter.Issued, now(t, o, list).State)
	_, err := letter.HeldBy(t.Context(), o.DB, letter.ResultList, r.ID)
	require.ErrorIs(t, err, letter.ErrNotFound)
	ask()
	third := attach(t, o, first(makePaper(t, o, n)))
	require.Equal(t, letter.Issued, third.State, "a list is in force at once")
	require.Equal(t, letter.Replaced, now(t, o, list).State)
}

// TestVoidedForGood: nothing is drafted until somebody says so.
func TestVoidedForGood(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	d, _ := makePaper(t, o, waiting(letter.CompletionLetter, r.ID, r.ID))
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.CancelForGood(ctx, tx, d, paperoffice.As(request.Persuratan, "tidak perlu"))
		return err
	})
	held, err := letter.HeldBy(t.Context(), o.DB, letter.CompletionLetter, r.ID)
	require.NoError(t, err)
	require.Equal(t, d.ID, held)
	again := func(role machine.Role) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return letter.DraftAgain(ctx, tx, d, paperoffice.As(role, ""))
		})
	}
	var wrong *machine.RoleError
	require.ErrorAs(t, again(request.Produsen), &wrong)
	require.NoError(t, again(request.Operator))
	require.ErrorIs(t, again(request.Operator), letter.ErrNotFound)
}

func first(d letter.Document, _ bool) letter.Document { return d }
