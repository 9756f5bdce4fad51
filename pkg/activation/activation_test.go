package activation_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

func states(t *testing.T, o *paperoffice.Office, l activation.Letter) (all []machine.State) {
	t.Helper()
	lines, err := activation.Lines(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	for _, a := range lines {
		all = append(all, a.State)
	}
	return all
}

func bells(t *testing.T, o *paperoffice.Office, kind string) (n int) {
	t.Helper()
	require.NoError(t, o.DB.Get(t.Context(), &n, `SELECT count(*) FROM outbox WHERE type = $1`, kind))
	return n
}

func signed(t *testing.T, o *paperoffice.Office, of ...activation.Activation) error {
	t.Helper()
	return signedBy(t, o, "uji", of...)
}

func signedBy(t *testing.T, o *paperoffice.Office, keyID string, of ...activation.Activation) error {
	t.Helper()
	return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "manifest.json", "application/json", strings.NewReader("{}"))
		if err != nil {
			return err
		}
		var files []activation.ManifestFile
		for range of {
			hash := sha256.Sum256([]byte("{}"))
			files = append(files, activation.ManifestFile{KeyID: keyID, PayloadBlob: ref.ID.String(), JWS: "a..b", SHA256: hash[:], ValidFrom: paperoffice.Today, ValidTo: clock.MustParseDate("2031-11-22")})
		}
		return activation.AttachManifests(ctx, tx, of, files, paperoffice.As(request.Generator, ""))
	})
}

func awaiting(t *testing.T, o *paperoffice.Office) (all []activation.Activation) {
	t.Helper()
	due, err := activation.AwaitingManifest(t.Context(), o.DB, 100)
	require.NoError(t, err)
	for _, d := range due {
		require.Equal(t, d.Perso, d.ManifestNo)
		require.NotEmpty(t, d.ChipID)
		all = append(all, d.Activation)
	}
	return all
}

// From the letter to readers that are active, by the hands that it takes, with one bell
// for each act and serials of manifests that differ.
func TestFromLetterToActive(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 3})
	l, all := o.Readers(t)
	require.Len(t, all, 3)
	require.Equal(t, 1, bells(t, o, "activation.submitted"))
	require.Equal(t, 1, bells(t, o, "activation.accepted"))
	serials := map[string]bool{}
	for _, a := range all {
		serials[*a.ManifestSerial] = true
		require.Equal(t, *all[0].ReplyID, *a.ReplyID)
	}
	require.Len(t, serials, 3)

	due := awaiting(t, o)
	require.NoError(t, signed(t, o, due...))
	require.ErrorIs(t, signed(t, o, due[0]), postgres.ErrStale, "signed once")
	require.Empty(t, awaiting(t, o))

	l, err := activation.Get(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	ready, err := activation.Ready(t.Context(), o.DB, l.ProdusenID)
	require.NoError(t, err)
	require.Len(t, ready, 3)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		d, err := activation.Deliver(ctx, tx, l.ProdusenID, []activation.Activation{ready[0].Activation, ready[1].Activation},
			activation.Receipt{Receiver: "Wakil Produsen Contoh", ReceiverPost: "PIC", On: paperoffice.Today}, paperoffice.As(request.Operator, ""))
		require.Equal(t, "Wakil Produsen Contoh", d.Receiver)
		return err
	})
	early := o.TryLetter(t, l, request.Produsen, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Install(ctx, tx, l, []int{1}, paperoffice.Today.AddDays(-1), c)
	})
	require.ErrorIs(t, early, activation.ErrInstalledEarly, "the produsen had no manifest yet")
	o.OnLetter(t, l, request.Produsen, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Install(ctx, tx, l, []int{1}, paperoffice.Today, c)
	})
	require.Equal(t, []machine.State{activation.Active, activation.Delivered, activation.ManifestReady}, states(t, o, l))
}
