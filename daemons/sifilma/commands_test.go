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

// TestTagsOfTheTemplates: the table that staff read is the list by which their templates
// are judged; `bin/sifilma tags -write configs/templates/README.md` writes it anew.
func TestTagsOfTheTemplates(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../configs/templates/README.md")
	require.NoError(t, err)
	written, err := withTags(string(text))
	require.NoError(t, err)
	require.Equal(t, written, string(text))
}
