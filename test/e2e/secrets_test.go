package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/leak"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
)

func (o *office) services() *local.Services {
	o.t.Helper()
	s, err := local.Load(o.dir)
	require.NoError(o.t, err)
	return s
}

// tempDir is where the processes of a run put temporary files.
func tempDir(dir string) string { return filepath.Join(dir, "tmp") }

// hold keeps every temporary file of a run, also when it is gone, until ended is called.
func hold(t *testing.T, dir string) (held string, ended func()) {
	t.Helper()
	held = filepath.Join(dir, "held")
	for _, d := range []string{held, tempDir(dir)} {
		require.NoError(t, os.Mkdir(d, 0o700))
	}
	ctx, stop := context.WithCancel(context.Background())
	done := leak.Hold(ctx, tempDir(dir), held)
	ended = func() {
		stop()
		<-done
	}
	t.Cleanup(ended)
	return held, ended
}

// holders are the places of a run that are made to hold secrets. What PostgreSQL has is
// searched as a dump.
var holders = []string{"secret", "secrets", "softhsm", "pg", "postgres"}

// secrets collects what must be found nowhere: the passwords and the API key that are
// shown at the start, the passwords and PINs of the services, the transport and final
// keys of every chip, the keys of every session, every CONF and what opens its card.
// The masters are not among them: they were made in the token and never leave it.
func (o *office) secrets(ticket string) *leak.Secrets {
	o.t.Helper()
	ctx := o.t.Context()
	known := &leak.Secrets{}
	key := regexp.MustCompile(`filma_[0-9a-f]+_(\S+)`).FindStringSubmatch(o.text.String())
	require.NotNil(o.t, key)
	require.NoError(o.t, known.AddText("API key", key[1]))
	for _, m := range logins.FindAllStringSubmatch(o.text.String(), -1) {
		require.NoError(o.t, known.AddText("password of "+m[1], m[2]))
	}
	require.Equal(o.t, 8, known.Len(), "API key and seven accounts")

	services := o.services()
	for _, dir := range []string{filepath.Join(o.dir, "secrets"), filepath.Dir(services.Postgres.PasswordFile)} {
		require.NoError(o.t, known.AddFiles(dir))
	}
	require.GreaterOrEqual(o.t, known.Len(), 7+6+4, "six daemons' passwords, those of database and broker, two PINs")

	o.t.Setenv("SOFTHSM2_CONF", services.HSM.Config)
	token, err := pkcs11.Open(pkcs11.Config{Module: services.HSM.Module, TokenLabel: services.HSM.Label, PINFile: services.HSM.PINFile})
	require.NoError(o.t, err)
	defer func() { require.NoError(o.t, token.Close()) }()
	confs, err := known.AddCards(ctx, o.owner(), token)
	require.NoError(o.t, err)
	require.GreaterOrEqual(o.t, confs, 25, "sealed secrets of ticket %s", ticket)

	sam, err := client.Dial(ctx, filepath.Join(filepath.Dir(services.PCSC.Socket), "virtualsam.sock"))
	require.NoError(o.t, err)
	defer func() { require.NoError(o.t, sam.Close()) }()
	before := known.Len()
	require.NoError(o.t, known.AddChips(ctx, sam))
	require.GreaterOrEqual(o.t, known.Len()-before, 25*6, "the keys of two sessions with each chip")
	return known
}

// owner is the office's database with the rights of its owner.
func (o *office) owner() *postgres.DB {
	o.t.Helper()
	owner := o.services().Postgres
	pool, err := postgres.Open(postgres.Config{URL: owner.RoleURL("sifilma", owner.User, ""), PasswordFile: owner.PasswordFile})
	require.NoError(o.t, err)
	o.t.Cleanup(func() { _ = pool.Close() })
	return pool
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

// searchSecrets looks for the known values everywhere, and then for two that are no
// secrets, which it must find in each kind of place.
func (o *office) searchSecrets(known *leak.Secrets, ticket, held string) {
	o.t.Helper()
	search := leak.NewSearch(known)
	o.everywhere(search)
	require.Empty(o.t, search.Findings())
	require.Empty(o.t, search.Closed())
	kinds := []string{"pg_dump", "!word/document.xml", "!xl/worksheets/", "!words", "/log/", "/rabbitmq/mnesia/", "journal.jsonl", "http://", held}
	for place := range search.Looked() {
		kinds = slices.DeleteFunc(kinds, func(kind string) bool { return strings.Contains(place, kind) })
	}
	require.Empty(o.t, kinds, "kinds of places that were not looked through")

	var request string
	require.NoError(o.t, o.database().QueryRow(`SELECT id FROM request WHERE ticket = $1`, ticket).Scan(&request))
	open := &leak.Secrets{}
	require.NoError(o.t, open.AddText("ticket", ticket))
	require.NoError(o.t, open.AddText("request", request))
	search = leak.NewSearch(open)
	o.everywhere(search)
	kinds = []string{"pg_dump", "!word/document.xml", "!words", "/log/", "/rabbitmq/mnesia/", held}
	for _, f := range search.Findings() {
		kinds = slices.DeleteFunc(kinds, func(kind string) bool { return strings.Contains(f.Place, kind) })
	}
	require.Empty(o.t, kinds, "kinds of places that hide what is there")
	o.noRaces()
}

// everywhere is a dump of the database, what the daemons show, and every file of the
// run: the broker's messages, logs, journal, failures, configurations, papers, and
// temporary files that are long gone. Only places that are made to hold secrets are
// left out.
func (o *office) everywhere(search *leak.Search) {
	o.t.Helper()
	ctx := o.t.Context()
	services := o.services()
	url, err := services.Postgres.URL("sifilma")
	require.NoError(o.t, err)
	require.NoError(o.t, search.Database(ctx, "pg_dump", url))
	var ports map[string]int
	body, err := os.ReadFile(filepath.Join(o.dir, "ports.json"))
	require.NoError(o.t, err)
	require.NoError(o.t, json.Unmarshal(body, &ports))
	for _, daemon := range allDaemons {
		paths := []string{"/metrics", "/readyz", "/api/v1/status"}
		if daemon == "perso-station" {
			paths = append(paths, "/", "/layar", "/api/v1/station")
		}
		for _, path := range paths {
			require.NoError(o.t, search.Get(ctx, fmt.Sprintf("http://127.0.0.1:%d%s", ports[daemon], path)))
		}
	}
	for _, base := range []string{o.dir, services.Data} {
		require.NoError(o.t, search.Dir(base, holders...))
	}
}

// noRaces looks through what the processes logged for the word of the race detector.
func (o *office) noRaces() {
	o.t.Helper()
	logs, err := filepath.Glob(filepath.Join(o.dir, "log", "*.log"))
	require.NoError(o.t, err)
	require.Greater(o.t, len(logs), 6)
	for _, path := range logs {
		text, err := os.ReadFile(path)
		require.NoError(o.t, err)
		require.False(o.t, bytes.Contains(text, []byte("DATA RACE")), "data race reported in %s", path)
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

	_, err := audit.Verify(context.WithoutCancel(o.t.Context()), o.owner())
	require.NoError(o.t, err)
}
