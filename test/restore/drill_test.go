//go:build long

package restore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/crash/chaos"
	"dukcapil.go.id/sifilma/test/crash/judge"
	"dukcapil.go.id/sifilma/test/crash/load"
	"dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/control"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

const (
	cardsEarly  = 10 // clear before the backup, and again between backup and moment
	cardsAfter  = 2  // finished by each station after the moment
	papersAfter = 2  // numbered after the moment
	dropsAfter  = 2  // answered after the moment
	killsEarly  = 20 // daemons and services ended before the moment
	paperGap    = 200
	ticketGap   = 2000
	// left runs on while the database is restored; all others are started again.
	left = "perso-station-2"
)

// issued is a number on a paper, whoever has it.
type issued struct {
	ID     string `db:"id"`
	Number string `db:"number"`
	Year   int    `db:"year"`
}

func (d *drill) count(db *postgres.DB, query string, args ...any) (n int) {
	d.Helper()
	require.NoError(d, db.Get(d.Context(), &n, query, args...))
	return n
}

// tally counts what only grows while the office is broken: it is nothing as long
// as the database does not answer.
func (d *drill) tally(db *postgres.DB, query string, args ...any) (n int) {
	_ = db.Get(d.Context(), &n, query, args...)
	return n
}

// ask puts a question until the database answers.
func (d *drill) ask(what string, db *postgres.DB, dest any, query string) {
	d.Helper()
	d.await(what, func() string {
		if err := db.Get(d.Context(), dest, query); err != nil {
			return err.Error()
		}
		return ""
	})
}

// storm breaks the office until calm is called, which lets everything come back.
// By fallen, each of the two services was taken away once.
func (d *drill) storm() (storm *chaos.Chaos, fallen time.Time, calm func()) {
	const seed = 20261121
	plan := chaos.Plan(seed, 5*longPatience) // longer than all that is awaited in it
	began := time.Now()
	for _, service := range []office.Service{office.Postgres, office.RabbitMQ} {
		at := slices.IndexFunc(plan, func(b chaos.Blow) bool { return b.Kind == chaos.Restart && b.Target == string(service) })
		require.GreaterOrEqual(d, at, 0)
		if t := began.Add(plan[at].At + plan[at].Long); t.After(fallen) {
			fallen = t
		}
	}
	storm = chaos.New(d.of, func(text string) { d.say("%s", text) }, d.world.Skip)
	blowing, end := context.WithCancel(d.Context())
	var all sync.WaitGroup
	all.Go(func() { storm.Run(blowing, plan) })
	return storm, fallen, func() {
		end()
		all.Wait()
		require.Empty(d, storm.Failed())
	}
}

func (d *drill) papers(db *postgres.DB) (all []issued) {
	d.Helper()
	require.NoError(d, db.Select(d.Context(), &all, `SELECT id, number, extract(year FROM dated)::int AS year FROM document WHERE number IS NOT NULL`))
	return all
}

// atLeast says what is missing, for await.
func atLeast(what string, have, want int) string {
	if have < want {
		return fmt.Sprintf("%d of %d %s; ", have, want, what)
	}
	return ""
}

// TestWholeOfficeGoesOnAfterARestore: the office works under load while its
// daemons, services, lines and disks are broken all the time. A backup is taken,
// work goes on, a moment is picked in the middle of that, and work goes on after
// it: cards are written, papers numbered, requests answered. Then the database
// breaks for good and is restored to the moment, with the broker empty, and the
// cards and the stations' journals as they are.
//
// What was answered before the moment, by the server's clock, is there: a commit
// has its time before it is answered, and recovery stops at the first commit
// that is later. The archive must have the segment in which that one is, so
// that at most the last archive_timeout is out of reach. What happened later is
// learned again from the journals and the cards, or is on the list for people.
func TestWholeOfficeGoesOnAfterARestore(t *testing.T) {
	t.Parallel()
	d := open(t)
	db := d.db()
	dropping, enough := context.WithCancel(t.Context())
	defer enough()
	stop := d.work(dropping)
	storm, fallen, calm := d.storm()
	made := func() int { return d.tally(db, `SELECT count(*) FROM card WHERE state = 'clear'`) }
	d.await("cards are made", func() string { return atLeast("cards", made(), cardsEarly) })
	backup := d.backup()
	var early int
	d.ask("how many there are now", db, &early, `SELECT count(*) FROM card WHERE state = 'clear'`)
	d.await("more cards are made, and all kinds of harm done", func() (missing string) {
		if time.Now().Before(fallen) {
			missing = "a service that falls; "
		}
		return missing + atLeast("cards", made(), early+cardsEarly) + atLeast("kills", storm.Kills(), killsEarly)
	})
	facts := d.world.Facts()
	var moment time.Time
	d.ask("the moment", db, &moment, `SELECT clock_timestamp()`)
	d.say("%d tickets and %d decisions were answered before it, after %d kills", len(facts.Tickets), len(facts.Answers), storm.Kills())
	papers := func() int { return d.tally(db, `SELECT count(*) FROM document WHERE number IS NOT NULL`) }
	var numbered int
	d.ask("how many papers there are", db, &numbered, `SELECT count(*) FROM document WHERE number IS NOT NULL`)
	killed := storm.Kills()
	d.await("much happened after the moment", func() string {
		drops := len(d.world.Facts().Tickets) - len(facts.Tickets)
		return atLeast("cards of the first station", d.proven("perso-station", moment), cardsAfter) +
			atLeast("cards of the second station", d.proven(left, moment), cardsAfter) +
			atLeast("papers", papers()-numbered, papersAfter) + atLeast("drops", drops, dropsAfter) +
			atLeast("kills", storm.Kills()-killed, 1)
	})
	var last string
	d.ask("its last segment", db, &last, `SELECT pg_walfile_name(pg_current_wal_insert_lsn())`)
	d.await("the archive has it", func() string {
		if _, err := os.Stat(filepath.Join(d.place.dir, "cadangan", "wal", last)); err != nil {
			return err.Error()
		}
		return ""
	})

	// The end of the old database, in the middle of work.
	calm()
	d.await("the station that is left alone is at work", func() string {
		if ready, text := d.ready("perso-station", 1); !ready {
			return text
		}
		return ""
	})
	before, revocations := d.papers(db), d.lastList(db)
	for _, name := range office.Instances() {
		d.of.Postgres[name].Cut()
		d.of.Rabbit[name].Cut()
	}
	enough()
	stop()
	data := d.lose()
	for _, name := range office.Instances() {
		if p, ok := d.of.Process(name); ok && name != left {
			p.Signal(syscall.SIGKILL, false)
		}
	}
	d.restore(backup, data, moment.UTC().Format("2006-01-02 15:04:05.000000+00"))
	require.NoError(t, d.of.EmptyBroker(t.Context()))
	emptied := time.Now()

	// Before anybody acts.
	require.Zero(t, d.count(db, `SELECT count(*) FROM history WHERE at > $1`, moment), "nothing of the time after the moment")
	kept, err := judge.Kept(t.Context(), d.of, d.world.Drops(), facts)
	require.NoError(t, err)
	require.Empty(t, kept.Faults, "what was answered before the moment")
	require.Equal(t, len(facts.Tickets), kept.Requests)
	gone := 0 // numbers of papers that nobody but their reader knows now
	for _, p := range before {
		gone += 1 - d.count(db, `SELECT count(*) FROM document WHERE id = $1 AND number = $2`, p.ID, p.Number)
	}
	require.GreaterOrEqual(t, gone, papersAfter)

	// The stations notice by themselves, also the one that was never stopped.
	for _, name := range []string{"perso-station", left} {
		d.of.Postgres[name].Resume()
		d.of.Rabbit[name].Resume()
	}
	d.await("both stations refuse to begin cards", func() (missing string) {
		for n := range d.of.Addresses["perso-station"] {
			if ready, text := d.ready("perso-station", n); ready || !strings.Contains(text, "sifilma restored") {
				missing += text
			}
		}
		return missing
	})
	said := d.sifilma("-by", "operator uji", "-reason", "gladi", "-papers", fmt.Sprint(paperGap), "-tickets", fmt.Sprint(ticketGap))
	require.Contains(t, said, "Nomor kartu berlanjut pada epoch")
	require.Zero(t, d.count(db, `SELECT count(*) FROM perso_attempt WHERE claimed_at > $1 AND claimed_at < (SELECT max(raised_at) FROM restoration)`, moment),
		"no card was begun before people said so")
	d.giveList(revocations)
	for _, name := range office.Instances() {
		d.of.Postgres[name].Resume()
		d.of.Rabbit[name].Resume()
	}
	d.await("all daemons are ready", func() (missing string) {
		for _, daemon := range office.Daemons {
			for n := range d.of.Addresses[daemon] {
				if ready, text := d.ready(daemon, n); !ready {
					missing += daemon + " " + text
				}
			}
		}
		return missing
	})
	chips := d.reported()
	d.say("%d chips are on the list", len(chips))
	require.GreaterOrEqual(t, len(chips), 1)

	d.goOn(db, facts)
	d.judge(db, judge.Restored{Chips: d.reported(), Papers: paperGap}, append(storm.Emptied(), emptied), moment, before)
}

// goOn has people work on until nothing is left to do.
func (d *drill) goOn(db *postgres.DB, facts load.Facts) {
	var tickets []string
	require.NoError(d, db.Select(d.Context(), &tickets, `SELECT ticket FROM request`))
	known := map[string]bool{}
	for _, t := range tickets {
		known[t] = true
	}
	d.world.Restored(facts, known)
	again := 0
	for _, drop := range d.world.Drops() {
		again += len(drop.Before)
	}
	require.Positive(d, again, "a ticket was lost")
	d.say("%d requests are sent again", again)
	dropping, enough := context.WithCancel(d.Context())
	defer enough()
	stop := d.work(dropping)
	// New requests, too, so that numbers of each kind go on.
	drops := len(d.world.Drops())
	d.await("new requests came", func() string { return atLeast("requests", len(d.world.Drops()), drops+dropsAfter) })
	enough()
	told := time.Now()
	d.await("nothing is left to do", func() string {
		_, unanswered, waiting := d.world.Rest()
		if time.Since(told) > 20*time.Second {
			d.say("%d wait, %d are not answered", len(waiting), unanswered)
			told = time.Now()
		}
		if unanswered == 0 && len(waiting) == 0 && judge.AtRest(d.Context(), d.of) {
			return ""
		}
		return fmt.Sprintf("%d not answered, waiting: %s", unanswered, strings.Join(waiting, "\n"))
	})
	stop()
}

// judge looks at what both lives of the office left behind.
func (d *drill) judge(db *postgres.DB, restored judge.Restored, emptied []time.Time, moment time.Time, before []issued) {
	verdict, err := judge.JudgeRestored(d.Context(), d.of, d.world, emptied, restored)
	require.NoError(d, err)
	require.Empty(d, verdict.Faults)
	require.True(d, verdict.Good())

	// Each chip that was ever written is known, or on the list.
	sam, err := client.Dial(d.Context(), d.of.VirtualSAM)
	require.NoError(d, err)
	defer func() { _ = sam.Close() }()
	_, chips, err := sam.List(d.Context())
	require.NoError(d, err)
	var markers []string
	require.NoError(d, db.Select(d.Context(), &markers, `SELECT upper(replace(id::text, '-', '')) FROM perso_attempt WHERE sealed IS NOT NULL`))
	forgotten := 0
	for _, c := range chips {
		if c.Marker == "" || slices.Contains(markers, strings.ToUpper(c.Marker)) {
			continue
		}
		forgotten++
		require.True(d, restored.Chips[strings.ToUpper(c.ChipID)], "chip %s (%s) is neither in the books nor on the list", c.ChipID, c.Serial)
	}
	require.GreaterOrEqual(d, forgotten, cardsAfter)
	require.LessOrEqual(d, forgotten, len(restored.Chips))
	lines, err := writelog.Read(filepath.Join(d.of.Dir, "virtualsam-writes.jsonl"))
	require.NoError(d, err)
	later := d.later(lines, moment, chips)

	// No number of a paper and no ticket was given again.
	owner := map[string]string{}
	for _, p := range slices.Concat(before, d.papers(db)) {
		number := fmt.Sprint(p.Number, " ", p.Year)
		require.Contains(d, []string{"", p.ID}, owner[number], "%s is on two papers", number)
		owner[number] = p.ID
	}
	sender := map[string]string{}
	for _, drop := range d.world.Drops() {
		for _, ticket := range slices.Concat(drop.Before, drop.Tickets[:1]) {
			require.Contains(d, []string{"", drop.Reference}, sender[ticket], "%s was given twice", ticket)
			sender[ticket] = drop.Reference
		}
	}
	epoch, err := perso.Epoch(d.Context(), db)
	require.NoError(d, err)
	d.say("requests=%d cards=%d chips written after the moment=%d, forgotten=%d; rings=%d epoch=%d desks=%d; lost=%d doubled=%d stuck=%d",
		verdict.Requests, verdict.Cards, later, forgotten, verdict.Rings, epoch, len(verdict.Desks), verdict.Lost, verdict.Doubled, verdict.Stuck)
}

// later counts the chips that took their marker after the moment.
func (d *drill) later(lines []writelog.Line, moment time.Time, chips []control.Chip) (n int) {
	for _, l := range lines {
		if l.Step == card.StepMarker && l.Accepted() && l.Time.After(moment) {
			require.True(d, slices.ContainsFunc(chips, func(c control.Chip) bool { return c.ChipID == l.Chip }), "chip %s", l.Chip)
			n++
		}
	}
	return n
}
