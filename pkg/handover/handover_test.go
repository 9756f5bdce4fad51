package handover_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

var monday = clock.MustParseDate("2026-11-23")

func try(t *testing.T, o *paperoffice.Office, do func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error)) (h handover.Handover, err error) {
	t.Helper()
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		h, err = do(ctx, tx)
		return err
	})
	return h, err
}

func open(t *testing.T, o *paperoffice.Office, r paperoffice.Request, quantity int, c request.Change) (handover.Handover, error) {
	t.Helper()
	return try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
		return handover.Open(ctx, tx, r.ID, quantity, c)
	})
}

// ready drafts the handover's BAST with a file, as the document generator does.
func ready(t *testing.T, o *paperoffice.Office, h handover.Handover) handover.Handover {
	t.Helper()
	h, err := try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
		c := paperoffice.As(request.Generator, "")
		d, _, err := letter.Make(ctx, tx, letter.Draft{Kind: letter.BAST, SubjectID: h.ID, RequestID: h.RequestID, Dated: monday, Numbering: "{urut}"}, c)
		if err != nil {
			return h, err
		}
		ref, err := blob.Put(ctx, tx, "bast.pdf", "application/pdf", strings.NewReader("%PDF"))
		if err != nil {
			return h, err
		}
		if _, err := letter.Attach(ctx, tx, d, letter.Files{PDF: ref.ID.String()}, c); err != nil {
			return h, err
		}
		return handover.DraftBAST(ctx, tx, h, c)
	})
	require.NoError(t, err)
	return h
}

func deliver(t *testing.T, o *paperoffice.Office, h handover.Handover, representative string, c request.Change) (handover.Handover, error) {
	t.Helper()
	return try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
		ref, err := blob.Put(ctx, tx, "scan.pdf", "application/pdf", strings.NewReader("%PDF signed "+h.ID))
		if err != nil {
			return h, err
		}
		return handover.Deliver(ctx, tx, h, handover.Delivery{
			Representative: representative, Post: "PIC Produsen", Of: handover.OfProdusen, On: monday, ScanBlob: ref.ID.String(),
		}, c)
	})
}

// TestCardsAreHandedOverOnce: in the order of the list, clear ones only, each once.
func TestCardsAreHandedOverOnce(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 12, Failed: 2})
	r := o.Done(t)
	var role *machine.RoleError
	_, err := open(t, o, r, 0, paperoffice.As(request.Produsen, ""))
	require.ErrorAs(t, err, &role)
	_, err = open(t, o, r, 13, paperoffice.As(request.Operator, ""))
	require.ErrorIs(t, err, handover.ErrTooMany)

	first, err := open(t, o, r, 5, paperoffice.As(request.Operator, ""))
	require.NoError(t, err)
	require.Equal(t, 1, first.Ordinal)
	second, err := open(t, o, r, 0, paperoffice.As(request.Operator, ""))
	require.NoError(t, err)
	require.Equal(t, []int{2, 7}, []int{second.Ordinal, second.Quantity})
	_, err = open(t, o, r, 0, paperoffice.As(request.Operator, ""))
	require.ErrorIs(t, err, handover.ErrTooMany, "nothing is left")

	var got []string
	for _, h := range []handover.Handover{first, second} {
		cards, err := handover.Cards(t.Context(), o.DB, h.ID)
		require.NoError(t, err)
		require.Len(t, cards, h.Quantity)
		for _, c := range cards {
			require.NotEmpty(t, c.PCID)
			require.NotEmpty(t, c.ManifestNo)
			got = append(got, c.Serial)
		}
	}
	require.Equal(t, r.Serials, got)
}

// TestOpenedAtOnce: many who open a handover at once share the cards out, and
// ring one bell each.
func TestOpenedAtOnce(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 10})
	r := o.Done(t)
	var openers sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		openers.Go(func() {
			errs[i] = o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
				_, err := handover.Open(ctx, tx, r.ID, 3, paperoffice.As(request.Operator, ""))
				return err
			})
		})
	}
	openers.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, handover.ErrTooMany)
	}
	require.Equal(t, 3, won)
	list, err := handover.List(t.Context(), o.DB, r.ID)
	require.NoError(t, err)
	require.Len(t, list, 3)
	var bells int
	require.NoError(t, o.DB.Get(t.Context(), &bells, `SELECT count(*) FROM outbox WHERE type = 'handover.opened' AND request_id = $1`, r.ID))
	require.Equal(t, 3, bells)
}

// TestFromPreparedToClosed: each step by its people and in its order; fewer
// cards may be received than were handed over.
func TestFromPreparedToClosed(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 10})
	r := o.Done(t)
	h := o.Open(t, r, 0)
	operator := paperoffice.As(request.Operator, "")
	var illegal *machine.IllegalError
	_, err := deliver(t, o, h, "Wakil", operator)
	require.ErrorAs(t, err, &illegal, "without a BAST")

	h = ready(t, o, h)
	_, err = deliver(t, o, h, "", operator)
	require.ErrorIs(t, err, handover.ErrNobody)
	var role *machine.RoleError
	_, err = deliver(t, o, h, "Wakil", paperoffice.As(request.Produsen, ""))
	require.ErrorAs(t, err, &role)
	bast, err := letter.Living(t.Context(), o.DB, letter.BAST, h.ID)
	require.NoError(t, err)
	require.Equal(t, letter.AwaitingSignature, bast.State, "what failed left nothing")

	before := h
	h, err = deliver(t, o, h, "Wakil", operator)
	require.NoError(t, err)
	require.Equal(t, handover.Delivered, h.State)
	bast, err = letter.Living(t.Context(), o.DB, letter.BAST, h.ID)
	require.NoError(t, err)
	require.Equal(t, letter.Issued, bast.State)
	require.Equal(t, monday, *bast.SignedOn)
	_, err = deliver(t, o, before, "Wakil", operator)
	require.ErrorIs(t, err, postgres.ErrStale)

	receive := func(n int, c request.Change) (handover.Handover, error) {
		return try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
			return handover.Receive(ctx, tx, h, []handover.Count{{Line: 1, Received: n}}, monday, c)
		})
	}
	for _, n := range []int{-1, 11} {
		_, err = receive(n, paperoffice.As(request.Produsen, ""))
		var wrong *handover.CountError
		require.ErrorAs(t, err, &wrong)
	}
	_, err = receive(10, operator)
	require.ErrorAs(t, err, &role)
	h, err = receive(9, paperoffice.As(request.Produsen, ""))
	require.NoError(t, err)
	require.Equal(t, 9, *h.Received)
	require.Equal(t, 10, h.Quantity, "the difference stays visible")

	end := func() (handover.Handover, error) {
		return try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
			return handover.Close(ctx, tx, h, paperoffice.As(request.Kasubdit, ""))
		})
	}
	_, err = end()
	require.ErrorIs(t, err, handover.ErrShortageOpen)
	short, err := handover.Shortages(t.Context(), o.DB, h.ID)
	require.NoError(t, err)
	require.Len(t, short, 1)
	require.Equal(t, 1, short[0].Missing)
	settle := func(outcome, finding string, role machine.Role) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return handover.Settle(ctx, tx, short[0], outcome, finding, paperoffice.As(role, ""))
		})
	}
	require.ErrorAs(t, settle(handover.Found, "di baki kedua", request.Produsen), &role)
	require.ErrorIs(t, settle("x", "di baki kedua", request.Operator), handover.ErrOutcome)
	require.ErrorIs(t, settle(handover.Found, "", request.Operator), handover.ErrOutcome)
	require.NoError(t, settle(handover.Found, "di baki kedua", request.Operator))
	require.ErrorIs(t, settle(handover.Lost, "hilang", request.Operator), handover.ErrSettled)
	h, err = end()
	require.NoError(t, err)
	require.Equal(t, handover.Closed, h.State)
	require.True(t, handover.Machine.Final(h.State))
}
