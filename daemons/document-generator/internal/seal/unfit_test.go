package seal

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// The longest place that a form takes is signed; a line that cannot be a manifest is said,
// and holds up neither the others nor the revocation list.
func TestAnUnfitLineHarmsNoOther(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 3})
	token := keyed(t, o)
	l, _ := o.Readers(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		moved := paperoffice.As(request.Operator, "pindah kantor")
		if err := activation.Move(ctx, tx, l, 1, strings.Repeat("𐤀", 200), "Jawa Barat", moved); err != nil { // 4 bytes each
			return err
		}
		return activation.Move(ctx, tx, l, 2, strings.Repeat("x", 2000), "Jawa Barat", moved)
	})
	k, ctx := mortal(t, o, token, 100)
	require.ErrorIs(t, k.Once(ctx), manifest.ErrFacts)
	all, err := activation.Lines(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	require.Equal(t, activation.ManifestReady, all[0].State, "as long as a form takes it")
	require.Equal(t, activation.Accepted, all[1].State)
	require.Equal(t, activation.ManifestReady, all[2].State)
	_, err = release.Latest(t.Context(), o.DB)
	require.NoError(t, err, "revocations are published")
}
