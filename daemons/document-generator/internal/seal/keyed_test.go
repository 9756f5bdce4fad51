package seal

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// keyed is a token with the key that manifests are signed with, which the office's key
// book knows.
func keyed(t *testing.T, o *paperoffice.Office) *pkcs11.Token {
	t.Helper()
	h := harness.HSM(t)
	token, err := pkcs11.Open(pkcs11.Config{Module: h.Module, TokenLabel: h.Label, PINFile: h.PINFile})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, token.Close()) })
	pair, err := token.GenerateSigning(t.Context(), "manifest-signing")
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(pair.Public())
	require.NoError(t, err)
	sum := sha256.Sum256(der)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := keybook.Record(ctx, tx, keybook.Entry{
			Label: "manifest-signing", Algorithm: "EC", Bits: 256, KCV: fmt.Sprintf("%X", sum[:3]), PublicKey: der, Origin: keybook.Generated,
			TokenLabel: h.Label, TokenSerial: "1", Place: "Jakarta", RecordedBy: "uji", OfficeAt: paperoffice.At,
		})
		return err
	})
	return token
}
