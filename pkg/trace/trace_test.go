package trace

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/rs/zerolog"
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

func TestJoinMovesTheWorkAndItsLogLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := zerolog.New(&out).Hook(Hook{})
	ctx := ContextWith(log.WithContext(context.Background()), New())
	deeper, cancel := context.WithCancel(ctx)
	defer cancel()
	Join(deeper, sample)
	require.Equal(t, ID(sample), ID(From(ctx)))
	require.NotEqual(t, sample, From(ctx), "a new span of the trace")
	Join(ctx, "nonsense")
	Join(context.Background(), sample) // no work there
	require.Equal(t, ID(sample), ID(From(ctx)))

	zerolog.Ctx(deeper).Info().Msg("one")
	other := New()
	zerolog.Ctx(ctx).Info().Ctx(ContextWith(ctx, other)).Msg("two")
	log.Info().Msg("three")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.JSONEq(t, `{"level":"info","message":"one","trace_id":"`+ID(sample)+`"}`, lines[0])
	require.Equal(t, 1, strings.Count(lines[1], "trace_id"))
	require.Contains(t, lines[1], ID(other), "an event of a batch is logged by its own trace")
	require.NotContains(t, lines[2], "trace_id")
}
