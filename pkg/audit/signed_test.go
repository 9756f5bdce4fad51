package audit_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/test/harness"
)

// officeKey is a signing key as the token has it.
func officeKey(t *testing.T) (*sealed.Signer, sealed.Keys) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	s, err := sealed.NewSigner(&private.PublicKey, func(_ context.Context, digest []byte) ([]byte, error) {
		r, s, err := ecdsa.Sign(rand.Reader, private, digest)
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	})
	require.NoError(t, err)
	keys, err := sealed.NewKeys(&private.PublicKey)
	require.NoError(t, err)
	return s, keys
}

var evening = time.Date(2026, 11, 23, 10, 5, 42, 7, time.UTC)

// signHead signs the present head for a subject and keeps it.
func signHead(t *testing.T, db *postgres.DB, by *sealed.Signer, subject string) audit.SignedHead {
	t.Helper()
	head, err := audit.HeadOf(t.Context(), db)
	require.NoError(t, err)
	s, err := audit.SignedHead{Head: head, Day: clock.DateOf(evening), Unsealed: 2, At: evening}.Sign(t.Context(), by)
	require.NoError(t, err)
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := audit.KeepHead(ctx, tx, subject, s)
		return err
	}))
	return s
}

// A signed head holds as it was signed, by the office's key, and not with anything of it
// changed: a byte of the signature, a bit of the hash, another day, number, count or time.
func TestASignedHeadHoldsAsItWasSigned(t *testing.T) {
	t.Parallel()
	by, keys := officeKey(t)
	_, others := officeKey(t)
	good, err := audit.SignedHead{Head: audit.Head{Seq: 12345, Hash: audit.Hash{1, 2, 3}}, Day: clock.DateOf(evening), Unsealed: 2, At: evening}.Sign(t.Context(), by)
	require.NoError(t, err)
	require.Equal(t, evening.Truncate(time.Minute), good.At, "as it is printed")
	require.Equal(t, by.KeyID(), good.KeyID)
	id, err := good.Verify(keys)
	require.NoError(t, err)
	require.Equal(t, by.KeyID(), id)

	typed := good
	typed.KeyID = ""
	id, err = typed.Verify(keys)
	require.NoError(t, err, "nobody types the key's id")
	require.Equal(t, by.KeyID(), id)
	_, err = good.Verify(others)
	require.ErrorIs(t, err, sealed.ErrKey)
	_, err = typed.Verify(others)
	require.ErrorIs(t, err, sealed.ErrSignature)

	for i := range good.Signature {
		for bit := range 8 {
			bad := good
			bad.Signature = bytes.Clone(good.Signature)
			bad.Signature[i] ^= 1 << bit
			_, err := bad.Verify(keys)
			require.ErrorIs(t, err, sealed.ErrSignature, "byte %d", i)
		}
	}
	for i := range good.Hash {
		bad := good
		bad.Hash[i] ^= 1
		_, err := bad.Verify(keys)
		require.Error(t, err, "byte %d of the hash", i)
	}
	for name, change := range map[string]func(*audit.SignedHead){
		"day":          func(s *audit.SignedHead) { s.Day = s.Day.AddDays(1) },
		"number":       func(s *audit.SignedHead) { s.Seq++ },
		"count":        func(s *audit.SignedHead) { s.Unsealed = 0 },
		"time":         func(s *audit.SignedHead) { s.At = s.At.Add(time.Minute) },
		"no signature": func(s *audit.SignedHead) { s.Signature = nil },
		"longer":       func(s *audit.SignedHead) { s.Signature = append(bytes.Clone(s.Signature), 0) },
	} {
		bad := good
		change(&bad)
		_, err := bad.Verify(keys)
		require.Error(t, err, name)
	}
}

func TestASignedHeadIsKeptOnceAndStays(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	by, _ := officeKey(t)
	_, err := audit.SignedFor(t.Context(), db, "2026-11-23")
	require.ErrorIs(t, err, audit.ErrNotSigned)
	record(t, db, some(3)...)
	sealAll(t, audit.NewSealer(db, 0))
	first := signHead(t, db, by, "2026-11-23")
	record(t, db, some(1)...)
	sealAll(t, audit.NewSealer(db, 0))
	signHead(t, db, by, "2026-11-23") // whoever is second changes nothing
	kept, err := audit.SignedFor(t.Context(), db, "2026-11-23")
	require.NoError(t, err)
	require.Equal(t, first, kept)
	newest, err := audit.NewestSigned(t.Context(), db)
	require.NoError(t, err)
	require.Equal(t, first, newest)
	for _, q := range []string{`UPDATE audit_head SET seq = 4`, `DELETE FROM audit_head`} {
		require.Error(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q)
			return err
		}), q)
	}
}

// Each day that is over and has rows behind the last signed head is owed one, of its own
// last row; a day without any, and today, are not.
func TestDaysThatAreOverAreOwedAHead(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	by, keys := officeKey(t)
	record(t, db, some(5)...)
	day := clock.MustParseDate("2026-11-20")
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		// Two rows of the first day, the later of them the last minute of it in Jakarta, none of the
		// second, two of the third, one of today.
		_, err := tx.Exec(ctx, `
			UPDATE audit a SET at = u.at FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM audit) o
			JOIN unnest($1::timestamptz[]) WITH ORDINALITY AS u (at, n) ON u.n = o.n WHERE a.id = o.id`,
			"{2026-11-20T01:00Z,2026-11-20T16:59:59Z,2026-11-21T17:00Z,2026-11-22T02:00Z,2026-11-22T17:00Z}")
		return err
	}))
	owed := func(today clock.Date) []audit.SignedHead {
		heads, err := audit.OwedHeads(t.Context(), db, today, 10)
		require.NoError(t, err)
		return heads
	}
	require.Empty(t, owed(day.AddDays(3)), "nothing is sealed")
	sealAll(t, audit.NewSealer(db, 0))
	require.Empty(t, owed(day))
	heads := owed(day.AddDays(3))
	require.Len(t, heads, 2)
	require.Equal(t, []any{day, int64(2), day.AddDays(2), int64(4)}, []any{heads[0].Day, heads[0].Seq, heads[1].Day, heads[1].Seq})
	for _, h := range heads {
		require.NoError(t, audit.OnChain(t.Context(), db, h.Head))
		h.At = evening
		signed, err := h.Sign(t.Context(), by)
		require.NoError(t, err)
		_, err = signed.Verify(keys)
		require.NoError(t, err)
		require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := audit.KeepHead(ctx, tx, h.Day.String(), signed)
			return err
		}))
	}
	require.Empty(t, owed(day.AddDays(3)))
	require.Len(t, owed(day.AddDays(4)), 1, "today's, once it is over")
	require.Error(t, audit.OnChain(t.Context(), db, audit.Head{Seq: 9}))
	require.Error(t, audit.OnChain(t.Context(), db, audit.Head{Seq: 2, Hash: heads[1].Hash}))
	require.NoError(t, audit.OnChain(t.Context(), db, audit.Head{}))
}

// An export holds by itself, with the public key alone; whoever rewrites the chain cannot
// make a signed head for it.
func TestAnExportHoldsOfflineAndARewrittenChainDoesNot(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	by, keys := officeKey(t)
	_, others := officeKey(t)
	own := audit.Entry{Actor: "dirjen", Action: "request.approved", Subject: "x", Request: "0190a000-0000-7000-8000-000000000001", Detail: map[string]any{"catatan": "é <b>"}}
	record(t, db, append(some(4), own)...)
	s := audit.NewSealer(db, 0)
	sealAll(t, s)
	signed := signHead(t, db, by, "2026-11-23")
	record(t, db, some(2)...)
	sealAll(t, s)
	export := func() string {
		var out bytes.Buffer
		head, n, err := audit.Export(t.Context(), db, &out)
		require.NoError(t, err)
		require.EqualValues(t, 7, head.Seq)
		require.Equal(t, 1, n)
		return out.String()
	}
	good := export()
	check := func(text string, k sealed.Keys, known ...audit.Head) error {
		_, err := audit.VerifyExport(strings.NewReader(text), k, known...)
		return err
	}
	c, err := audit.VerifyExport(strings.NewReader(good), keys, signed.Head)
	require.NoError(t, err)
	require.Equal(t, []any{int64(7), 1, int64(5)}, []any{c.Head.Seq, c.Signed, c.Covered})
	var wrong *audit.HeadError
	require.ErrorAs(t, check(good, others), &wrong)
	require.ErrorIs(t, wrong, sealed.ErrKey)

	// A key that was revoked vouches for nothing, and what it signed must still fit.
	lost := keys.Revoke(map[string]sealed.Revocation{by.KeyID(): {At: evening, Reason: "bocor"}})
	c, err = audit.VerifyExport(strings.NewReader(good), lost, signed.Head)
	require.NoError(t, err)
	require.Equal(t, []any{1, 1, int64(0)}, []any{c.Signed, c.Weak, c.Covered})
	_, err = signed.Verify(lost)
	require.ErrorIs(t, err, sealed.ErrKeyRevoked)
	_, err = audit.SignedHead{Head: signed.Head, Day: signed.Day, Unsealed: signed.Unsealed, At: signed.At, Signature: signed.Signature}.Verify(lost)
	require.ErrorIs(t, err, sealed.ErrKeyRevoked, "also where the paper does not name the key")

	lines := strings.SplitAfter(good, "\n")
	var broken *audit.BrokenError
	require.ErrorAs(t, check(strings.Join(append(lines[:3:3], lines[4:]...), ""), keys), &broken, "a row left out")
	require.ErrorAs(t, check(lines[0]+lines[1]+lines[8], keys), &broken, "its end cut off")
	require.ErrorAs(t, check(strings.Join(lines[:8], ""), keys, audit.Head{Seq: 5, Hash: audit.Hash{1}}), &broken, "a head kept on paper")
	require.NoError(t, check(strings.Join(lines[:8], ""), keys, signed.Head), "the head on paper does without the signed one in the file")
	require.ErrorIs(t, check("", keys), audit.ErrExport)
	require.ErrorIs(t, check(lines[1], keys), audit.ErrExport)
	require.ErrorIs(t, check(good+"{}\n", keys), audit.ErrExport)
	require.ErrorIs(t, check(good+lines[1], keys), audit.ErrExport, "rows behind the heads")
	for i := range len(lines[8]) - 1 { // any byte of the line of the signed head
		text := []byte(lines[8])
		text[i] ^= 1
		err := check(strings.Join(lines[:8], "")+string(text), keys)
		require.Error(t, err, "byte %d: %s", i, text)
	}

	// The owner of the database rebuilds the whole chain: it holds by itself, and not with what was signed.
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{
			`ALTER TABLE audit DISABLE TRIGGER USER`,
			`UPDATE audit SET seq = NULL, hash = NULL, prev_hash = NULL, actor = 'somebody else'`,
			`ALTER TABLE audit ENABLE TRIGGER USER`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	}))
	sealAll(t, s)
	rebuilt := export()
	require.ErrorAs(t, check(rebuilt, keys), &broken)
	require.ErrorAs(t, check(rebuilt, lost), &broken)
	require.EqualValues(t, 5, broken.Seq)
	heads, err := audit.SignedHeads(t.Context(), db)
	require.NoError(t, err)
	known, err := audit.CheckHeads(keys, heads)
	require.NoError(t, err)
	_, err = audit.Verify(t.Context(), db, known.All...)
	require.True(t, errors.As(err, &broken))
}
