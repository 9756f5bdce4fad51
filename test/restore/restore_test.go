//go:build long

// Package restore_test drills the restore of a backup with the scripts of
// deploy/backup, on a cluster of its own.
package restore_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
)

// patience is for a hang, not a measure.
const patience = time.Minute

// given are the numbers that the office gave, by kind: what is on cards, papers
// and receipts stays there whatever happens to the database.
type given map[string]map[string]bool

func (g given) take(t *testing.T, kind, number string) {
	t.Helper()
	if g[kind] == nil {
		g[kind] = map[string]bool{}
	}
	require.False(t, g[kind][number], "%s %s is given twice", kind, number)
	g[kind][number] = true
}

// work makes a card, a paper and a ticket.
func work(t *testing.T, db *postgres.DB, requestID, serial string, g given) {
	t.Helper()
	station := perso.Change{Actor: perso.StationActor("perso-uji"), OfficeAt: persotest.OfficeAt}
	var card perso.Hand
	var paper letter.Document
	var ticket int64
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		card, err = perso.Claim(ctx, tx, perso.Identity{Serial: serial, ChipID: "CHIP-" + serial},
			persotest.Place(t, db, "perso-uji"), station)
		if err != nil {
			return err
		}
		if card, err = perso.BeginWriting(ctx, tx, card, perso.Intent{Sealed: []byte{1}}, station); err != nil {
			return err
		}
		if card, err = perso.Finish(ctx, tx, card, nil, station); err != nil {
			return err
		}
		paper, _, err = letter.Make(ctx, tx, letter.Draft{
			Kind: letter.ResultList, SubjectID: uuid.Must(uuid.NewV7()).String(), RequestID: requestID,
			Dated: clock.DateOf(persotest.OfficeAt), Numbering: "400/{urut}/{tahun}",
		}, request.Change{Actor: machine.Actor{Name: "document-generator", Role: "system"}, OfficeAt: persotest.OfficeAt})
		if err != nil {
			return err
		}
		return tx.Get(ctx, &ticket, `SELECT nextval('ticket_number')`)
	}))
	g.take(t, "PCID", card.Card.PCID)
	g.take(t, "manifest", card.Card.ManifestNo)
	g.take(t, "paper", *paper.Number)
	g.take(t, "ticket", fmt.Sprint(ticket))
}

func states(t *testing.T, db *postgres.DB) map[string]int {
	t.Helper()
	var rows []struct {
		State string `db:"state"`
		N     int    `db:"n"`
	}
	require.NoError(t, db.Select(t.Context(), &rows, `SELECT state, count(*) AS n FROM card GROUP BY 1`))
	out := map[string]int{}
	for _, r := range rows {
		out[r.State] = r.N
	}
	return out
}

// TestRestoreToAMoment: the office works, is backed up, works on; a moment is
// picked, and more work comes after it. The restored office has all of the time
// before, nothing of the time after, and gives no number again that it gave then.
func TestRestoreToAMoment(t *testing.T) {
	t.Parallel()
	const part = 12
	o := persotest.New(t, 5*part, 5*part)
	require.NoError(t, machine.Sync(t.Context(), o.DB, request.Machine, perso.Machine, letter.Machine))
	root, err := harness.Root()
	require.NoError(t, err)
	p := newPlace(t)
	sifilma := filepath.Join(p.dir, "sifilma")
	out, err := exec.Command("go", "build", "-o", sifilma, root+"/daemons/sifilma").CombinedOutput()
	require.NoError(t, err, string(out))

	// The same office on a server with an archive.
	for _, dir := range []string{"cadangan", "cadangan/wal", "jurnal"} {
		p.run(t, nil, "mkdir", filepath.Join(p.dir, dir))
	}
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "jurnal", "journal.jsonl"), []byte("{}\n"), 0o644))
	data := filepath.Join(p.dir, "data")
	p.run(t, nil, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
	s := p.start(t, data)
	p.run(t, s.env(), "createdb", "sifilma")
	dump := filepath.Join(p.dir, "office.sql")
	p.run(t, nil, "pg_dump", "-O", "-x", "-f", dump, o.Database.URL(t, ""))
	p.run(t, s.env(), "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump)
	db := s.open(t)

	g := given{}
	serials := o.Serials
	next := func(db *postgres.DB) {
		for _, serial := range serials[:part] {
			work(t, db, o.RequestID, serial, g)
		}
		serials = serials[part:]
	}
	next(db)
	said := p.run(t, append(s.env(), "BACKUP_DIR="+p.dir+"/cadangan", "BACKUP_JOURNALS="+p.dir+"/jurnal"), filepath.Join(p.dir, "backup.sh"))
	require.Contains(t, said, "utuh")
	next(db)
	var moment string
	require.NoError(t, db.Get(t.Context(), &moment, `SELECT clock_timestamp()::text`))
	before := serials
	next(db)
	require.NoError(t, db.Close())
	s.stop(t)

	base, err := filepath.Glob(p.dir + "/cadangan/base/*Z")
	require.NoError(t, err)
	require.Len(t, base, 1)
	later := filepath.Join(p.dir, "data-pulih")
	p.run(t, nil, filepath.Join(p.dir, "restore.sh"), base[0], later, moment)
	s = p.start(t, later)
	db = s.open(t)
	require.Eventually(t, func() bool {
		var recovering bool
		return db.Get(context.Background(), &recovering, `SELECT pg_is_in_recovery()`) == nil && !recovering
	}, patience, patience/600)
	require.Equal(t, map[string]int{"clear": 2 * part, "listed": 3 * part}, states(t, db), "all up to the moment, nothing after it")
	epoch, err := perso.Epoch(t.Context(), db)
	require.NoError(t, err)
	require.Equal(t, 2, epoch, "cards have a new epoch even if nobody says that the database was restored")

	said = p.run(t, nil, sifilma, "restored", "-url", s.url(), "-by", "operator uji", "-reason", "gladi", "-papers", "50", "-tickets", "500")
	require.Contains(t, said, "Nomor kartu berlanjut pada epoch 2")
	require.Contains(t, said, fmt.Sprintf("urut %d sampai %d dilewati", 2*part+1, 2*part+50))
	require.Contains(t, p.run(t, nil, sifilma, "restored", "-report", "-url", s.url()), "gladi")
	// The same blanks are listed again; the chips are others here, since those from
	// after the moment are no blanks any more.
	serials = before
	next(db)
	next(db)
	for kind, numbers := range g {
		require.Len(t, numbers, 5*part, kind)
	}
	_, err = audit.NewSealer(db, 1000).SealOnce(t.Context())
	require.NoError(t, err)
	_, err = audit.Verify(t.Context(), db)
	require.NoError(t, err)
	require.False(t, strings.Contains(said, "ERROR"))
}
