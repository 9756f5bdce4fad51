package trace

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

const sample = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestValid(t *testing.T) {
	t.Parallel()
	require.True(t, Valid(sample))
	for _, bad := range []string{
		"", sample + "0", sample[1:],
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\n",
	} {
		require.False(t, Valid(bad), bad)
		require.Empty(t, ID(bad))
	}
}

func TestNewAndChild(t *testing.T) {
	t.Parallel()
	a, b := New(), New()
	require.True(t, Valid(a) && Valid(b))
	require.NotEqual(t, ID(a), ID(b))
	c := Child(sample)
	require.True(t, Valid(c))
	require.Equal(t, ID(sample), ID(c))
	require.NotEqual(t, sample, c)
	require.True(t, Valid(Child("nonsense")))
}

func TestContext(t *testing.T) {
	t.Parallel()
	require.Empty(t, From(context.Background()))
	require.Equal(t, sample, From(ContextWith(context.Background(), sample)))
}
