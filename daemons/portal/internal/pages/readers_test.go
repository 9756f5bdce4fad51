package pages

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
)

// No state of a reader is left out where they are listed in the order of the procedure.
func TestAllStatesOfReadersAreListed(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, activation.Machine.States(), readerStates)
}
