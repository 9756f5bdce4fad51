package letter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
)

// TestPostsAreWrittenOut: a paper does not abbreviate whoever signs it, as pages do.
func TestPostsAreWrittenOut(t *testing.T) {
	t.Parallel()
	for role, post := range map[machine.Role]string{
		request.Persuratan: "Petugas Persuratan", request.Operator: "Operator Subdirektorat Keamanan Informasi",
		request.Kasubdit: "Kepala Subdirektorat Keamanan Informasi", request.Dirjen: "Direktur Jenderal",
	} {
		require.Equal(t, post, letter.PostOf(role))
	}
}
