package letter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

func typed(o *paperoffice.Office, d letter.Document, number, day string, c request.Change) (numbered letter.Document, err error) {
	err = o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		numbered, err = letter.TypeNumber(ctx, tx, d, number, clock.MustParseDate(day), c)
		return err
	})
	return numbered, err
}

func waiting(kind, subject, requestID string) letter.Draft {
	d := draft(kind, subject, requestID)
	d.Typed = true
	return d
}

// TestPersuratanTypesTheNumber: until then the paper waits, and no press takes it.
func TestPersuratanTypesTheNumber(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	persuratan := paperoffice.As(request.Persuratan, "")
	d, made := makePaper(t, o, waiting(letter.ReplyLetter, r.ID, r.ID))
	require.True(t, made)
	require.Equal(t, letter.Drafted, d.State)
	require.True(t, d.AwaitsNumber)
	require.Nil(t, d.Number)
	pressed, err := letter.Waiting(t.Context(), o.DB, nil, 10)
	require.NoError(t, err)
	require.Empty(t, pressed)
	list, err := letter.AwaitingNumber(t.Context(), o.DB, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)

	var role *machine.RoleError
	_, err = typed(o, d, "470/1/SJ", "2026-11-24", paperoffice.As(request.Operator, ""))
	require.ErrorAs(t, err, &role)
	_, err = typed(o, d, "470/1/SJ", "2024-11-24", persuratan)
	require.ErrorIs(t, err, letter.ErrNoSignatory, "nobody held the post")
	done, err := typed(o, d, "470/1/SJ", "2026-11-24", persuratan)
	require.NoError(t, err)
	require.Equal(t, letter.Numbered, done.State)
	require.Equal(t, "2026-11-24", done.Dated.String())
	pressed, err = letter.Waiting(t.Context(), o.DB, nil, 10)
	require.NoError(t, err)
	require.Len(t, pressed, 1)
	pressed, err = letter.Waiting(t.Context(), o.DB, []string{d.ID}, 10)
	require.NoError(t, err)
	require.Empty(t, pressed, "on hold")
	_, err = typed(o, d, "470/2/SJ", "2026-11-24", persuratan)
	require.ErrorIs(t, err, postgres.ErrStale, "numbered by somebody else meanwhile")

	// Over all kinds, void ones too, however it is typed; another year is another book.
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		void, err := letter.Cancel(ctx, tx, done, paperoffice.As(request.Persuratan, "salah nomor"))
		if err == nil {
			require.Equal(t, "470/1/SJ", *void.Number)
		}
		return err
	})
	other, _ := makePaper(t, o, waiting(letter.BAST, uuid.NewString(), r.ID))
	var taken *letter.TakenError
	_, err = typed(o, other, " 470/1 / sj", "2026-12-01", persuratan)
	require.ErrorAs(t, err, &taken)
	require.Equal(t, done.ID, taken.By.ID)
	_, err = typed(o, other, "470/1/SJ", "2027-01-04", persuratan)
	require.NoError(t, err)
}

// TestCounterStepsOverWhatWasTyped, also at the same moment, and gives no number twice.
func TestCounterStepsOverWhatWasTyped(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	persuratan := paperoffice.As(request.Persuratan, "")
	first, _ := makePaper(t, o, waiting(letter.BAST, uuid.NewString(), r.ID))
	_, err := typed(o, first, "400.8.2.15/1/DUKCAPIL", "2026-11-23", persuratan)
	require.NoError(t, err)
	d, _ := makePaper(t, o, draft(letter.BAST, uuid.NewString(), r.ID))
	require.Equal(t, "400.8.2.15/2/Dukcapil", *d.Number)

	var papers []letter.Document
	for range 8 {
		one, _ := makePaper(t, o, waiting(letter.BAST, uuid.NewString(), r.ID))
		papers = append(papers, one)
	}
	var all sync.WaitGroup
	for i, one := range papers {
		all.Go(func() {
			_, err := typed(o, one, fmt.Sprintf("400.8.2.15/%d/Dukcapil", 3+2*i), "2026-11-23", persuratan)
			var taken *letter.TakenError
			if err != nil && !errors.As(err, &taken) { // the counter was there first
				t.Error(err)
			}
		})
		all.Go(func() {
			err := o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
				_, _, err := letter.Make(ctx, tx, draft(letter.BAST, uuid.NewString(), r.ID), paperoffice.As(request.Generator, ""))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := letter.List(t.Context(), o.DB, r.ID)
	require.NoError(t, err)
	numbers, counted := map[string]bool{}, 0
	for _, d := range list {
		if d.Number == nil {
			require.True(t, d.AwaitsNumber)
			continue
		}
		counted++
		require.False(t, numbers[*d.Number], *d.Number)
		numbers[*d.Number] = true
	}
	require.GreaterOrEqual(t, counted, 10)
	last, err := letter.LastNumber(t.Context(), o.DB, numbering, 2026)
	require.NoError(t, err)
	for n := 2; n <= last; n++ { // no gap, of both together
		require.True(t, numbers[fmt.Sprintf("400.8.2.15/%d/Dukcapil", n)], n)
	}
}

// TestTheWayChangesInTheYear: no number is lost, whichever way it goes.
func TestTheWayChangesInTheYear(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	persuratan := paperoffice.As(request.Persuratan, "")
	var n letter.Numbering
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		n, err = letter.EnsureNumbering(ctx, tx, letter.BAST, numbering, paperoffice.As(request.Generator, ""))
		return err
	})
	require.Equal(t, letter.ByCounter, n.Way)
	change := func(way, template string, last int) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
			next := n
			next.Way, next.Template = way, template
			if next, err = letter.ChangeNumbering(ctx, tx, next, last, 2026, persuratan); err == nil {
				n = next
			}
			return err
		})
	}
	bast := func() letter.Document {
		d := draft(letter.BAST, uuid.NewString(), r.ID)
		d.Numbering, d.Typed = n.Template, n.Way == letter.Typed
		made, _ := makePaper(t, o, d)
		return made
	}
	require.Equal(t, "400.8.2.15/1/Dukcapil", *bast().Number)
	require.NoError(t, change(letter.Typed, numbering, 0))
	_, err := typed(o, bast(), "400.8.2.15/2/Dukcapil", "2026-11-23", persuratan)
	require.NoError(t, err)
	left := bast()
	require.ErrorIs(t, change(letter.ByCounter, "tanpa urutan", 0), letter.ErrTemplate)
	require.NoError(t, change(letter.Typed, "", 0))
	require.NoError(t, change(letter.ByCounter, numbering, 0))
	list, err := letter.TurnedToCounter(t.Context(), o.DB, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		d, now, err := letter.NumberByCounter(ctx, tx, list[0], paperoffice.As(request.Generator, ""))
		require.True(t, now)
		require.Equal(t, left.ID, d.ID)
		require.Equal(t, "400.8.2.15/3/Dukcapil", *d.Number)
		return err
	})
	require.Equal(t, "400.8.2.15/4/Dukcapil", *bast().Number)
	// The office has another book, in which 2350 is used.
	require.NoError(t, change(letter.ByCounter, numbering, 2350))
	require.Equal(t, "400.8.2.15/2351/Dukcapil", *bast().Number)
	require.ErrorIs(t, change(letter.ByCounter, numbering, 12), letter.ErrCounterBack)

	// 9351 was typed for 2351: with a reason it goes back, but not behind what was given.
	require.NoError(t, change(letter.ByCounter, numbering, 9351))
	persuratan.Reason = "salah ketik"
	var given *letter.GivenError
	require.ErrorAs(t, change(letter.ByCounter, numbering, 2350), &given)
	require.Equal(t, letter.GivenError{Last: 2351, Number: "400.8.2.15/2351/Dukcapil"}, *given)
	require.NoError(t, change(letter.ByCounter, numbering, 2351))
	require.Equal(t, "400.8.2.15/2352/Dukcapil", *bast().Number)
	// Another template, of which nothing was given, goes back to its beginning.
	require.NoError(t, change(letter.ByCounter, "X/{urut}", 40))
	require.NoError(t, change(letter.ByCounter, "X/{urut}", 0))
	require.Equal(t, "X/1", *bast().Number)
	// What was left out after a restore may be on papers.
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		skipped, err := letter.SkipNumbers(ctx, tx, 50)
		require.NoError(t, err)
		papers, err := json.Marshal(skipped)
		require.NoError(t, err)
		_, err = tx.Exec(ctx, `INSERT INTO restoration (id, restored_to, raised_at, raised_by, reason, epoch, tickets_from, tickets_to, papers_gap, papers)
			VALUES (gen_random_uuid(), '2026-11-23', '2026-11-23', 'uji', 'uji', 2, 1, 2, 50, $1)`, string(papers))
		return err
	})
	require.ErrorAs(t, change(letter.ByCounter, "X/{urut}", 20), &given)
	require.Equal(t, letter.GivenError{Last: 51}, *given)
}

// TestNumbersAsPeopleReadThem: what differs in leading zeros of the running number, in
// capitals or in spaces is one number, whichever was there first; what was typed is kept.
func TestNumbersAsPeopleReadThem(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	persuratan := paperoffice.As(request.Persuratan, "")
	paper := func() letter.Document {
		d, _ := makePaper(t, o, waiting(letter.BAST, uuid.NewString(), r.ID))
		return d
	}
	for _, pair := range []struct {
		first, second string
		same          bool
	}{
		{"470/012/SJ", "470/12/SJ", true}, {"471/12/SJ", "471/ 0012/sj", true}, {"007", "7", true}, {"A-01", "a-1", true}, {"472/012a/SJ", "472/12A/SJ", true},
		{"400.08/5/X", "400.8/5/X", false}, {"473/102/SJ", "473/12/SJ", false}, {"474/120/SJ", "474/12/SJ", false}, {"475/0/SJ", "475/SJ", false},
	} {
		kept, err := typed(o, paper(), pair.first, "2026-11-23", persuratan)
		require.NoError(t, err, pair.first)
		require.Equal(t, pair.first, *kept.Number)
		_, err = typed(o, paper(), pair.second, "2026-11-23", persuratan)
		var taken *letter.TakenError
		require.Equal(t, pair.same, errors.As(err, &taken), "%s and %s: %v", pair.first, pair.second, err)
		if pair.same {
			other := paper()
			err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error { // past the question, as a fault of ours
				if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
					return err
				}
				return tx.ExecOne(ctx, `UPDATE document SET number = $2, awaits_number = false WHERE id = $1`, other.ID, pair.second)
			})
			require.Equal(t, "document_number", postgres.Constraint(err), pair.second)
		}
	}
}

func TestUsualNumbers(t *testing.T) {
	t.Parallel()
	n := letter.Numbering{Template: "400.8.2.15/{urut}/Dukcapil/{tahun}"}
	for number, usual := range map[string]bool{
		"400.8.2.15/12/Dukcapil/2026": true, "400.8.2.15/012/Dukcapil/2026": true, "400.8.2.15/12a/Dukcapil/2026": true, "400.8.2.15/12.A/Dukcapil/2026": true,
		"400.8.2.15/12/Dukcapil/2025": false, "400x8.2.15/12/Dukcapil/2026": false, "400.8.2.15/0/Dukcapil/2026": false, "470/12/SJ": false,
	} {
		require.Equal(t, usual, n.Usual(number, 2026), number)
	}
	require.True(t, letter.Numbering{}.Usual("apa saja", 2026))
}
