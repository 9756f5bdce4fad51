package seal

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

var errDead = errors.New("the process is dead")

// mortal is a desk that dies at its n-th signature: nothing that it does afterwards
// reaches the database. Between two commits of the desk there is always a signature, so
// that all n together are a death after each commit and before each.
func mortal(t *testing.T, o *paperoffice.Office, token *pkcs11.Token, n int) (*Desk, context.Context) {
	t.Helper()
	cfg := Defaults()
	cfg.Batch, cfg.Token.Sessions = 2, 1
	ctx, die := context.WithCancelCause(t.Context())
	t.Cleanup(func() { die(nil) })
	k := &Desk{cfg: cfg, db: o.DB, token: token, driver: manifest.JSON{}, office: clock.NewFixedOffice(paperoffice.At), pairs: map[string]*pkcs11.SigningKey{}}
	k.sign = func(pair *pkcs11.SigningKey, ctx context.Context, digest []byte) ([]byte, error) {
		if n--; n < 0 {
			die(errDead)
			return nil, errDead
		}
		return pair.Sign(ctx, digest)
	}
	return k, ctx
}

// A process that dies anywhere loses nothing, and no manifest is signed under another
// number than the one it was given.
func TestADeathAtEachSignatureLosesNothing(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 3})
	token := keyed(t, o)
	l, lines := o.Readers(t)

	deaths, released := 0, false
	for n := 0; ; n++ {
		k, ctx := mortal(t, o, token, n)
		err := k.Once(ctx)
		if err != nil {
			require.ErrorIs(t, err, errDead)
			deaths++
		}
		ready, errReady := activation.Ready(t.Context(), o.DB, l.ProdusenID)
		require.NoError(t, errReady)
		if !released && len(ready) == len(lines) { // people act between two lives of the process
			released = true
			o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
				if _, err := release.Make(ctx, tx, l.ProdusenID, len(lines), paperoffice.As(request.Kasubdit, "")); err != nil {
					return err
				}
				var requestID string
				if err := tx.Get(ctx, &requestID, `SELECT id FROM request LIMIT 1`); err != nil {
					return err
				}
				_, err := evidence.Order(ctx, tx, requestID, "operator", paperoffice.At)
				return err
			})
			n = -1 // and again at each signature of what they ordered
			continue
		}
		if released && err == nil {
			break
		}
	}
	require.GreaterOrEqual(t, deaths, 5)

	keys, err := keybook.PublicKeys(must(keybook.Signing(t.Context(), o.DB, "manifest-signing")))
	require.NoError(t, err)
	for _, a := range lines {
		kept, err := activation.Manifest(t.Context(), o.DB, a.ID)
		require.NoError(t, err)
		payload, err := blob.ReadAll(t.Context(), o.DB, []uuid.UUID{uuid.MustParse(kept.PayloadBlob)})
		require.NoError(t, err)
		v, err := manifest.Verifier{Keys: keys}.Verify(payload[0], []byte(kept.JWS), paperoffice.At.Add(time.Hour))
		require.NoError(t, err)
		require.Equal(t, *a.ManifestSerial, v.Header.Number)
	}
	counts := map[string]int{
		`SELECT count(*) FROM activation_manifest`: 3, `SELECT count(*) FROM audit WHERE action = 'manifest.signed'`: 3, `SELECT count(*) FROM revocation_list`: 1,
		`SELECT count(*) FROM manifest_release WHERE state = 'bundled'`: 1, `SELECT count(*) FROM evidence WHERE bundle_blob IS NOT NULL`: 1,
		`SELECT count(*) FROM blob WHERE media_type = 'application/zip'`: 2,
	}
	for query, want := range counts {
		var got int
		require.NoError(t, o.DB.Get(t.Context(), &got, query))
		require.Equal(t, want, got, query)
	}
	all, err := release.List(t.Context(), o.DB, "", 5)
	require.NoError(t, err)
	zip, err := blob.ReadAll(t.Context(), o.DB, []uuid.UUID{uuid.MustParse(*all[0].Bundle)})
	require.NoError(t, err)
	got, err := manifest.Verifier{Keys: keys}.OpenDelivery(bytes.NewReader(zip[0]), int64(len(zip[0])), paperoffice.At)
	require.NoError(t, err)
	require.Len(t, got.Manifests, 3)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
