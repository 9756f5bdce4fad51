package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
)

// sweeping starts two schedulers that sweep every second.
func sweeping(t *testing.T, o *persotest.Office, office time.Time) []*harness.Daemon {
	t.Helper()
	vhost := harness.NewVhost(t)
	var fleet []*harness.Daemon
	for range 2 {
		d := &harness.Daemon{
			Postgres: o.Database.Config(t, "sifilma_scheduler"), Rabbit: vhost.Config("scheduler"), More: "sweeper: {every: 1s}",
		}
		d.Start(t, office, func(args []string, log io.Writer, signals <-chan os.Signal) int {
			return daemon.Run("scheduler", args, io.Discard, log, signals, defaults, wire)
		})
		fleet = append(fleet, d)
	}
	return fleet
}

// long makes all that happened an hour older; what was to be sent counts as
// sent then.
func long(t *testing.T, o *persotest.Office) {
	t.Helper()
	do(t, o, `UPDATE history SET at = at - interval '1 hour'`, `UPDATE outbox SET sent_at = now() - interval '1 hour'`)
}

// do writes past the guards of the tables.
func do(t *testing.T, o *persotest.Office, queries ...string) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range append([]string{`SET LOCAL session_replication_role = replica`}, queries...) {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestLostBellIsRungOnceByTwoSchedulers: the broker lost the bell of the last
// card. Two schedulers find that out, one rings, and the request is done once.
func TestLostBellIsRungOnceByTwoSchedulers(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	personalise(t, o, o.Serials[0])
	long(t, o)
	fleet := sweeping(t, o, persotest.OfficeAt)
	eventually(t, o, 1, `SELECT count(*) FROM request WHERE id = $1 AND state = 'done'`, o.RequestID)
	eventually(t, o, 1, `SELECT count(*) FROM history WHERE subject = $1 AND verb = 'finish'`, o.RequestID)
	eventually(t, o, 1, `SELECT sum(rings)::int FROM sweep`)
	eventually(t, o, 2, `SELECT count(*) FROM outbox WHERE type = 'workorder.finished'`) // the lost one and this
	logged := 0
	for _, d := range fleet {
		if strings.Contains(d.Log(), "a bell seems lost") {
			logged++
		}
	}
	require.Equal(t, 1, logged, "one of the two says what it rang")
}

// TestNothingLostNothingRung: a day that ran well is no cause for the sweeper,
// however old it gets.
func TestNothingLostNothingRung(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	monday := clock.MustParseDate("2026-03-02")
	fleet := sweeping(t, o, persotest.OfficeAt)
	personalise(t, o, o.Serials[0])
	for _, d := range fleet {
		d.Step(t, monday.At(16, 0))
	}
	eventually(t, o, 1, `SELECT count(*) FROM work_order WHERE day = $1 AND state = 'planned'`, monday.AddDays(1))
	long(t, o)
	// Three sweeps from here on: each sets the lease anew.
	for range 3 {
		var expires time.Time
		require.NoError(t, o.DB.Get(t.Context(), &expires, `SELECT coalesce(max(expires_at), now()) FROM lease`))
		eventually(t, o, 1, `SELECT count(*) FROM lease WHERE name = 'sweeper' AND expires_at > $1`, expires)
	}
	eventually(t, o, 0, `SELECT count(*) FROM sweep`)
	eventually(t, o, 1, `SELECT count(*) FROM schedule_run WHERE job = 'close' AND window_start = $1`, monday.At(16, 0).UTC())
	eventually(t, o, 1, `SELECT count(*) FROM history WHERE machine = 'work_order' AND verb = 'settle'`)
}

// TestHousekeepingForgetsWhatIsOld: what nobody asks for again goes, under the
// scheduler's own role; what is younger stays.
func TestHousekeepingForgetsWhatIsOld(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	do(t, o,
		`INSERT INTO idempotency (client, key, fingerprint, status, location, body, created_at)
		 SELECT 'uji', n::text, sha256('x'), 202, '/', '{}', now() - make_interval(days => n) FROM generate_series(1, 12) AS n`,
		`INSERT INTO idempotency (client, key, fingerprint, status, location, body, created_at)
		 SELECT 'banyak', n::text, sha256('x'), 202, '/', '{}', now() - interval '30 days' FROM generate_series(1, 5001) AS n`,
		`INSERT INTO account (id, username, name, role, password_hash) VALUES (gen_random_uuid(), 'uji', 'Uji', 'operator', '-')`,
		`INSERT INTO session (token_sha256, account_id, seen_at, expires_at) SELECT sha256(x::bytea), id, now() - seen, now() + left_over
		 FROM account, (VALUES ('in use', interval '20 minutes', interval '1 hour'), ('idle', interval '2 hours', interval '1 hour'),
		                       ('over', interval '0', interval '-2 hours')) AS s (x, seen, left_over)`,
		`INSERT INTO outbox (id, type, subject, version, sent_at)
		 SELECT gen_random_uuid(), 'request.done', gen_random_uuid(), 1, now() - make_interval(days => n) FROM generate_series(6, 9) AS n`,
		`INSERT INTO delivery_attempt (consumer, message_id, attempts, last_error, at)
		 SELECT 'validator', gen_random_uuid(), 1, 'x', now() - make_interval(days => n) FROM generate_series(29, 32) AS n`)
	fleet := startScheduler(t, o, 2)
	eventually(t, o, 6, `SELECT count(*) FROM idempotency`)
	eventually(t, o, 1, `SELECT count(*) FROM session`)
	eventually(t, o, 1, `SELECT count(*) FROM outbox`)
	eventually(t, o, 1, `SELECT count(*) FROM delivery_attempt`)
	for _, d := range fleet {
		require.False(t, strings.Contains(d.Log(), "housekeeping fails"))
	}
}

// TestReductionOfTheLastCardsEndsTheRequest: what is left to do was taken off by a
// letter. The bell finds the order too large and the request done.
func TestReductionOfTheLastCardsEndsTheRequest(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 2)
	do(t, o, `UPDATE card SET state = 'clear', chip_id = serial, pcid = upper(md5(serial)), manifest_no = serial,
		work_order_id = (SELECT id FROM work_order LIMIT 1) WHERE serial = 'SAM00000001'`)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		scan, err := blob.Put(ctx, tx, "surat.pdf", "application/pdf", strings.NewReader("pindaian"))
		if err != nil {
			return err
		}
		_, err = perso.Reduce(ctx, tx, o.RequestID, perso.Letter{
			Number: "1", Date: clock.MustParseDate("2026-03-01"), Signer: "Penanda Tangan", SignerPost: "Direktur", ScanBlob: scan.ID.String(),
		}, []perso.Seen{{ID: o.CardIDs[1], Version: 1}, {ID: o.CardIDs[2], Version: 1}}, persotest.Person("kasubdit", request.Kasubdit, "pesanan berkurang"))
		return err
	})
	sweeping(t, o, persotest.OfficeAt)
	eventually(t, o, 1, `SELECT count(*) FROM request WHERE id = $1 AND state = 'done'`, o.RequestID)
	_, state := o.Remaining(t)
	require.Equal(t, "closed", state)
	eventually(t, o, 0, `SELECT count(*) FROM sweep`) // by the bell, not by the sweeper
}
