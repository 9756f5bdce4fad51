package recipe_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
)

var officeAt = time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)

func by(name string, role machine.Role) recipe.Change {
	return recipe.Change{Actor: machine.Actor{Name: name, Role: role}, Reason: "uji", OfficeAt: officeAt}
}

var (
	ani   = by("ani", request.Operator)
	budi  = by("budi", request.Operator)
	citra = by("citra", request.Kasubdit)
)

type office struct {
	*postgres.DB
	t *testing.T
}

// newOffice is a database with what the set-up puts in.
func newOffice(t *testing.T) office {
	t.Helper()
	o := office{harness.DB(t), t}
	require.NoError(t, machine.Sync(t.Context(), o.DB, recipe.Machine))
	o.ship()
	return o
}

func (o office) ship() {
	o.t.Helper()
	all, err := recipe.FromProgram()
	require.NoError(o.t, err)
	require.NoError(o.t, o.InTx(o.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return recipe.Ship(ctx, tx, all, recipe.Change{OfficeAt: officeAt})
	}))
}

func (o office) do(f func(ctx context.Context, tx *postgres.Tx) (recipe.Recipe, error)) (r recipe.Recipe, err error) {
	err = o.InTx(o.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		r, err = f(ctx, tx)
		return err
	})
	return r, err
}

type step func(ctx context.Context, tx *postgres.Tx, s recipe.Seen, ch recipe.Change) (recipe.Recipe, error)

func (o office) try(r recipe.Recipe, s step, ch recipe.Change) (recipe.Recipe, error) {
	return o.do(func(ctx context.Context, tx *postgres.Tx) (recipe.Recipe, error) {
		return s(ctx, tx, recipe.Seen{ID: r.ID, Version: r.Version}, ch)
	})
}

func (o office) take(r recipe.Recipe, s step, ch recipe.Change) recipe.Recipe {
	o.t.Helper()
	out, err := o.try(r, s, ch)
	require.NoError(o.t, err)
	return out
}

func (o office) write(kind recipe.Kind, content string, ch recipe.Change) (recipe.Recipe, error) {
	return o.do(func(ctx context.Context, tx *postgres.Tx) (recipe.Recipe, error) {
		return recipe.Write(ctx, tx, kind, []byte(content), ch)
	})
}

func (o office) exec(q string, args ...any) error {
	return o.InTx(o.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, q, args...)
		return err
	})
}

// edition is the shipped profile as another edition, with another timeout.
func edition(t *testing.T, n int) string {
	t.Helper()
	file, err := configs.Profile("gp-scp03-sam")
	require.NoError(t, err)
	text := strings.Replace(string(file), `"version": 1`, fmt.Sprintf(`"version": %d`, n), 1)
	return strings.Replace(text, `"card": "2m"`, fmt.Sprintf(`"card": "%dm"`, n+2), 1)
}

func TestShippedIsApprovedByTheSetUp(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.ship() // once more changes nothing
	all, err := recipe.List(t.Context(), o)
	require.NoError(t, err)
	states := map[string]string{}
	for _, r := range all {
		states[r.Label()] = string(r.State)
		require.True(t, r.Shipped)
		require.EqualValues(t, []string{recipe.SetUp}, r.Authors)
		sum := sha256.Sum256(r.Content)
		require.Equal(t, sum[:], r.SHA256)
	}
	require.Equal(t, map[string]string{
		"gp-scp03-sam/1": "active", "gp-scp02-sam/2": "draft", "iso7816-raw/2": "draft", "ktpel/1": "active", "sam-ktpel/1": "active", "nomor/1": "active",
	}, states)
	plan, err := recipe.For(t.Context(), o, recipe.Use{Kind: request.KindReader, SAMFunction: "R"})
	require.NoError(t, err)
	p, err := plan.Compile()
	require.NoError(t, err)
	require.Equal(t, "sam-transport-master", p.Keys.Transport.Master)
	steps, err := recipe.Machine.TimelineOf(t.Context(), o, plan.Profile.ID)
	require.NoError(t, err)
	require.Len(t, steps, 3)
	require.Equal(t, recipe.SetUp, steps[2].Actor)
}

// An edition is in force once a second person approved it, and only one is.
func TestTwoPeople(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r, err := o.write(recipe.Profile, edition(t, 2), ani)
	require.NoError(t, err)
	require.Equal(t, recipe.Draft, r.State)
	_, err = o.try(r, recipe.Approve, citra)
	var illegal *machine.IllegalError
	require.ErrorAs(t, err, &illegal, "a draft is not proposed")
	r = o.take(r, recipe.Propose, budi)
	for name, c := range map[string]struct {
		who  recipe.Change
		want error
	}{
		"author": {ani, recipe.ErrSamePerson}, "proposer": {budi, recipe.ErrSamePerson}, "set-up": {by(recipe.SetUp, "sistem"), recipe.ErrSamePerson},
		"no Kasubdit": {by("dedi", request.Operator), recipe.ErrNoKasubdit},
	} {
		_, err := o.try(r, recipe.Approve, c.who)
		require.ErrorIs(t, err, c.want, name)
	}
	var role *machine.RoleError
	_, err = o.try(r, recipe.Approve, by("dir", request.Direktur))
	require.ErrorAs(t, err, &role)
	seen := r
	_, err = o.try(r, recipe.Approve, citra)
	require.ErrorIs(t, err, recipe.ErrNotTried)
	o.tried(r, true, "teknisi")
	r = o.take(r, recipe.Approve, citra)
	require.Equal(t, recipe.Active, r.State)
	_, err = o.try(seen, recipe.Approve, by("eka", request.Kasubdit))
	require.ErrorIs(t, err, postgres.ErrStale)
	before, err := recipe.Editions(t.Context(), o, recipe.Profile, "gp-scp03-sam")
	require.NoError(t, err)
	require.Equal(t, []machine.State{recipe.Active, recipe.Superseded}, []machine.State{before[0].State, before[1].State})

	// What the Kasubdit proposes, an operator approves.
	r, err = o.write(recipe.Profile, edition(t, 3), citra)
	require.NoError(t, err)
	r = o.take(r, recipe.Propose, citra)
	o.tried(r, true, "teknisi")
	r = o.take(r, recipe.Approve, ani)
	quiet := ani
	quiet.Reason = " "
	_, err = o.try(r, recipe.Withdraw, quiet)
	require.ErrorIs(t, err, recipe.ErrReasonMissing)
	o.take(r, recipe.Withdraw, ani)
	_, err = recipe.For(t.Context(), o, recipe.Use{Kind: request.KindReader, SAMFunction: "R"})
	require.ErrorIs(t, err, recipe.ErrNone, "nothing takes the place of what was withdrawn by itself")

	r, err = o.write(recipe.Profile, edition(t, 4), ani)
	require.NoError(t, err)
	other := strings.Replace(edition(t, 4), "6F00", "6F01", 1)
	r, err = o.do(func(ctx context.Context, tx *postgres.Tx) (recipe.Recipe, error) {
		return recipe.Rewrite(ctx, tx, recipe.Seen{ID: r.ID, Version: r.Version}, []byte(other), citra)
	})
	require.NoError(t, err)
	require.Equal(t, other, string(r.Content))
	r = o.take(r, recipe.Propose, ani)
	_, err = o.try(r, recipe.Approve, citra)
	require.ErrorIs(t, err, recipe.ErrSamePerson, "whoever wrote on it is an author for ever")
	o.take(r, recipe.Refuse, citra)
	_, err = o.write(recipe.Profile, edition(t, 4), ani)
	require.Equal(t, "/content/version", faults(t, err)[0].Pointer, "numbers are not used again")
}

// tried keeps that a profile was run on a test card with the content it has.
func (o office) tried(r recipe.Recipe, passed bool, by string) {
	o.t.Helper()
	keys, err := recipe.InForce(o.t.Context(), o, recipe.KeyCode, "ktpel")
	require.NoError(o.t, err)
	require.NoError(o.t, o.InTx(o.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return recipe.AddTrial(ctx, tx, recipe.Trial{
			ProfileID: r.ID, ContentSHA256: r.SHA256, KeyCodeID: keys.ID, Station: "perso-1", TriedBy: by, Passed: passed, Report: []byte(`{}`), OfficeAt: officeAt,
		})
	}))
}

// A profile is approved for what was run on a card: not after a run that failed, nor
// after one of a content that was changed since.
func TestAProfileIsTriedBeforeItIsApproved(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r, err := o.write(recipe.Profile, edition(t, 2), ani)
	require.NoError(t, err)
	o.tried(r, true, "teknisi")
	r, err = o.do(func(ctx context.Context, tx *postgres.Tx) (recipe.Recipe, error) {
		return recipe.Rewrite(ctx, tx, recipe.Seen{ID: r.ID, Version: r.Version}, []byte(strings.Replace(edition(t, 2), "6F00", "6F01", 1)), ani)
	})
	require.NoError(t, err)
	r = o.take(r, recipe.Propose, ani)
	_, err = o.try(r, recipe.Approve, citra)
	require.ErrorIs(t, err, recipe.ErrNotTried, "another content was tried")
	o.tried(r, false, "teknisi")
	_, err = o.try(r, recipe.Approve, citra)
	require.ErrorIs(t, err, recipe.ErrNotTried, "it did not pass")
	o.tried(r, true, "teknisi")
	o.take(r, recipe.Approve, citra)
	all, err := recipe.Trials(t.Context(), o, r.ID)
	require.NoError(t, err)
	require.Equal(t, []bool{true, true, false}, []bool{all[0].Passed, all[0].Current, all[2].Current})
	require.Equal(t, "teknisi", all[0].TriedBy)
	require.Error(t, o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return recipe.AddTrial(ctx, tx, recipe.Trial{ProfileID: r.ID, ContentSHA256: r.SHA256, Passed: true})
	}), "by nobody")
}

// Whoever writes the SQL: the database takes no content that changes after it was
// proposed, no approval by one person, no two in force.
func TestTheDatabaseKeepsTwoPeople(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r, err := o.write(recipe.Profile, edition(t, 2), ani)
	require.NoError(t, err)
	require.Error(t, o.exec(`UPDATE recipe SET content = '{}' WHERE id = $1`, r.ID), "the hash is of the content")
	require.Error(t, o.exec(`UPDATE recipe SET authors = '{x}' WHERE id = $1`, r.ID))
	require.Error(t, o.exec(`DELETE FROM recipe WHERE id = $1`, r.ID))
	r = o.take(r, recipe.Propose, ani)
	for _, q := range []string{
		`UPDATE recipe SET content = '{}', content_sha256 = sha256('{}') WHERE id = $1`,
		`UPDATE recipe SET proposed_by = 'x' WHERE id = $1`,
		`UPDATE recipe SET shipped = true WHERE id = $1`,
		`UPDATE recipe SET edition = 9 WHERE id = $1`,
		`UPDATE recipe SET state = 'active', version = version + 1, approved_by = 'ani' WHERE id = $1`,
		`UPDATE recipe SET state = 'active', version = version + 1 WHERE id = $1`,
		`UPDATE recipe SET state = 'superseded', version = version + 1, approved_by = 'citra' WHERE id = $1`,
		`UPDATE recipe SET state = 'active', version = version + 1, approved_by = 'citra' WHERE id = $1`, // the one before is in force
	} {
		require.Error(t, o.exec(q, r.ID), q)
	}
	require.NoError(t, o.exec(`UPDATE recipe SET state = 'superseded', version = version + 1 WHERE kind = 'profile' AND state = 'active'`))
	untried := o.exec(`UPDATE recipe SET state = 'active', version = version + 1, approved_by = 'citra' WHERE id = $1`, r.ID)
	require.True(t, postgres.IsCheck(untried, "recipe_tried"), "%v", untried)
	o.tried(r, true, "teknisi")
	require.NoError(t, o.exec(`UPDATE recipe SET state = 'active', version = version + 1, approved_by = 'citra' WHERE id = $1`, r.ID))
	require.Error(t, o.exec(`UPDATE recipe SET approved_by = 'dedi' WHERE id = $1`, r.ID))
}

func faults(t *testing.T, err error) form.Faults {
	t.Helper()
	var f form.Faults
	require.ErrorAs(t, err, &f)
	require.NotEmpty(t, f)
	return f
}

func TestFaultsNameTheirPlace(t *testing.T) {
	t.Parallel()
	good := edition(t, 1)
	for name, c := range map[string]struct{ old, new, pointer, code string }{
		"not JSON":        {`"version": 1,`, `"version": 1`, "", "wrong_form"},
		"two documents":   {"\n}\n", "\n}\n{}", "", "wrong_form"},
		"unknown name":    {`"version": 1,`, `"version": 1, "colour": "red",`, "/colour", "unknown_field"},
		"name twice":      {`"version": 1,`, `"version": 1, "version": 1,`, "/version", "same"},
		"twice, deep":     {`"bytes": 16`, `"bytes": 32, "bytes": 16`, "/keys/bytes", "same"},
		"missing":         {`"secret_bytes": 32,`, ``, "/secret_bytes", "missing"},
		"key size":        {`"bytes": 16`, `"bytes": 8`, "/keys/bytes", "unknown_value"},
		"type":            {`"version": 1`, `"version": "1"`, "/version", "wrong_type"},
		"tag":             {`"DF02"`, `"DF2"`, "/data/pcid", "wrong_form"},
		"class":           {`"6F00": "unknown"`, `"6F00": "again"`, "/status_words/6F00", "unknown_value"},
		"status word":     {`"6F00": "unknown"`, `"6F0": "unknown"`, "/status_words/6F0", "unknown_field"},
		"step":            {`"do": "secret"`, `"do": "dance"`, "/steps/3/do", "unknown_value"},
		"apdu of no send": {`"do": "secret"`, `"do": "secret", "apdu": "00D60000"`, "/steps/3/apdu", "not_used"},
		"serial":          {`"object": "cin"`, `"column": "UID"`, "/identify/serial/object", "missing"},
		"no channel keys": {`"protocol": "scp03", "security_level": "33"`, `"protocol": "none"`, "/keys", "not_used"},
		"level":           {`"security_level": "33"`, `"security_level": "03"`, "/channel/security_level", "out_of_range"},
		"order":           {`"do": "confirm"`, `"do": "open_sam"`, "/steps", "wrong_order"},
		"empty":           {good, ` `, "", "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.True(t, strings.Contains(good, c.old), c.old)
			_, err := recipe.Check(recipe.Profile, []byte(strings.Replace(good, c.old, c.new, 1)))
			f := faults(t, err)
			all := ""
			found := false
			for _, one := range f {
				all += one.Pointer + " " + one.Code + " " + one.Detail + "\n"
				found = found || one.Pointer == "/content"+c.pointer && one.Code == c.code && strings.HasPrefix(one.Detail, c.pointer)
			}
			require.True(t, found, all)
		})
	}
	_, err := recipe.Check(recipe.Profile, []byte(good))
	require.NoError(t, err)
	_, err = recipe.Check("colour", []byte(good))
	require.Equal(t, "/kind", faults(t, err)[0].Pointer)
	_, err = recipe.Check(recipe.Profile, bytes.Repeat([]byte("["), 10_000))
	require.Equal(t, "wrong_form", faults(t, err)[0].Code)
}

func samType(version int, code string, isDefault bool, uses string) string {
	return fmt.Sprintf(`{"code": %q, "version": %d, "name": "Uji", "default": %v, "uses": [%s], "profile": "gp-scp03-sam", "key_code": "ktpel"}`, code, version, isDefault, uses)
}

// Each use has one SAM type; the default has the rest.
func TestTypesOfUses(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const cetak = `{"kind": "rekam_cetak", "sam_function": "Cetak"}`
	approve := func(content string) (recipe.Recipe, error) {
		r, err := o.write(recipe.SAMType, content, ani)
		require.NoError(t, err)
		if r, err = o.try(r, recipe.Propose, ani); err != nil {
			return r, err
		}
		return o.try(r, recipe.Approve, citra)
	}
	r, err := approve(samType(1, "sam-cetak", false, cetak))
	require.NoError(t, err)
	code := func(kind, function string) string {
		p, err := recipe.For(t.Context(), o, recipe.Use{Kind: kind, SAMFunction: function})
		require.NoError(t, err)
		return p.SAMType.Label()
	}
	require.Equal(t, "sam-cetak/1", code(request.KindRekamCetak, "Cetak"))
	require.Equal(t, "sam-ktpel/1", code(request.KindRekamCetak, "Rekam"))
	_, err = approve(samType(1, "sam-lain", false, cetak))
	require.Equal(t, "/content/uses/0", faults(t, err)[0].Pointer)
	_, err = approve(samType(1, "sam-bawaan", true, ""))
	require.Equal(t, "/content/default", faults(t, err)[0].Pointer)
	_, err = o.write(recipe.SAMType, samType(1, "sam-kosong", false, ""), ani)
	require.Equal(t, "/content/uses", faults(t, err)[0].Pointer)
	_, err = approve(strings.Replace(samType(2, "sam-cetak", false, cetak), "gp-scp03-sam", "gp-scp02-sam", 1))
	require.Equal(t, "/content/profile", faults(t, err)[0].Pointer, "a draft is nothing to stand on")
	o.take(r, recipe.Withdraw, ani)
	require.Equal(t, "sam-ktpel/1", code(request.KindRekamCetak, "Cetak"))
}

// Each kind of request that there is can have a SAM type of its own.
func TestEveryKindOfRequestCanHaveAType(t *testing.T) {
	t.Parallel()
	for k := range request.KindLabels {
		_, err := recipe.Check(recipe.SAMType, []byte(samType(1, "uji", false, fmt.Sprintf(`{"kind": %q, "sam_function": "R"}`, k))))
		require.NoError(t, err, k)
	}
}

// Of two that approve at the same moment what cannot both be, one does.
func TestApprovalsAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var waiting []recipe.Recipe
	for _, code := range []string{"a", "b", "c", "d"} {
		r, err := o.write(recipe.SAMType, samType(1, code, false, `{"kind": "reader", "sam_function": "R"}`), ani)
		require.NoError(t, err)
		waiting = append(waiting, o.take(r, recipe.Propose, ani))
	}
	errs := make(chan error)
	for _, r := range waiting {
		go func() {
			_, err := o.try(r, recipe.Approve, citra)
			errs <- err
		}()
	}
	good := 0
	for range waiting {
		err := <-errs
		var f form.Faults
		if err == nil {
			good++
		} else {
			require.True(t, errors.As(err, &f), "%v", err)
		}
	}
	require.Equal(t, 1, good)
}

// What is not in force is never tied to an order, and what is tied stays.
func TestOrdersAreTied(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	use := recipe.Use{Kind: request.KindReader, SAMFunction: "R"}
	id, err := uuid.NewV7()
	require.NoError(t, err)
	first, err := recipe.For(t.Context(), o, use)
	require.NoError(t, err)
	drafts, err := recipe.Editions(t.Context(), o, recipe.Profile, "gp-scp02-sam")
	require.NoError(t, err)
	insert := `INSERT INTO order_recipe (work_order_id, sam_type_id, profile_id, key_code_id, office_at) VALUES ($1,$2,$3,$4,now())`
	err = o.exec(insert, id.String(), first.SAMType.ID, drafts[0].ID, first.KeyCode.ID)
	require.True(t, postgres.IsCheck(err, "order_recipe_approved"), "%v", err)
	err = o.exec(insert, id.String(), first.Profile.ID, first.SAMType.ID, first.KeyCode.ID)
	require.True(t, postgres.IsCheck(err, "order_recipe_approved"), "each in its place: %v", err)
}
