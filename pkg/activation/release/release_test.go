package release_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// What is signed, released, bundled and taken is tested where it is done: in the document
// generator and in the portal.

func TestNumbersRiseAfterARestore(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	var from, to, next int64
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if from, to, err = release.SkipNumbers(ctx, tx, 100); err != nil {
			return err
		}
		return tx.Get(ctx, &next, `SELECT nextval('manifest_release_number')`)
	})
	require.Equal(t, []int64{1, 100}, []int64{from, to})
	require.EqualValues(t, 101, next)
	issued := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	require.Equal(t, issued.Unix(), release.NextNumber(0, issued))
	require.Equal(t, issued.Unix()+1, release.NextNumber(issued.Unix(), issued), "two in one second")
	require.Equal(t, issued.Unix()+8, release.NextNumber(issued.Unix()+7, issued), "a clock that went back")
}

func TestAListFollowsOneOther(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	_, err := release.Latest(t.Context(), o.DB)
	require.ErrorIs(t, err, release.ErrNotFound)
	publish := func(number, last int64) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return release.Publish(ctx, tx, release.PublishedList{
				Number: number, KeyID: "k", Token: "t", Sum: release.Sum(nil), IssuedAt: paperoffice.At, NextUpdate: paperoffice.At.Add(time.Hour),
			}, last)
		})
	}
	require.NoError(t, publish(5, 0))
	require.ErrorIs(t, publish(6, 0), postgres.ErrStale, "another one followed already")
	require.NoError(t, publish(7, 5))
	require.Error(t, publish(7, 7), "a number only rises")
	l, err := release.Latest(t.Context(), o.DB)
	require.NoError(t, err)
	require.EqualValues(t, 7, l.Number)
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE revocation_list SET token = 'x'`)
		return err
	})
	require.Error(t, err, "what was published stays")
}

// Who releases while the open release is being taken waits, and finds nothing left: no
// second release is made of what was taken.
func TestWhatIsBeingTakenIsNotReleasedAgain(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	l, lines := o.Readers(t)
	var r release.Release
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "b.zip", "application/zip", strings.NewReader("zip"))
		if err != nil {
			return err
		}
		on := clock.DateOf(paperoffice.At)
		generator := paperoffice.As(request.Generator, "")
		if err := activation.AttachManifest(ctx, tx, lines[0], activation.ManifestFile{
			KeyID: "k", PayloadBlob: ref.ID.String(), JWS: "j", SHA256: ref.SHA256[:], ValidFrom: on, ValidTo: on,
		}, generator); err != nil {
			return err
		}
		if r, err = release.Make(ctx, tx, l.ProdusenID, 1, paperoffice.As(request.Kasubdit, "")); err != nil {
			return err
		}
		return release.Attach(ctx, tx, r, ref.ID, "k", generator)
	})
	second := make(chan error, 1)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := release.Receive(ctx, tx, r.Number, l.ProdusenID, "A", "B", paperoffice.As(request.Produsen, "")); err != nil {
			return err
		}
		go func() {
			second <- o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				_, err := release.Make(ctx, tx, l.ProdusenID, 1, paperoffice.As(request.Kasubdit, ""))
				return err
			})
		}()
		require.Eventually(t, func() bool {
			var waiting int
			err := o.DB.Get(t.Context(), &waiting, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
			return err == nil && waiting == 1
		}, 30*time.Second, 10*time.Millisecond)
		return nil
	})
	require.ErrorIs(t, <-second, activation.ErrNoLines)
}

func TestNothingReadyIsNotReleased(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	l, _ := o.Readers(t) // accepted, not signed
	err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := release.Make(ctx, tx, l.ProdusenID, 0, paperoffice.As(request.Kasubdit, ""))
		return err
	})
	require.ErrorIs(t, err, activation.ErrNoLines)
}
