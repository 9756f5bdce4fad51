//go:build long

package restore_test

import (
	"os"
	"path/filepath"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// lastList is the revocation list that was published last, as a reader keeps it; empty
// while none was.
func (d *drill) lastList(db *postgres.DB) string {
	d.Helper()
	var tokens []string
	require.NoError(d, db.Select(d.Context(), &tokens, `SELECT token FROM revocation_list ORDER BY number DESC LIMIT 1`))
	if len(tokens) == 0 {
		return ""
	}
	return tokens[0]
}

// giveList gives that list to the restored office, or somebody's word that there is none:
// before, no new one is published.
func (d *drill) giveList(token string) {
	d.Helper()
	if token == "" {
		d.sifilma("-no-later-list", "-by", "operator uji", "-reason", "gladi")
		return
	}
	file := filepath.Join(d.TempDir(), "pencabutan.jws")
	require.NoError(d, os.WriteFile(file, []byte(token), 0o600))
	d.sifilma("-revocations", file, "-by", "operator uji")
}
