package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/harness"
)

// Both sides read the same list to its end, and say so when they did not.
func TestBothSidesOfValidateReadTheList(t *testing.T) {
	t.Parallel()
	database := harness.NewDatabase(t)
	require.NoError(t, seedValidate(t.Context(), database.Open(t, "")))
	file := filepath.Join(t.TempDir(), "daftar.xlsx")
	require.NoError(t, writeList(file, 40))
	for _, side := range []string{"all", "excelize"} {
		for rows, good := range map[int]bool{40: true, 39: false, 41: false} {
			text, err := json.Marshal(validateTask{Side: side, File: file, Rows: rows, Again: 3, Database: database.Config(t, "sifilma_validator")})
			require.NoError(t, err)
			r, err := validateHere(t.Context(), string(text))
			require.Equal(t, good, err == nil, "%s, %d rows: %v", side, rows, err)
			if good {
				require.Positive(t, r.MS)
				require.Positive(t, r.MB)
			}
		}
	}
}
