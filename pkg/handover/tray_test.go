package handover_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

func scan(t *testing.T, o *paperoffice.Office, h handover.Handover, c request.Change, keys ...string) (scanned int, strange []string, err error) {
	t.Helper()
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		scanned, strange, err = handover.Scan(ctx, tx, h, handover.Barcode, keys, c)
		return err
	})
	return scanned, strange, err
}

// A tray that somebody has begun to scan is delivered whole; one that was counted by hand
// is, too. What is none of the handover's does not get in.
func TestATrayIsWhole(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 5})
	r := o.Done(t)
	h := ready(t, o, o.Open(t, r, 3))
	operator := paperoffice.As(request.Operator, "")
	var role *machine.RoleError
	_, _, err := scan(t, o, h, paperoffice.As(request.Produsen, ""), r.Serials[0])
	require.ErrorAs(t, err, &role)

	n, strange, err := scan(t, o, h, operator, strings.ToLower(r.Serials[0]), r.Serials[3], "BUKAN-KARTU")
	require.NoError(t, err)
	require.Equal(t, []string{r.Serials[3], "BUKAN-KARTU"}, strange, "of the next handover, and of nobody")
	require.Equal(t, 1, n)
	_, err = deliver(t, o, h, "Wakil", operator)
	var unscanned *handover.UnscannedError
	require.ErrorAs(t, err, &unscanned)
	require.Equal(t, r.Serials[1:3], unscanned.Missing)
	n, strange, err = scan(t, o, h, operator, r.Serials[0], r.Serials[1], r.Serials[2])
	require.NoError(t, err)
	require.Empty(t, strange)
	require.Equal(t, 3, n, "one that was scanned before is scanned once")
	before := h
	h, err = deliver(t, o, h, "Wakil", operator)
	require.NoError(t, err)
	for _, seen := range []handover.Handover{h, before} { // also for whoever looked before
		_, _, err = scan(t, o, seen, operator, r.Serials[0])
		require.ErrorIs(t, err, handover.ErrGone)
	}

	second := ready(t, o, o.Open(t, r, 0))
	_, err = deliver(t, o, second, "Wakil", operator)
	require.NoError(t, err, "counted by hand")
}

// Only the produsen's own person takes the cards, whoever that is said to be.
func TestOnlyTheProdusenCollects(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	h := ready(t, o, o.Open(t, o.Done(t), 0))
	for _, of := range []string{"", handover.OfReseller, handover.OfLembaga} {
		_, err := try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
			return handover.Deliver(ctx, tx, h, handover.Delivery{Representative: "Wakil", Post: "PIC", Of: of, On: monday}, paperoffice.As(request.Operator, ""))
		})
		require.ErrorIs(t, err, handover.ErrNotProdusen)
	}
}

// An appointment can be made, moved and taken back while the cards are there, and not for
// yesterday.
func TestAppointment(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	h := o.Open(t, o.Done(t), 0)
	appoint := func(at time.Time, role machine.Role) (handover.Handover, error) {
		return try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
			return handover.Appoint(ctx, tx, h, at, "Loket 2", paperoffice.As(role, ""))
		})
	}
	_, err := appoint(paperoffice.At.Add(-time.Hour), request.Operator)
	require.ErrorIs(t, err, handover.ErrPast)
	var role *machine.RoleError
	_, err = appoint(paperoffice.At.Add(time.Hour), request.Produsen)
	require.ErrorAs(t, err, &role)
	before := h
	h, err = appoint(paperoffice.At.Add(time.Hour), request.Operator)
	require.NoError(t, err)
	require.Equal(t, paperoffice.At.Add(time.Hour), h.AppointedAt.UTC())
	require.Equal(t, "Loket 2", h.AppointmentNote)
	now := h
	h = before
	_, err = appoint(paperoffice.At.Add(2*time.Hour), request.Operator)
	require.ErrorIs(t, err, postgres.ErrStale, "somebody else was quicker")
	h = now
	h, err = appoint(time.Time{}, request.Operator)
	require.NoError(t, err)
	require.Nil(t, h.AppointedAt)
}

// What was counted is kept by lembaga; a count that is not of this handover's lines, or
// leaves one out, is none.
func TestCountedByLine(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 6, Lembaga: []string{"Bank Contoh", "Koperasi Contoh"}})
	r := o.Done(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{`SET LOCAL session_replication_role = replica`, `UPDATE listed_card SET line = 2 WHERE row > 4`} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	h := ready(t, o, o.Open(t, r, 0))
	h, err := deliver(t, o, h, "Wakil", paperoffice.As(request.Operator, ""))
	require.NoError(t, err)
	lines, err := handover.Lines(t.Context(), o.DB, h.ID)
	require.NoError(t, err)
	require.Len(t, lines, 2)
	require.Equal(t, "Koperasi Contoh", lines[1].Lembaga)
	receive := func(counts ...handover.Count) (handover.Handover, error) {
		return try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
			return handover.Receive(ctx, tx, h, counts, monday, paperoffice.As(request.Produsen, ""))
		})
	}
	first, second := lines[0].Quantity, lines[1].Quantity
	for name, counts := range map[string][]handover.Count{
		"one left out": {{Line: 1, Received: first}}, "twice": {{Line: 1}, {Line: 1}, {Line: 2}}, "strange": {{Line: 1}, {Line: 2}, {Line: 3}},
		"too many": {{Line: 1, Received: first + 1}, {Line: 2}}, "negative": {{Line: 1, Received: -1}, {Line: 2}},
	} {
		var wrong *handover.CountError
		_, err := receive(counts...)
		require.ErrorAs(t, err, &wrong, name)
	}
	before := h
	h, err = receive(handover.Count{Line: 2, Received: second}, handover.Count{Line: 1, Received: first - 2})
	require.NoError(t, err)
	now := h
	h = before
	_, err = receive(handover.Count{Line: 2, Received: second}, handover.Count{Line: 1, Received: first - 2})
	require.ErrorIs(t, err, postgres.ErrStale, "the form was sent twice")
	h = now
	require.Equal(t, 4, *h.Received)
	short, err := handover.Shortages(t.Context(), o.DB, h.ID)
	require.NoError(t, err)
	require.Len(t, short, 1)
	require.Equal(t, []int{1, 2}, []int{short[0].Line, short[0].Missing})
}
