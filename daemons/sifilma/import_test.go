package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// asCommand has this test binary be the command itself, so that it can be killed.
const asCommand = "SIFILMA_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(dispatch(context.Background(), os.Args[1:]))
	}
	os.Exit(m.Run())
}

// sifilma is the command as a process of its own.
func sifilma(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

func oldList(t *testing.T, rows int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("No. Seri Kartu SAM,No. PCID\n")
	for i := range rows {
		fmt.Fprintf(&b, "SAM%06d,%032X\n", i+1, i+1)
	}
	path := filepath.Join(t.TempDir(), "register-lama.csv")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

func entries(t *testing.T, db *postgres.DB) (n int) {
	t.Helper()
	require.NoError(t, db.Get(t.Context(), &n, `SELECT count(*) FROM register_entry`))
	return n
}

func TestImportCommand(t *testing.T) {
	t.Parallel()
	database := harness.NewDatabase(t)
	db, config := database.Open(t, ""), database.Config(t, "")
	list := oldList(t, 3)
	base := []string{"import", "-url", config.URL, "-password-file", config.PasswordFile}
	for _, c := range []struct {
		more []string
		code int
		says string
		rows int
	}{
		{[]string{list}, 1, "-by dan sedikitnya satu berkas wajib diisi", 0},
		{[]string{"-by", "petugas"}, 1, "-by dan sedikitnya satu berkas wajib diisi", 0},
		{[]string{"-h"}, 0, "Satu berkas masuk seluruhnya atau tidak sama sekali", 0},
		{[]string{"-by", "petugas", list + ".tidak-ada"}, 1, "berkas " + list + ".tidak-ada tidak ada. Periksa nama", 0},
		{[]string{"-by", "petugas", filepath.Dir(list)}, 1, "bukan folder", 0},
		{[]string{"-by", "petugas", "-sandi", list}, 1, "pilihan -sandi tidak dikenal; sifilma import -h", 0},
		{[]string{list, "-by"}, 1, "-by dan sedikitnya", 0},
		{[]string{"-by"}, 1, "pilihan -by perlu nilai", 0},
		{[]string{"-by", "petugas", "-url", "", list}, 1, "alamat basis data belum disebut. Tambahkan -url postgres://", 0},
		{[]string{"-by", "petugas", "-url", "bukan alamat", list}, 1, "alamat pada -url tidak terbaca", 0},
		{[]string{"-by", "petugas", "-url", config.URL, "-password-file", list, list}, 1, "kata sandi atau nama peran pada -url salah", 0},
		{[]string{"-by", "petugas", "-url", "postgres://pemilik@127.0.0.1:1/sifilma?sslmode=disable", list}, 1, "tidak dapat dihubungi", 0},
		{[]string{"-by", "petugas", "-password-file", list + ".x", list}, 1, "berkas " + list + ".x tidak ada", 0},
		{[]string{"-by", "petugas", "-url", strings.Replace(config.URL, "/"+name(t, db), "/tidak_ada", 1), list}, 1, "basis data yang disebut pada -url tidak ada", 0},
		{[]string{"-by", "petugas", "-password-file", "/dev/null", list}, 1, "berkas kata sandi /dev/null kosong", 0},

		{[]string{"-by", "petugas", "-dry-run", list}, 0, "Uji coba: 3 baris dapat diimpor", 0},
		{[]string{"-by", "petugas", list}, 0, "3 baris diimpor.", 3},
		{[]string{"-by", "petugas", list}, 0, "0 baris diimpor.", 3},
		{[]string{"-by", "petugas", list, "import.go"}, 1, "ada berkas yang tidak diimpor", 3},
	} {
		cmd := sifilma(t, append(append([]string{}, base...), c.more...)...)
		out, _ := cmd.CombinedOutput()
		require.Contains(t, string(out), c.says, "%v", c.more)
		require.Equal(t, c.code, cmd.ProcessState.ExitCode(), "%v: %s", c.more, out)
		require.Equal(t, c.rows, entries(t, db), "%v", c.more)
	}
}

// TestImportKilled: killed before it holds the numbers, and killed when all rows
// are written but the audit is not, it leaves nothing; run again, all is there.
func TestImportKilled(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"listed_card", "audit"} {
		t.Run("at "+table, func(t *testing.T) {
			t.Parallel()
			database := harness.NewDatabase(t)
			db, config := database.Open(t, ""), database.Config(t, "")
			const rows = 6000 // more than one portion
			args := []string{"import", "-url", config.URL, "-password-file", config.PasswordFile, "-by", "petugas", oldList(t, rows)}
			killed := sifilma(t, args...)
			waiting := `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
			require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				if _, err := tx.Exec(ctx, `LOCK TABLE `+table+` IN SHARE MODE`); err != nil {
					return err
				}
				require.NoError(t, killed.Start())
				require.Eventually(t, func() bool {
					var n int
					return db.Get(t.Context(), &n, waiting) == nil && n == 1
				}, time.Minute, 10*time.Millisecond)
				require.NoError(t, killed.Process.Kill())
				require.Error(t, killed.Wait())
				return nil
			}))
			require.Eventually(t, func() bool { // the server notices that its client is gone
				var n int
				err := db.Get(t.Context(), &n, `SELECT count(*) FROM pg_stat_activity
					WHERE datname = current_database() AND application_name LIKE 'sifilma%' AND state <> 'idle' AND pid <> pg_backend_pid()`)
				return err == nil && n == 0
			}, time.Minute, 20*time.Millisecond)
			require.Zero(t, entries(t, db))

			out, err := sifilma(t, args...).CombinedOutput()
			require.NoError(t, err, string(out))
			require.Contains(t, string(out), "6000 baris diimpor.")
			require.Equal(t, rows, entries(t, db))
		})
	}
}

func TestCorrectCommand(t *testing.T) {
	t.Parallel()
	database := harness.NewDatabase(t)
	db, config := database.Open(t, ""), database.Config(t, "")
	at := []string{"-url", config.URL, "-password-file", config.PasswordFile, "-by", "petugas"}
	out, err := sifilma(t, append(append([]string{"import"}, at...), oldList(t, 2))...).CombinedOutput()
	require.NoError(t, err, string(out))
	correct := append(append([]string{"correct"}, at...), "-reason", "salah salin", "-entry", "seri=SAM000001")
	out, err = sifilma(t, append(correct, "seri=SAM900001")...).CombinedOutput()
	require.NoError(t, err, string(out))
	_, code, found := strings.Cut(strings.TrimSpace(string(out)), "-confirm ")
	require.True(t, found, string(out))
	require.Equal(t, 2, entries(t, db))
	out, err = sifilma(t, append(correct, "seri=SAM900001", "-confirm", code)...).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, 3, entries(t, db))
	out, err = sifilma(t, append(correct, "-withdraw")...).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "tidak ada baris register yang berlaku dengan seri=SAM000001")
	out, err = sifilma(t, "correct", "-h").CombinedOutput()
	require.NoError(t, err)
	require.Contains(t, string(out), "seri, pcid, manifest, reader, chip")
}

// name is that of the database.
func name(t *testing.T, db *postgres.DB) (name string) {
	t.Helper()
	require.NoError(t, db.Get(t.Context(), &name, `SELECT current_database()`))
	return name
}
