package sweeper_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/scheduler/internal/sweeper"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/test/harness"
)

// queues is a broker whose every queue is as deep.
type queues struct {
	depth rabbit.Depth
	err   error
}

func (q *queues) Depth(context.Context, string) (rabbit.Depth, error) { return q.depth, q.err }

// rig is an office with one request of two cards and one released order.
type rig struct {
	*persotest.Office
	t         *testing.T
	scheduler *postgres.DB
	queues    *queues
	log       bytes.Buffer
	sweeper   *sweeper.Sweeper
}

func newRig(t *testing.T) *rig {
	o := persotest.New(t, 2, 2)
	require.NoError(t, machine.Sync(t.Context(), o.DB, letter.Machine, handover.Machine))
	r := &rig{Office: o, t: t, scheduler: o.Database.Open(t, "sifilma_scheduler"), queues: &queues{}}
	r.sweeper = r.another(&r.log)
	return r
}

// another is one more scheduler's sweeper.
func (r *rig) another(log *bytes.Buffer) *sweeper.Sweeper {
	r.t.Helper()
	s, err := sweeper.New(sweeper.Defaults(), r.scheduler, r.queues, zerolog.New(log), clock.Real())
	require.NoError(r.t, err)
	return s
}

// do writes what others are tested for, past the guards of the tables.
func (r *rig) do(queries ...string) {
	r.t.Helper()
	r.Must(r.t, func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range append([]string{`SET LOCAL session_replication_role = replica`}, queries...) {
			if _, err := tx.Exec(ctx, q); err != nil {
				return errors.Join(errors.New(q), err)
			}
		}
		return nil
	})
}

// become puts the request into a state, as of now.
func (r *rig) become(state string) {
	r.t.Helper()
	r.do(`UPDATE request SET state = '`+state+`', version = version + 1, held_from = CASE WHEN '`+state+`' = 'held' THEN 'in_progress' END`,
		`INSERT INTO history (id, machine, subject, request_id, version, from_state, verb, to_state, actor, role, office_at)
		 SELECT gen_random_uuid(), 'request', id, id, version, '', 'uji', state, 'uji', 'uji', now() FROM request`)
}

const (
	clearCards = `UPDATE card SET state = 'clear', chip_id = serial, pcid = upper(md5(serial)), manifest_no = serial,
		work_order_id = (SELECT id FROM work_order LIMIT 1)`
	closeOrders = `UPDATE work_order SET state = 'closed', remaining = 0, version = version + 1`
	noOrders    = `DELETE FROM work_order`
	openShelf   = `INSERT INTO shelf (id, consumer, type, subject, reason, payload, attempts, opened_at) `
	openHand    = `WITH h AS (INSERT INTO handover (id, request_id, ordinal, state, quantity, created_at)
		SELECT gen_random_uuid(), id, 1, 'prepared', 2, now() FROM request RETURNING id, request_id)
		INSERT INTO history (id, machine, subject, request_id, version, from_state, verb, to_state, actor, role, office_at)
		SELECT gen_random_uuid(), 'handover', id, request_id, 1, '', 'prepare', 'prepared', 'uji', 'uji', now() FROM h`
)

// readers is a letter of one reader that came into a state just now.
func readers(state string) string {
	return `WITH l AS (INSERT INTO activation_letter (id, ticket, lembaga_id, produsen_id, number, dated, subject, leader, leader_post, state, created_by, created_at, submitted_by, submitted_at, scan_blob, prepared_by)
		SELECT gen_random_uuid(), 'AKTV-1', gen_random_uuid(), institution_id, '1', '2026-03-02', 'x', 'x', 'x', 'submitted', 'uji', now(), 'uji', now(), gen_random_uuid(), institution_id FROM request RETURNING id),
		a AS (INSERT INTO activation (id, letter_id, line, reader_serial, sam_serial, origin_no, perso_no, pcid, machine_type, mode, address, region, card_id, accepted_on, reply_id, manifest_serial, state)
		SELECT gen_random_uuid(), id, 1, 'R', 'S', 'S', 'M', 'P', 'uji', 'online', 'x', 'x', gen_random_uuid(), '2026-03-02', gen_random_uuid(), 'MFR-1', '` + state + `' FROM l RETURNING id)
		INSERT INTO history (id, machine, subject, version, from_state, verb, to_state, actor, role, office_at)
		SELECT gen_random_uuid(), 'activation', id, 1, '', 'uji', '` + state + `', 'uji', 'uji', now() FROM a`
}

func paper(kind, subject string) string {
	return `INSERT INTO document (id, kind, subject_id, request_id, state, created_at)
		SELECT gen_random_uuid(), '` + kind + `', (` + subject + `), id, 'drafted', now() FROM request`
}

// age makes all that happened, and all rings, so much older.
func (r *rig) age(d time.Duration) {
	r.t.Helper()
	by := ` - interval '` + d.String() + `'`
	r.do(`UPDATE history SET at = at`+by, `UPDATE card_reduction SET at = at`+by, `UPDATE destruction SET at = at`+by, `UPDATE sweep SET rung_at = rung_at`+by,
		`UPDATE outbox SET sent_at = sent_at`+by, `UPDATE lease SET expires_at = expires_at`+by)
}

func (r *rig) sweep() int {
	r.t.Helper()
	n, mine, err := r.sweeper.Sweep(r.t.Context())
	require.NoError(r.t, err)
	require.True(r.t, mine)
	return n
}

// ringing takes the bells out of the outbox, as the relay does.
func (r *rig) ringing() (types []string) {
	r.t.Helper()
	require.NoError(r.t, r.DB.Select(r.t.Context(), &types, `SELECT type FROM outbox WHERE sent_at IS NULL ORDER BY id`))
	r.do(`UPDATE outbox SET sent_at = now() WHERE sent_at IS NULL`)
	return types
}

const deadline = 2 * time.Minute

// TestLateIsNotLost: while another message of the request waits to be sent, the
// broker is away and nothing is lost; one that is never taken silences no bell
// for longer than the longest wait.
func TestLateIsNotLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.become("done")
	r.do(clearCards, closeOrders, `INSERT INTO outbox (id, type, subject, version, request_id, data, traceparent)
		SELECT gen_random_uuid(), 'card.resolved', (SELECT id FROM card LIMIT 1), 1, id, '{}', '' FROM request`)
	r.age(deadline + time.Second)
	require.Zero(t, r.sweep(), "it waits behind a broker that is away")
	r.do(`UPDATE outbox SET created_at = created_at - interval '1 hour'`)
	require.Equal(t, 1, r.sweep(), "nobody takes it; the bell is rung")
}

// TestEachStage: while a bell is young, and once it was answered, nothing is
// rung; what rests past the deadline is rung once, then after twice the
// deadline, and never over the heads of people.
func TestEachStage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state    string
		setup    []string
		bell     string
		queue    string
		answered []string // what whoever hears the bell does
	}{
		"submitted":   {"submitted", nil, "request.submitted", "validator", []string{`UPDATE request SET state = 'validated', version = version + 1`}},
		"resubmitted": {"resubmitted", nil, "request.resubmitted", "validator", []string{`UPDATE request SET state = 'returned', version = version + 1`}},
		"accepted": {"accepted", []string{noOrders}, "request.accepted", "scheduler", []string{
			`INSERT INTO work_order (id, request_id, day, slots, capacity, remaining, state)
			 SELECT gen_random_uuid(), id, '2026-03-03', '[1,3)', 250, 2, 'planned' FROM request`}},
		"held":      {"held", nil, "request.held", "scheduler", []string{`UPDATE work_order SET state = 'revoked'`}},
		"cancelled": {"cancelled", nil, "request.cancelled", "scheduler", []string{`UPDATE work_order SET state = 'revoked'`}},
		"a replacement": {"in_progress", []string{clearCards, closeOrders,
			`UPDATE card SET state = 'listed' WHERE id = (SELECT max(id::text)::uuid FROM card)`}, "replacement.registered", "scheduler", []string{
			`INSERT INTO work_order (id, request_id, day, slots, capacity, remaining, state)
			 SELECT gen_random_uuid(), id, '2026-03-03', '[1,2)', 250, 1, 'planned' FROM request`}},
		"a reduction": {"in_progress", []string{`UPDATE card SET state = 'reduced' WHERE serial = 'SAM00000001'`,
			`INSERT INTO card_reduction (id, request_id, letter_number, letter_date, signer, signer_post, reason, scan_blob, decided_by, office_at)
			 SELECT gen_random_uuid(), id, '1', '2026-03-02', 'x', 'x', 'x', gen_random_uuid(), 'uji', now() FROM request`}, "cards.reduced", "scheduler",
			[]string{`UPDATE work_order SET remaining = 1`}},
		"all cards settled": {"in_progress", []string{clearCards, closeOrders}, "workorder.finished", "scheduler",
			[]string{`UPDATE request SET state = 'done', version = version + 1`, paper("result_list", "id")}},
		"done": {"done", []string{clearCards, closeOrders}, "request.done", "document-generator", []string{paper("result_list", "id")}},
		"handover": {"done", []string{clearCards, closeOrders, paper("result_list", "id"), openHand}, "handover.opened", "document-generator",
			[]string{paper("bast", "SELECT id FROM handover")}},
		"a berita acara": {"done", []string{clearCards, closeOrders, paper("result_list", "id"),
			`INSERT INTO destruction (id, request_id, ordinal, destroyed, method, reason, first_name, first_post, second_name, second_post, drawn_by, office_at)
			 SELECT gen_random_uuid(), id, 1, '2026-03-02', 'x', 'x', 'A', 'x', 'B', 'x', 'uji', now() FROM request`}, "cards.destroyed", "document-generator",
			[]string{paper("destruction_report", "SELECT id FROM destruction")}},
		"readers": {"in_progress", []string{readers("submitted")}, "activation.submitted", "validator", []string{`UPDATE activation SET state = 'returned', version = version + 1`}},
		"accepted readers": {"in_progress", []string{readers("accepted")}, "activation.accepted", "document-generator",
			[]string{paper("activation_reply", "SELECT reply_id FROM activation")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.become(c.state)
			r.do(c.setup...)
			require.Zero(t, r.sweep(), "young")
			r.age(deadline + time.Second)
			require.Equal(t, 1, r.sweep(), "lost")
			require.Zero(t, r.sweep(), "its bell is on the way")
			require.Equal(t, []string{c.bell}, r.ringing())
			require.Contains(t, r.log.String(), c.bell)
			require.Contains(t, r.log.String(), "why")

			require.Zero(t, r.sweep(), "rung just now")
			r.age(2*deadline - 10*time.Second)
			require.Zero(t, r.sweep(), "the next ring has twice as long")
			r.age(11 * time.Second)
			require.Equal(t, 1, r.sweep(), "lost again")
			require.Equal(t, []string{c.bell}, r.ringing())

			r.age(time.Hour)
			r.do(openShelf + `SELECT gen_random_uuid(), '` + c.queue + `', type, subject, 'failed', '{}', 5, now() FROM outbox LIMIT 1`)
			require.Zero(t, r.sweep(), "a person has it")
			r.do(`UPDATE shelf SET closed_at = now(), closed_by = 'uji'`)
			require.Equal(t, 1, r.sweep())
			require.Equal(t, []string{c.bell}, r.ringing())

			r.do(c.answered...)
			r.age(24 * time.Hour)
			require.Zero(t, r.sweep(), "answered")
		})
	}
}

func TestWhatWaitsForAPersonOrIsFarEnoughIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state string
		setup []string
	}{
		"in production":                 {"in_progress", nil},
		"returned":                      {"returned", []string{noOrders}},
		"registered":                    {"registered", []string{noOrders}},
		"a card in doubt":               {"in_progress", []string{clearCards, closeOrders, `UPDATE card SET state = 'in_doubt' WHERE serial = 'SAM00000001'`}},
		"a failed card not replaced":    {"in_progress", []string{clearCards, closeOrders, `UPDATE card SET state = 'failed' WHERE serial = 'SAM00000001'`}},
		"cards of no card yet enlisted": {"in_progress", []string{closeOrders, `DELETE FROM card`}},
		"scheduled with orders":         {"scheduled", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.become(c.state)
			r.do(c.setup...)
			r.age(24 * time.Hour)
			require.Zero(t, r.sweep())
		})
	}
}

func TestTheDeadlineCountsFromWhenTheBellLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.become("submitted")
	r.do(`INSERT INTO outbox (id, type, subject, version) SELECT gen_random_uuid(), 'request.submitted', id, version FROM request`)
	r.age(time.Hour)
	require.Zero(t, r.sweep(), "the relay has not sent it yet")
	r.do(`UPDATE outbox SET sent_at = now()`)
	require.Zero(t, r.sweep(), "sent just now")
	r.age(deadline + time.Second)
	require.Equal(t, 1, r.sweep())
}

func TestConsumerThatIsBehindIsNotPressed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.become("submitted")
	r.age(9 * deadline)
	r.queues.depth.Messages = 1
	require.Zero(t, r.sweep(), "its bell is most likely in the queue")
	r.queues.err = rabbit.ErrDown
	_, _, err := r.sweeper.Sweep(t.Context())
	require.ErrorIs(t, err, rabbit.ErrDown, "no word about lost bells without a broker")
	r.queues.err = nil
	r.age(2 * deadline)
	require.Equal(t, 1, r.sweep(), "patience has an end")
}

func TestABatchIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.become("submitted")
	r.do(`INSERT INTO request SELECT (jsonb_populate_record(r, jsonb_build_object('id', gen_random_uuid(), 'ticket', n, 'reference', n))).*
			FROM request r, generate_series(1, 149) AS n`,
		`DELETE FROM history`,
		`INSERT INTO history (id, machine, subject, request_id, version, from_state, verb, to_state, actor, role, office_at)
		 SELECT gen_random_uuid(), 'request', id, id, version, '', 'uji', state, 'uji', 'uji', now() FROM request`)
	r.age(deadline + time.Second)
	require.Equal(t, 100, r.sweep())
	require.Equal(t, 50, r.sweep())
	require.Zero(t, r.sweep())
}

// TestManySweepersRingOnce has several schedulers sweep at once, the holder of
// the lease die, and the next one take over.
func TestManySweepersRingOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.become("submitted")
	r.age(deadline + time.Second)
	const many = 8
	var all sync.WaitGroup
	rang, mine, errs := make([]int, many), make([]bool, many), make([]error, many)
	sweepers := make([]*sweeper.Sweeper, many)
	for i := range many {
		sweepers[i] = r.another(&bytes.Buffer{})
	}
	for i := range many {
		all.Go(func() { rang[i], mine[i], errs[i] = sweepers[i].Sweep(t.Context()) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	total, holders := 0, 0
	for i := range many {
		total += rang[i]
		if mine[i] {
			holders++
		}
	}
	require.Equal(t, 1, total)
	require.Equal(t, 1, holders)
	require.Len(t, r.ringing(), 1)

	r.age(time.Hour) // the holder died long ago, and its lease with it
	n, took, err := r.sweeper.Sweep(t.Context())
	require.NoError(t, err)
	require.True(t, took)
	require.Equal(t, 1, n)
	for _, s := range sweepers {
		n, took, err := s.Sweep(t.Context())
		require.NoError(t, err)
		require.False(t, took, "the lease is another's now")
		require.Zero(t, n)
	}
}

// TestRunSweepsAndGivesTheLeaseBack: a scheduler that ends well leaves the lease
// to the next one at once.
func TestRunSweepsAndGivesTheLeaseBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.become("submitted")
	r.age(deadline + time.Second)
	m := clock.NewFake(time.Now())
	s, err := sweeper.New(sweeper.Defaults(), r.scheduler, r.queues, zerolog.Nop(), m)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for range 2 {
		require.NoError(t, m.WaitTimers(ctx, 1))
		m.Advance(sweeper.Defaults().Every)
	}
	require.NoError(t, m.WaitTimers(ctx, 1))
	_, mine, err := r.sweeper.Sweep(t.Context())
	require.NoError(t, err)
	require.False(t, mine)
	require.Equal(t, []string{"request.submitted"}, r.ringing())
	stop()
	require.NoError(t, <-ended)
	require.Zero(t, r.sweep(), "it takes the lease and finds the bell rung")
}

func TestPruneForgetsOldRings(t *testing.T) {
	t.Parallel()
	db := harness.NewDatabase(t)
	owner, scheduler := db.Open(t, ""), db.Open(t, "sifilma_scheduler")
	require.NoError(t, owner.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO sweep (type, subject, version, rings, rung_at)
			SELECT 'request.done', gen_random_uuid(), 1, 1, now() - make_interval(days => d) FROM generate_series(1, 10) AS d`)
		return err
	}))
	gone, err := sweeper.Prune(t.Context(), scheduler, 120*time.Hour+time.Minute)
	require.NoError(t, err)
	require.EqualValues(t, 5, gone)
}

func TestConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	require.NoError(t, sweeper.Defaults().Validate())
	for name, edit := range map[string]func(*sweeper.Config){
		"every":    func(c *sweeper.Config) { c.Every = time.Millisecond },
		"deadline": func(c *sweeper.Config) { c.Deadline = time.Second },
		"longest":  func(c *sweeper.Config) { c.Longest = time.Minute },
		"batch":    func(c *sweeper.Config) { c.Batch = 0 },
	} {
		c := sweeper.Defaults()
		edit(&c)
		require.ErrorContains(t, c.Validate(), name)
	}
}
