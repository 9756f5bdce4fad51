package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDiagramsOfTheReadme: the README's diagrams are those of the tables in Go;
// `bin/sifilma states -write README.md` draws them anew.
func TestDiagramsOfTheReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	drawn, err := withStates(string(text))
	require.NoError(t, err)
	require.Equal(t, drawn, string(text))
}
