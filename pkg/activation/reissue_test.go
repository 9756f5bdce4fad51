package activation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// signingKey puts a version of the key that signs manifests into the book, and returns its id.
func signingKey(t *testing.T, o *paperoffice.Office, version int) (id string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	require.NoError(t, err)
	sum := sha256.Sum256(der)
	e := keybook.Entry{
		Label: keybook.Label(activation.SigningKey, version), Algorithm: "EC", Bits: 256, KCV: fmt.Sprintf("%X", sum[:3]), PublicKey: der, Origin: keybook.Generated,
		TokenLabel: "uji", TokenSerial: "1", Place: "Jakarta", RecordedBy: "uji", OfficeAt: paperoffice.At,
	}
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := keybook.Record(ctx, tx, e)
		return err
	})
	id, err = e.KeyID()
	require.NoError(t, err)
	return id
}

func giveUp(t *testing.T, o *paperoffice.Office, version int) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Retire(ctx, tx, keybook.Label(activation.SigningKey, version), "Petugas Contoh", "Token diganti", paperoffice.At)
	})
}

func reissue(t *testing.T, o *paperoffice.Office, role machine.Role, keyID string, seen int, reason string) (r activation.Reissued, err error) {
	t.Helper()
	return reissueIn(t, o.DB, role, keyID, seen, reason)
}

func reissueIn(t *testing.T, db *postgres.DB, role machine.Role, keyID string, seen int, reason string) (r activation.Reissued, err error) {
	t.Helper()
	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		r, err = activation.Reissue(ctx, tx, keyID, seen, paperoffice.As(role, reason))
		return err
	})
	return r, err
}

// resting are the counts of a given-up key.
func resting(t *testing.T, o *paperoffice.Office, keyID string) []int {
	t.Helper()
	keys, err := activation.Keys(t.Context(), o.DB, paperoffice.Today)
	require.NoError(t, err)
	k, err := keys.Find(keyID)
	require.NoError(t, err)
	return []int{k.Due, k.Letters, k.Held, k.Suspended}
}

func linesOf(t *testing.T, o *paperoffice.Office, l activation.Letter) []activation.Activation {
	t.Helper()
	all, err := activation.Lines(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	return all
}

// Readers in each state in which a manifest counts get another manifest; a suspended one is
// due once it is resumed.
func TestReissue(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 4})
	l, all := o.Readers(t)
	first := signingKey(t, o, 1)
	require.NoError(t, signedBy(t, o, first, all...))
	l, err := activation.Get(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	ready, err := activation.Ready(t.Context(), o.DB, l.ProdusenID)
	require.NoError(t, err)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := activation.Deliver(ctx, tx, l.ProdusenID, []activation.Activation{ready[0].Activation, ready[1].Activation},
			activation.Receipt{Receiver: "Wakil", ReceiverPost: "PIC", On: paperoffice.Today}, paperoffice.As(request.Operator, ""))
		return err
	})
	o.OnLetter(t, l, request.Produsen, "", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Install(ctx, tx, l, []int{1}, paperoffice.Today, c)
	})
	o.OnLetter(t, l, request.Kasubdit, "pindah kantor", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Move(ctx, tx, l, 2, "Alamat baru", "Kabupaten Contoh", c)
	})
	o.OnLetter(t, l, request.Kasubdit, "diperiksa", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Suspend(ctx, tx, l, []int{4}, c)
	})
	before := linesOf(t, o, l)
	pairs := func() (told []string) {
		require.NoError(t, o.DB.Select(t.Context(), &told, `SELECT card_id || reader_serial || told_by || source FROM reader_pairing ORDER BY card_id`))
		return told
	}
	paired, accepted, revoked := pairs(), bells(t, o, "activation.accepted"), bells(t, o, "activation.revoked")

	const why = "Kunci diganti sesuai jadwal."
	_, err = reissue(t, o, request.Kasubdit, first, 3, why)
	require.ErrorIs(t, err, activation.ErrKeyInUse)
	giveUp(t, o, 1)
	_, err = reissue(t, o, request.Kasubdit, first, 3, why)
	require.ErrorIs(t, err, activation.ErrNoSigningKey, "nothing could take their place")
	second := signingKey(t, o, 2)
	require.Equal(t, []int{3, 1, 0, 1}, resting(t, o, first))
	for _, role := range []machine.Role{request.Operator, request.Dirjen, request.Produsen, request.Lembaga} {
		var wrong *machine.RoleError
		_, err = reissue(t, o, role, first, 3, why)
		require.ErrorAs(t, err, &wrong, role)
	}
	_, err = reissue(t, o, request.Kasubdit, "tidak-ada", 3, why)
	require.ErrorIs(t, err, activation.ErrNotFound)
	_, err = reissue(t, o, request.Kasubdit, second, 3, why)
	require.ErrorIs(t, err, activation.ErrKeyInUse)
	_, err = reissue(t, o, request.Kasubdit, first, 3, "")
	require.ErrorIs(t, err, activation.ErrReasonMissing)
	_, err = reissue(t, o, request.Kasubdit, first, 2, why)
	require.ErrorIs(t, err, postgres.ErrStale)
	require.Equal(t, before, linesOf(t, o, l), "nothing is done by halves")

	done, err := reissueIn(t, o.Database.Open(t, "sifilma_portal"), request.Kasubdit, first, 3, why) // with the rights of the portal
	require.NoError(t, err)
	require.Equal(t, activation.Reissued{Label: "manifest-signing", KeyID: first, Readers: 3, Letters: 1}, done)
	now := linesOf(t, o, l)
	require.Len(t, now, 7)
	serials := map[string]bool{}
	for i, a := range now {
		serials[*a.ManifestSerial] = true
		if i == 3 {
			require.Equal(t, before[3], a, "it stays suspended")
			continue
		}
		if i < 3 {
			require.Equal(t, []string{"revoked", activation.CauseSigningKey}, []string{string(a.State), a.Cause})
			require.Equal(t, before[i].ManifestSerial, a.ManifestSerial)
			continue
		}
		old := before[i-4]
		require.Equal(t, activation.Accepted, a.State)
		require.Equal(t, []any{i + 1, old.ID, old.Line, *old.CardID, *old.DisposedOn}, []any{a.Number, *a.Replaces, a.Line, *a.CardID, *a.DisposedOn})
		require.Equal(t, *now[4].ReplyID, *a.ReplyID, "one reply for the letter")
		require.NotEqual(t, *old.ReplyID, *a.ReplyID)
		require.Nil(t, a.InstalledOn)
	}
	require.Len(t, serials, 7)
	require.Equal(t, "Alamat baru", now[5].Address, "where it stands now")
	require.Equal(t, []int{accepted + 1, revoked + 1}, []int{bells(t, o, "activation.accepted"), bells(t, o, "activation.revoked")})
	require.Equal(t, paired, pairs(), "the cards are in the readers that they were in")
	reply, told, err := activation.GetReply(t.Context(), o.DB, *now[4].ReplyID)
	require.NoError(t, err)
	require.Equal(t, []any{2, true, 3}, []any{reply.Ordinal, reply.Reissued, len(told)})
	reply, _, err = activation.GetReply(t.Context(), o.DB, *before[0].ReplyID)
	require.NoError(t, err)
	require.False(t, reply.Reissued)
	for _, a := range []activation.Activation{now[0], now[4]} {
		steps, err := activation.Machine.TimelineOf(t.Context(), o.DB, a.ID)
		require.NoError(t, err)
		last := steps[len(steps)-1]
		require.Equal(t, []any{activation.VerbReissue, a.State, why, a.Version}, []any{last.Verb, last.To, last.Reason, last.Version})
		require.JSONEq(t, fmt.Sprintf(`{"key": "manifest-signing", "key_id": %q}`, first), string(last.Detail))
	}
	list, err := activation.RevocationList(t.Context(), o.DB)
	require.NoError(t, err)
	require.Len(t, list, 4)
	for i, r := range list[:3] {
		require.Equal(t, []string{*before[i].ManifestSerial, activation.CauseSigningKey}, []string{r.ManifestSerial, r.Cause})
	}

	_, err = reissue(t, o, request.Kasubdit, first, 3, why)
	require.ErrorIs(t, err, activation.ErrNothingDue, "a button that was pressed twice")
	require.NoError(t, signedBy(t, o, second, awaiting(t, o)...))
	require.Equal(t, []int{0, 0, 0, 1}, resting(t, o, first))
	o.OnLetter(t, l, request.Kasubdit, "selesai diperiksa", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Resume(ctx, tx, l, []int{4}, c)
	})
	require.Equal(t, []int{1, 1, 0, 0}, resting(t, o, first))
	done, err = reissue(t, o, request.Kasubdit, first, 1, why)
	require.NoError(t, err)
	require.Equal(t, 1, done.Readers)
	require.Equal(t, 8, linesOf(t, o, l)[7].Number)
}

// Each letter has a reply of its own; readers of a lembaga without a PKS are left alone.
func TestReissueOfSeveralLembaga(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	ask := func(in institution.Institution, number string, lines []activation.Line) activation.Letter {
		l := o.Asks(t, in, number, lines)
		passed, _ := o.Judge(t, l)
		require.Len(t, lines, passed)
		o.Accepted(t, l)
		return l
	}
	r := o.Done(t)
	o.HandOver(t, r)
	lines := o.ReaderLines(t, r)
	o.Pair(t, lines)
	in := o.Lembaga(t)
	letters := []activation.Letter{ask(in, "1", lines[:1]), ask(in, "2", lines[1:])}
	o.Plan.Lembaga = []string{"Koperasi Contoh"}
	r = o.Done(t)
	o.HandOver(t, r)
	lines = o.ReaderLines(t, r)
	o.Pair(t, lines)
	var other institution.Institution
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if other, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "Koperasi Contoh"}); err != nil {
			return err
		}
		return institution.EnsurePKS(ctx, tx, institution.PKS{
			Number: "PKS/2/2026", InstitutionID: other.ID, ValidFrom: clock.MustParseDate("2026-01-01"), ValidTo: clock.MustParseDate("2027-12-31"), State: institution.PKSInForce,
		})
	})
	letters = append(letters, ask(other, "1", lines[:1]))
	key := signingKey(t, o, 1)
	require.NoError(t, signedBy(t, o, key, awaiting(t, o)...))
	signingKey(t, o, 2)
	giveUp(t, o, 1)
	pks := func(valid string) {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			return tx.ExecOne(ctx, `UPDATE pks SET valid_to = $1 WHERE number = 'PKS/2/2026'`, valid)
		})
	}
	require.Equal(t, []int{3, 3, 0, 0}, resting(t, o, key))
	pks("2026-11-22")
	require.Equal(t, []int{2, 2, 1, 0}, resting(t, o, key))
	_, err := reissue(t, o, request.Kasubdit, key, 3, "Kunci bocor.")
	require.ErrorIs(t, err, postgres.ErrStale)
	done, err := reissue(t, o, request.Kasubdit, key, 2, "Kunci bocor.")
	require.NoError(t, err)
	require.Equal(t, []int{2, 2, 1}, []int{done.Readers, done.Letters, done.Held})
	require.Equal(t, []machine.State{activation.ManifestReady}, states(t, o, letters[2]))
	replies := map[string]bool{}
	for _, l := range letters[:2] {
		all := linesOf(t, o, l)
		require.Equal(t, []machine.State{activation.Revoked, activation.Accepted}, []machine.State{all[0].State, all[1].State})
		require.Equal(t, 2, all[1].Number)
		replies[*all[1].ReplyID] = true
	}
	require.Len(t, replies, 2)
	_, err = reissue(t, o, request.Kasubdit, key, 1, "Kunci bocor.")
	require.ErrorIs(t, err, activation.ErrNothingDue)
	pks("2027-12-31")
	require.Equal(t, []int{1, 1, 0, 0}, resting(t, o, key))
	_, err = reissue(t, o, request.Kasubdit, key, 1, "Kunci bocor.")
	require.NoError(t, err)
	require.Equal(t, []machine.State{activation.Revoked, activation.Accepted}, states(t, o, letters[2]))
}

// Of two at once one does it; what was changed before it is seen.
func TestReissueAtOnce(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 3})
	l, all := o.Readers(t)
	key := signingKey(t, o, 1)
	require.NoError(t, signedBy(t, o, key, all...))
	signingKey(t, o, 2)
	giveUp(t, o, 1)

	waits := make(chan error, 1)
	o.OnLetter(t, l, request.Kasubdit, "rusak", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		if err := activation.End(ctx, tx, l, []int{2}, activation.VerbRevoke, c); err != nil {
			return err
		}
		go func() {
			_, err := reissue(t, o, request.Kasubdit, key, 3, "Kunci bocor.")
			waits <- err
		}()
		require.Eventually(t, func() bool {
			var waiting int
			err := o.DB.Get(t.Context(), &waiting, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
			return err == nil && waiting == 1
		}, 30*time.Second, 10*time.Millisecond)
		return nil
	})
	require.ErrorIs(t, <-waits, postgres.ErrStale, "three were seen, two are left")
	require.Equal(t, []machine.State{activation.ManifestReady, activation.Revoked, activation.ManifestReady}, states(t, o, l))

	var both sync.WaitGroup
	var errs [2]error
	for i := range errs {
		both.Go(func() { _, errs[i] = reissue(t, o, request.Kasubdit, key, 2, "Kunci bocor.") })
	}
	both.Wait()
	if errs[0] != nil {
		errs[0], errs[1] = errs[1], errs[0]
	}
	require.NoError(t, errs[0])
	require.True(t, errors.Is(errs[1], activation.ErrNothingDue) || errors.Is(errs[1], postgres.ErrStale), "%v", errs[1])
	require.Equal(t, []machine.State{activation.Revoked, activation.Revoked, activation.Revoked, activation.Accepted, activation.Accepted}, states(t, o, l))
}

// A thousand manifests are re-issued in as many statements as one.
func TestReissueOfManyCostsAHandfulOfStatements(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1001})
	r := o.Done(t)
	o.HandOver(t, r)
	lines := o.ReaderLines(t, r)
	o.Pair(t, lines)
	in := o.Lembaga(t)
	keys := []string{signingKey(t, o, 1), signingKey(t, o, 2)}
	signingKey(t, o, 3)
	cost := func(version int, lines []activation.Line) (statements int) {
		key := keys[version-1]
		l := o.Asks(t, in, strconv.Itoa(version), lines)
		o.Judge(t, l)
		o.Accepted(t, l)
		require.NoError(t, signedBy(t, o, key, linesOf(t, o, l)...))
		giveUp(t, o, version)
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			ran := func() (n int) { // on this connection so far
				require.NoError(t, tx.Get(ctx, &n, `SELECT coalesce(sum(generic_plans + custom_plans), 0) FROM pg_prepared_statements`))
				return n
			}
			before := ran()
			done, err := activation.Reissue(ctx, tx, key, len(lines), paperoffice.As(request.Kasubdit, "Kunci bocor."))
			require.Equal(t, len(lines), done.Readers)
			statements = ran() - before - 1
			return err
		})
		all := linesOf(t, o, l)
		require.Len(t, all, 2*len(lines))
		for i, a := range all[len(lines):] {
			require.Equal(t, []string{all[i].ID, all[i].Reader}, []string{*a.Replaces, a.Reader})
		}
		return statements
	}
	few := cost(1, lines[:1])
	require.Equal(t, few, cost(2, lines[1:]))
	require.Less(t, few, 30)
	require.Positive(t, few)
}

// The database itself lets a line take the place only of one that was revoked for it.
func TestWhosePlaceALineTakes(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	_, all := o.Readers(t)
	require.NoError(t, signedBy(t, o, signingKey(t, o, 1), all...))
	takes := func(set string) string {
		err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := tx.Exec(ctx, set, all[0].ID); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `
				INSERT INTO activation (id, letter_id, line, state, reader_serial, sam_serial, origin_no, perso_no, pcid, machine_type, mode, address, region,
				                        card_id, accepted_on, reply_id, manifest_serial, replaces)
				SELECT gen_random_uuid(), letter_id, 9, 'accepted', 'LAIN', sam_serial, origin_no, perso_no, pcid, machine_type, mode, address, region,
				       card_id, accepted_on, reply_id, 'MFR-UJI', id FROM activation WHERE id = $1`, all[0].ID)
			return err
		})
		return postgres.Constraint(err)
	}
	revoked := func(cause string) string {
		return `UPDATE activation SET state = 'revoked', version = version + 1, cause = '` + cause + `' WHERE id = $1`
	}
	require.Equal(t, "activation_replaces", takes(`SELECT $1::uuid`), "it counts")
	require.Equal(t, "activation_replaces", takes(revoked(activation.CauseRevoked)))
	require.Equal(t, "activation_replaces", takes(revoked(activation.CauseSigningKey)), "it is another reader")
	require.Equal(t, "activation_cause", takes(revoked("bosan")))
	require.Empty(t, takes(revoked(activation.CauseReplaced)))
}
