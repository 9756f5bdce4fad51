package perso_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

var errUndo = errors.New("uji: undo")

// found is what a station says that it has read.
func found(p perso.Decision) perso.Finding {
	return perso.Finding{Proposal: p, Observed: map[string]any{"marker": ""}, Reader: "Pembaca 2"}
}

func observe(p perso.Decision, station string) act {
	return func(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
		return perso.Observe(ctx, tx, h, found(p), atStation(station, ""))
	}
}

// case1 is one way a doubt can go: what the card is, what was read of it, what the first
// person says, what is read then, and when a late result comes in.
type case1 struct {
	state    machine.State
	read     perso.Decision // "" while nobody has read it
	decision perso.Decision
	again    perso.Decision // read between the two people; "" for not
	late     string         // "", or the result comes "between" them or "after" both
}

func (c case1) String() string {
	return fmt.Sprintf("%s read %q decided %q read again %q late %q", c.state, c.read, c.decision, c.again, c.late)
}

// proposed says whether the first person may say so.
func (c case1) proposed() bool {
	doubt := c.state == perso.InDoubt
	switch c.decision {
	case perso.DecideSpoil:
		return doubt
	case perso.DecideDoubt:
		return c.state == perso.Claimed || c.state == perso.Writing || c.state == perso.Written
	}
	return doubt && c.decision == c.read
}

// void says whether what was read between the two took the decision its force.
func (c case1) void() bool { return c.state == perso.InDoubt && c.again != "" && c.again != c.read }

// present is what was read last.
func (c case1) present() perso.Decision {
	if c.state == perso.InDoubt && c.again != "" {
		return c.again
	}
	return c.read
}

// takes is what a late proof comes to, and the state of the card then.
func takes(s machine.State, present perso.Decision) (perso.Taken, machine.State) {
	switch s {
	case perso.InDoubt, perso.Written:
		if present == "" || present == perso.DecideComplete {
			return perso.TakenClear, perso.Clear
		}
		return perso.TakenContradicts, s
	case perso.Spoiled, perso.Reduced, perso.Failed:
		return perso.TakenContradicts, s
	}
	return perso.TakenNothing, s
}

// decided is the state of a card after the second person.
func (c case1) decided() machine.State {
	switch c.decision {
	case perso.DecideComplete:
		return perso.Written
	case perso.DecideSpoil:
		return perso.Spoiled
	case perso.DecideDoubt:
		if c.state == perso.Claimed {
			return perso.Numbered
		}
	}
	return perso.InDoubt
}

// TestEveryDoubt goes every way of a doubt: in each state of a card, whatever was read,
// decided, read again and known late. Nothing is written without two people who have
// seen the same reading; nothing that is proven gets lost; nothing final is undone.
func TestEveryDoubt(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	h := run(t, o, o.Serials[0], begin, doubt(""))
	readings := []perso.Decision{"", perso.DecideComplete, perso.DecideResume, perso.DecideSpoil}
	n := 0
	for _, state := range perso.Machine.States() {
		for _, read := range readings {
			for _, decision := range []perso.Decision{perso.DecideComplete, perso.DecideResume, perso.DecideSpoil, perso.DecideDoubt} {
				for _, again := range readings {
					for _, late := range []string{"", "between", "after"} {
						if state != perso.InDoubt && again != "" && late != "" {
							continue // a reading of it is refused, whatever else
						}
						c := case1{state, read, decision, again, late}
						err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
							goes(ctx, t, tx, h, c)
							return errUndo
						})
						require.ErrorIs(t, err, errUndo, c)
						n++
					}
				}
			}
		}
	}
	t.Logf("%d ways", n)
}

// put makes a card what a case says, past all steps.
func (c case1) put(ctx context.Context, t *testing.T, tx *postgres.Tx, h perso.Hand) perso.Hand {
	t.Helper()
	if c.read != "" {
		_, err := perso.Observe(ctx, tx, h, found(c.read), atStation("s1", ""))
		require.NoError(t, err, c)
	}
	for _, q := range []string{
		`SET LOCAL session_replication_role = replica`, `UPDATE history SET at = at - interval '61 minutes'`,
		`UPDATE perso_attempt SET claimed_at = claimed_at - interval '61 minutes', writing_at = writing_at - interval '61 minutes', ended_at = ended_at - interval '61 minutes'`,
		`UPDATE card SET state = '` + string(c.state) + `'`, `SET LOCAL session_replication_role = origin`,
	} {
		_, err := tx.Exec(ctx, q)
		require.NoError(t, err, c)
	}
	h, err := perso.Reload(ctx, tx, h.Card.ID)
	require.NoError(t, err)
	return h
}

func goes(ctx context.Context, t *testing.T, tx *postgres.Tx, h perso.Hand, c case1) {
	t.Helper()
	h = c.put(ctx, t, tx, h)
	id := h.Card.ID
	now := func() perso.Hand {
		t.Helper()
		h, err := perso.Reload(ctx, tx, id)
		require.NoError(t, err)
		return h
	}
	late := func(present perso.Decision) machine.State {
		t.Helper()
		before := now()
		want, then := takes(before.Card.State, present)
		_, got, err := perso.TakeLate(ctx, tx, perso.Late{Attempt: h.Attempt.ID, Proven: true, Detail: map[string]any{"journal": 7}}, atStation("s9", ""))
		require.NoError(t, err, c)
		require.Equal(t, want, got, c)
		require.Equal(t, then, now().Card.State, c)
		return then
	}
	decision, err := perso.ProposeResolution(ctx, tx, seen(h.Card), c.decision, ani)
	require.Equal(t, c.proposed(), err == nil, "%s: %v", c, err)
	require.Equal(t, h.Card.Version, now().Card.Version, "one person moves nothing: %s", c)
	if c.again != "" {
		_, err := perso.Observe(ctx, tx, h, found(c.again), atStation("s2", ""))
		if c.state != perso.InDoubt {
			require.ErrorIs(t, err, postgres.ErrStale, c)
		} else {
			require.NoError(t, err, c)
		}
		require.Equal(t, h.Card.Version, now().Card.Version, "reading moves nothing: %s", c)
	}
	state, present := c.state, c.present()
	if c.late == "between" {
		state = late(present)
	}
	overtaken := state != c.state
	_, err = perso.ConfirmResolution(ctx, tx, perso.SeenDecision{Card: seen(h.Card), ID: decision.ID}, budi)
	confirmed := c.proposed() && !c.void() && !overtaken
	require.Equal(t, confirmed, err == nil, "%s: %v", c, err)
	if c.proposed() && c.void() && !overtaken {
		require.ErrorIs(t, err, perso.ErrVoided, c)
	}
	if confirmed {
		state = c.decided()
	}
	require.Equal(t, state, now().Card.State, c)
	if c.late == "after" {
		state = late(present)
	}
	_, err = perso.Resume(ctx, tx, now(), atStation("s3", ""))
	require.Equal(t, confirmed && c.decision == perso.DecideResume && state == perso.InDoubt, err == nil, "%s: %v", c, err)
	var counted, open int
	require.NoError(t, tx.Get(ctx, &counted, `SELECT upper(slots) - lower(slots) - remaining FROM work_order`))
	require.Equal(t, 1, counted, "counted once: %s", c)
	require.NoError(t, tx.Get(ctx, &open, `SELECT count(*) FROM card_resolution s JOIN card c ON c.id = s.card_id
		WHERE s.confirmed_by IS NULL AND s.voided_at IS NULL AND c.state = 'clear' AND s.card_version <> c.version`))
	require.Zero(t, open, "no decision waits on a card that is clear: %s", c)
}

// What was read stays, in the order in which it was, and another reading than was
// decided on takes the decision its force, also when both said it; the same again does
// not.
func TestAnotherReadingVoidsTheDecision(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	h := run(t, o, o.Serials[0], begin, doubt(""))
	rows := func() perso.CardRow {
		t.Helper()
		all, err := perso.List(t.Context(), o.DB, o.RequestID)
		require.NoError(t, err)
		return all[0]
	}
	then(t, o, h, observe(perso.DecideResume, "s2"))
	resume := rows().Reading
	require.Len(t, resume, 64)
	require.NoError(t, propose(o, h.Card, perso.DecideResume, ani))
	then(t, o, h, observe(perso.DecideResume, "s3"))
	require.NotNil(t, rows().Resolution, "read again, it is the same")
	require.NoError(t, confirm(o, h.Card.ID, budi))
	// Both have decided to resume; then it shows something else of the same kind.
	station := o.Database.Open(t, "sifilma_perso_station")
	require.NoError(t, station.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		f := found(perso.DecideResume)
		f.Observed["key_versions"] = "31"
		_, err := perso.Observe(ctx, tx, h, f, atStation("s2", ""))
		return err
	}))
	require.Nil(t, rows().Resolution)
	require.Equal(t, perso.DecideResume, rows().Voided.Decision)
	require.NotEqual(t, resume, rows().Reading)
	require.ErrorIs(t, try(o, h, func(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
		return perso.Resume(ctx, tx, h, atStation("s1", ""))
	}), perso.ErrNotResolved)
	// Who has the old reading before their eyes decides nothing by it.
	old := seen(h.Card)
	old.Reading = &resume
	require.ErrorIs(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.ProposeResolution(ctx, tx, old, perso.DecideSpoil, ani)
		return err
	}), postgres.ErrStale)
	require.NoError(t, propose(o, h.Card, perso.DecideSpoil, ani))
	require.Nil(t, rows().Voided, "decided anew")
	seen, err := perso.Observations(t.Context(), o.DB, h.Card.ID, 10)
	require.NoError(t, err)
	require.Len(t, seen, 3)
	require.Equal(t, []string{"s2", "s3", "s2"}, []string{seen[0].Station, seen[1].Station, seen[2].Station})
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM audit WHERE action = 'card.resolution.void'`))
	require.Error(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE card_observation SET proposal = 'spoil'`)
		return err
	}), "evidence is kept as it was said")
}

// A spoiled card that turns out finished stays spoiled; it is said once, until somebody
// has answered.
func TestContradictionIsKeptAndAnswered(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	h := run(t, o, o.Serials[0], begin, doubt(perso.DecideSpoil))
	station, portal := o.Database.Open(t, "sifilma_perso_station"), o.Database.Open(t, "sifilma_portal")
	contradict := func() (known bool, err error) {
		err = station.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
			known, err = perso.Contradict(ctx, tx, h.Card.ID, found(perso.DecideComplete), atStation("s2", ""))
			return err
		})
		return known, err
	}
	_, err := contradict()
	require.ErrorIs(t, err, postgres.ErrStale, "nothing is final yet")
	o.Resolve(t, h.Card.ID, perso.DecideSpoil)
	for _, again := range []bool{false, true, true} {
		known, err := contradict()
		require.NoError(t, err)
		require.Equal(t, again, known)
	}
	require.Equal(t, perso.Spoiled, o.Card(t, o.Serials[0]).State)
	all, err := perso.Contradictions(t.Context(), o.DB, 10)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, o.Serials[0], all[0].Serial)
	require.Equal(t, perso.DecideComplete, all[0].Proposal)
	answer := func(ch perso.Change) error {
		return portal.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return perso.AnswerContradiction(ctx, tx, all[0].ID, ch)
		})
	}
	var role *machine.RoleError
	require.ErrorAs(t, answer(persotest.Person("dirjen", request.Dirjen, "x")), &role)
	require.ErrorIs(t, answer(persotest.Person("operator-1", request.Operator, " ")), perso.ErrReasonMissing)
	require.NoError(t, answer(persotest.Person("operator-1", request.Operator, "kartu dihancurkan")))
	require.ErrorIs(t, answer(budiSays), perso.ErrAnswered)
	n, err := perso.CountContradictions(t.Context(), o.DB)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM audit WHERE action = 'card.contradiction'`))
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM audit WHERE action = 'card.contradiction.answer'`))
}

var budiSays = persotest.Person("kasubdit", request.Kasubdit, "sudah dilihat")

// The desk lists what waits for somebody, and says for whom.
func TestDoubtsSayWhatIsNext(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 8, 8)
	listed := func() map[string]perso.DoubtRow {
		t.Helper()
		rows, all, err := perso.Doubts(t.Context(), o.Database.Open(t, "sifilma_portal"), 100)
		require.NoError(t, err)
		require.Len(t, rows, all)
		out := map[string]perso.DoubtRow{}
		for _, r := range rows {
			out[r.Serial] = r
		}
		return out
	}
	require.Empty(t, listed())
	unread := run(t, o, o.Serials[0], begin, func(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
		return perso.Doubt(ctx, tx, h, perso.Finding{Observed: map[string]any{"last_step": "marker"}}, atStation("s1", "terputus"))
	})
	run(t, o, o.Serials[1], begin, doubt(perso.DecideResume))
	half := run(t, o, o.Serials[2], begin, doubt(perso.DecideResume))
	require.NoError(t, propose(o, half.Card, perso.DecideResume, ani))
	both := run(t, o, o.Serials[3], begin, doubt(perso.DecideResume))
	o.Resolve(t, both.Card.ID, perso.DecideResume)
	taken := run(t, o, o.Serials[4], begin, doubt(perso.DecideComplete))
	o.Resolve(t, taken.Card.ID, perso.DecideComplete)
	run(t, o, o.Serials[5], begin, finish)
	run(t, o, o.Serials[6], begin) // in a station's hand
	rows := listed()
	for serial, next := range map[int]perso.Next{0: perso.NextRead, 1: perso.NextDecide, 2: perso.NextConfirm, 3: perso.NextResume, 4: perso.NextVerify} {
		require.Equal(t, next, rows[o.Serials[serial]].Next, serial)
	}
	require.Len(t, rows, 5)
	first := rows[o.Serials[0]]
	require.Equal(t, "marker", first.LastStep)
	require.Nil(t, first.ReadAt)
	require.Equal(t, "s1", first.Station)
	then(t, o, unread, observe(perso.DecideSpoil, "s7"))
	first = listed()[o.Serials[0]]
	require.Equal(t, [3]string{"marker", "s7", "Pembaca 2"}, [3]string{first.LastStep, first.ReadBy, first.ReadIn}, "where it stopped stays known")
	require.True(t, persotest.OfficeAt.Equal(*first.ReadAt))
	silent(t, o)
	rows = listed()
	require.Len(t, rows, 6)
	require.Equal(t, perso.NextDeclare, rows[o.Serials[6]].Next)
	require.Equal(t, perso.NextDeclare, rows[o.Serials[4]].Next, "nobody came to verify it")
}

// A refusal that the journal knows is news while nobody has read the card; a proof is
// the end of a doubt that one person has decided on.
func TestALateResultIsNews(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 3)
	station := o.Database.Open(t, "sifilma_perso_station")
	take := func(h perso.Hand, proven bool) (got perso.Hand, taken perso.Taken) {
		t.Helper()
		require.NoError(t, station.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
			got, taken, err = perso.TakeLate(ctx, tx, perso.Late{Attempt: h.Attempt.ID, Proven: proven, Detail: map[string]any{"journal": 3}}, atStation("s1", ""))
			return err
		}))
		return got, taken
	}
	last := run(t, o, o.Serials[2], begin, doubt(""))
	require.NoError(t, propose(o, last.Card, perso.DecideSpoil, ani))
	got, taken := take(last, true)
	require.Equal(t, perso.TakenClear, taken)
	require.Equal(t, perso.Clear, got.Card.State)
	require.ErrorIs(t, confirm(o, last.Card.ID, budi), perso.ErrNotInDoubt)
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM card_resolution WHERE voided_at IS NOT NULL`))
	for i, c := range []struct {
		read perso.Decision
		want perso.Taken
	}{{"", perso.TakenFinding}, {perso.DecideResume, perso.TakenNothing}} {
		h := run(t, o, o.Serials[i], begin, doubt(c.read))
		open, err := perso.Unsettled(t.Context(), o.DB, []string{h.Attempt.ID})
		require.NoError(t, err)
		require.Equal(t, []string{h.Attempt.ID}, open)
		got, taken := take(h, false)
		require.Equal(t, c.want, taken)
		require.Equal(t, perso.InDoubt, got.Card.State)
	}
}
