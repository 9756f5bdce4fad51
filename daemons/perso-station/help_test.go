package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever asks the program for help hears of all that it can be told.
func TestHelpNamesEachCommand(t *testing.T) {
	t.Parallel()
	var says bytes.Buffer
	require.True(t, explain([]string{"-h"}, &says))
	for flag := range orderFlags {
		require.Contains(t, says.String(), "  "+flag+" ")
	}
	require.Contains(t, says.String(), "  "+tryFlag+" ")
	says.Reset()
	require.False(t, explain([]string{tryFlag, "-h"}, &says))
	require.Empty(t, says.String())
}
