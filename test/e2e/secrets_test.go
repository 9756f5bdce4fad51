package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

func (o *office) services() *local.Services {
	o.t.Helper()
	s, err := local.Load(o.dir)
	require.NoError(o.t, err)
	return s
}

// secrets collects what must be found nowhere: the passwords and the API key
// that are shown at the start, each card's transport and final keys, and its CONF.
func (o *office) secrets(ticket string) map[string][]byte {
	o.t.Helper()
	known := map[string][]byte{}
	key := regexp.MustCompile(`filma_[0-9a-f]+_(\S+)`).FindStringSubmatch(o.text.String())
	require.NotNil(o.t, key)
	known["API key"] = []byte(key[1])
	for _, m := range logins.FindAllStringSubmatch(o.text.String(), -1) {
		known["password of "+m[1]] = []byte(m[2])
	}
	require.Len(o.t, known, 7, "API key and six accounts")

	services := o.services()
	o.t.Setenv("SOFTHSM2_CONF", services.HSM.Config)
	token, err := pkcs11.Open(pkcs11.Config{Module: services.HSM.Module, TokenLabel: services.HSM.Label, PINFile: services.HSM.PINFile})
	require.NoError(o.t, err)
	defer func() { require.NoError(o.t, token.Close()) }()
	ctx := o.t.Context()
	lines, err := writelog.Read(filepath.Join(o.dir, "virtualsam-writes.jsonl"))
	require.NoError(o.t, err)
	chips := map[string]bool{}
	for _, l := range lines {
		chips[l.Chip] = true
	}
	for _, master := range []string{"sam-transport-master", "sam-final-master"} {
		key, err := token.FindKey(ctx, master)
		require.NoError(o.t, err)
		for chip := range chips {
			kdd, err := hex.DecodeString(chip)
			require.NoError(o.t, err)
			for name, purpose := range map[string]byte{"ENC": pkcs11.PurposeENC, "MAC": pkcs11.PurposeMAC, "DEK": pkcs11.PurposeDEK} {
				known[master+" "+name+" of "+chip], err = key.KDF3(ctx, purpose, kdd, 16)
				require.NoError(o.t, err)
			}
		}
	}
	wrap, err := token.FindKey(ctx, "sam-secret-wrap")
	require.NoError(o.t, err)
	rows, err := o.database().QueryContext(ctx, `SELECT card_id, id, sealed FROM perso_attempt WHERE sealed IS NOT NULL`)
	require.NoError(o.t, err)
	defer func() { _ = rows.Close() }()
	confs := 0
	for rows.Next() {
		var card, attempt string
		var sealed []byte
		require.NoError(o.t, rows.Scan(&card, &attempt, &sealed))
		conf, err := wrap.OpenSecret(ctx, sealed, pkcs11.Bind(card, attempt))
		require.NoError(o.t, err)
		require.Len(o.t, conf, 32)
		known["CONF of "+card] = conf
		confs++
	}
	require.NoError(o.t, rows.Err())
	require.GreaterOrEqual(o.t, confs, 25, "sealed secrets of ticket %s", ticket)
	return known
}

func (o *office) database() *sql.DB {
	o.t.Helper()
	url, err := o.services().Postgres.URL("sifilma")
	require.NoError(o.t, err)
	db, err := sql.Open("postgres", url)
	require.NoError(o.t, err)
	o.t.Cleanup(func() { _ = db.Close() })
	return db
}

// forms are the ways in which a secret could be written down.
func forms(secret []byte) [][]byte {
	h := hex.EncodeToString(secret)
	return [][]byte{secret, []byte(h), []byte(strings.ToUpper(h)),
		[]byte(base64.RawStdEncoding.EncodeToString(secret)), []byte(base64.RawURLEncoding.EncodeToString(secret))}
}

// searchSecrets looks for the known values in a dump of the database, the
// broker's messages, logs, journal, configurations and papers, also inside zip
// files. Only the places that are made to hold secrets are left out.
func (o *office) searchSecrets(known map[string][]byte) {
	o.t.Helper()
	services := o.services()
	password, err := os.ReadFile(services.Postgres.PasswordFile)
	require.NoError(o.t, err)
	known["password of the database"] = bytes.TrimSpace(password)
	dumps, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	require.NoError(o.t, err)
	require.NotEmpty(o.t, dumps, "pg_dump")
	url, err := services.Postgres.URL("sifilma")
	require.NoError(o.t, err)
	dump, err := exec.Command(dumps[len(dumps)-1], "--dbname="+url).Output()
	require.NoError(o.t, err)
	require.Contains(o.t, string(dump), "perso_attempt")

	texts := map[string][]byte{"pg_dump": dump}
	for _, base := range []string{o.dir, services.Data} {
		require.NoError(o.t, filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // gone meanwhile, or another user's socket
			}
			switch d.Name() {
			case "secret", "secrets", "softhsm", "pg", "postgres":
				return fs.SkipDir
			}
			if !d.Type().IsRegular() {
				return nil
			}
			body, err := os.ReadFile(path) //nolint:gosec // below the run directory
			if err != nil {
				return nil
			}
			texts[path] = body
			unzip(path, body, texts)
			return nil
		}))
	}
	require.Greater(o.t, len(texts), 15, "files searched")
	for name, secret := range known {
		for _, form := range forms(secret) {
			for path, text := range texts {
				if bytes.Contains(text, form) {
					o.t.Errorf("%s is in %s", name, path)
				}
			}
		}
	}
	for path, text := range texts { // the dump's blobs are hex: a zip in there is in papers too
		if bytes.Contains(text, []byte("DATA RACE")) {
			o.t.Errorf("data race reported in %s", path)
		}
	}
}

func unzip(path string, body []byte, into map[string][]byte) {
	r, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return
	}
	for _, f := range r.File {
		part, err := f.Open()
		if err != nil {
			continue
		}
		if text, err := io.ReadAll(io.LimitReader(part, 64<<20)); err == nil {
			into[path+"!"+f.Name] = text
		}
		_ = part.Close()
	}
}

// checkBooks compares the database with what must be true after a demo.
func (o *office) checkBooks(ticket string) {
	o.t.Helper()
	db := o.database()
	count := func(want int, query string, args ...any) {
		o.t.Helper()
		var got int
		require.NoError(o.t, db.QueryRowContext(o.t.Context(), query, args...).Scan(&got))
		require.Equal(o.t, want, got, query)
	}
	count(25, `SELECT count(*) FROM card c JOIN request r ON r.id = c.request_id WHERE r.ticket = $1 AND c.state = 'clear'`, ticket)
	count(2, `SELECT count(*) FROM card c JOIN request r ON r.id = c.request_id WHERE r.ticket = $1 AND c.state IN ('failed','spoiled')`, ticket)
	count(25, `SELECT received FROM handover h JOIN request r ON r.id = h.request_id WHERE r.ticket = $1 AND h.state = 'closed'`, ticket)
	count(4, `SELECT count(*) FROM document d JOIN request r ON r.id = d.request_id WHERE r.ticket = $1 AND d.state = 'issued'`, ticket)
	count(0, `SELECT count(*) FROM shelf WHERE closed_at IS NULL`)
	count(0, `SELECT count(*) FROM chip_authentication WHERE failures > 0`)
	count(0, `SELECT count(*) FROM (SELECT day FROM work_order WHERE state <> 'revoked' GROUP BY day, capacity HAVING sum(quantity) > capacity) AS over`)
	count(0, `SELECT count(*) FROM delivery_attempt`)

	owner := o.services().Postgres
	pool, err := postgres.Open(postgres.Config{URL: owner.RoleURL("sifilma", owner.User, ""), PasswordFile: owner.PasswordFile})
	require.NoError(o.t, err)
	defer func() { _ = pool.Close() }()
	_, err = audit.Verify(context.WithoutCancel(o.t.Context()), pool)
	require.NoError(o.t, err)
}
