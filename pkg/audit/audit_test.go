package audit_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

func record(t *testing.T, db *postgres.DB, entries ...audit.Entry) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return audit.Record(ctx, tx, entries...)
	}))
}

// some makes n entries.
func some(n int) []audit.Entry {
	e := make([]audit.Entry, n)
	for i := range e {
		e[i] = audit.Entry{Actor: "operator-ki", Action: "card.seen", Subject: uuid.NewString(), Detail: map[string]any{"i": i, "b": 1.50, "a": "é"}}
	}
	return e
}

func sealAll(t *testing.T, s *audit.Sealer) (total int) {
	t.Helper()
	for {
		n, err := s.SealOnce(t.Context())
		require.NoError(t, err)
		if n == 0 {
			return total
		}
		total += n
	}
}

func TestRecordedRowsAreSealedInBatchesAndVerify(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	head, err := audit.Verify(t.Context(), db)
	require.NoError(t, err)
	require.Zero(t, head, "an empty chain")

	request := uuid.NewString()
	record(t, db, audit.Entry{Actor: "dirjen", Action: "request.approved", Subject: request, Request: request})
	record(t, db, some(24)...)
	count, oldest, err := audit.Unsealed(t.Context(), db)
	require.NoError(t, err)
	require.EqualValues(t, 25, count)
	require.WithinDuration(t, time.Now(), oldest, time.Minute)

	s := audit.NewSealer(db, 10)
	require.Equal(t, 25, sealAll(t, s))
	first, err := audit.Verify(t.Context(), db)
	require.NoError(t, err)
	require.EqualValues(t, 25, first.Seq)
	kept, err := audit.HeadOf(t.Context(), db)
	require.NoError(t, err)
	require.Equal(t, first, kept)

	record(t, db, some(3)...)
	require.Equal(t, 3, sealAll(t, s))
	last, err := audit.Verify(t.Context(), db, kept)
	require.NoError(t, err)
	require.EqualValues(t, 28, last.Seq)
	count, _, err = audit.Unsealed(t.Context(), db)
	require.NoError(t, err)
	require.Zero(t, count)
}

func TestRecordGoesWithTheBusinessTransaction(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	no := errors.New("no")
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if err := audit.Record(ctx, tx, some(2)...); err != nil {
			return err
		}
		return no
	})
	require.ErrorIs(t, err, no)
	count, _, err := audit.Unsealed(t.Context(), db)
	require.NoError(t, err)
	require.Zero(t, count)
}

func TestRecordRefusesIncompleteEntries(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	for name, e := range map[string]audit.Entry{
		"actor":   {Action: "a"},
		"action":  {Actor: "a"},
		"request": {Actor: "a", Action: "a", Request: "REQ-1"},
		"detail":  {Actor: "a", Action: "a", Detail: map[string]any{"f": func() {}}},
	} {
		require.Error(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return audit.Record(ctx, tx, e)
		}), name)
	}
	record(t, db) // nothing to record is no fault
}

func TestSealersSideBySideMakeOneChain(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	record(t, db, some(200)...)
	var wg sync.WaitGroup
	total := make(chan int, 4)
	for range 4 {
		wg.Go(func() {
			sum := 0
			for {
				n, err := audit.NewSealer(db, 7).SealOnce(t.Context())
				if err != nil || n == 0 {
					total <- sum
					return
				}
				sum += n
			}
		})
	}
	wg.Wait()
	require.Equal(t, 200, <-total+<-total+<-total+<-total)
	head, err := audit.Verify(t.Context(), db)
	require.NoError(t, err)
	require.EqualValues(t, 200, head.Seq)
}

func TestVerifyNamesTheFirstBrokenRow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tamper string
		seq    int64
	}{
		"detail changed":  {`UPDATE audit SET detail = '{"i": 99}' WHERE seq = 4`, 4},
		"actor changed":   {`UPDATE audit SET actor = 'dirjen' WHERE seq IN (3, 8)`, 3},
		"time changed":    {`UPDATE audit SET at = at + interval '1 microsecond' WHERE seq = 10`, 10},
		"request given":   {`UPDATE audit SET request_id = gen_random_uuid() WHERE seq = 2`, 2},
		"row removed":     {`DELETE FROM audit WHERE seq = 5`, 5},
		"first removed":   {`DELETE FROM audit WHERE seq = 1`, 1},
		"end cut":         {`DELETE FROM audit WHERE seq > 9`, 10},
		"hash changed":    {`UPDATE audit SET hash = sha256('x') WHERE seq = 6`, 6},
		"link changed":    {`UPDATE audit SET prev_hash = sha256('x') WHERE seq = 7`, 7},
		"hash cut":        {`UPDATE audit SET hash = substring(hash FROM 1 FOR 31) WHERE seq = 6`, 6},
		"numbers swapped": {`UPDATE audit SET seq = -seq WHERE seq = 3`, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := harness.DB(t)
			record(t, db, some(10)...)
			require.Equal(t, 10, sealAll(t, audit.NewSealer(db, 4)))
			kept, err := audit.HeadOf(t.Context(), db)
			require.NoError(t, err)
			require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				if _, err := tx.Exec(ctx, `ALTER TABLE audit DISABLE TRIGGER USER`); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, c.tamper)
				return err
			}))
			_, err = audit.Verify(t.Context(), db, kept)
			var broken *audit.BrokenError
			require.ErrorAs(t, err, &broken)
			require.Equal(t, c.seq, broken.Seq, broken.Reason)
		})
	}
}

func TestARebuiltChainIsFoundByAKeptHead(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	record(t, db, some(5)...)
	s := audit.NewSealer(db, 0)
	sealAll(t, s)
	kept, err := audit.HeadOf(t.Context(), db)
	require.NoError(t, err)
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
	_, err = audit.Verify(t.Context(), db)
	require.NoError(t, err, "by itself it holds")
	_, err = audit.Verify(t.Context(), db, kept)
	require.ErrorContains(t, err, "not the row of the kept head")
}

func TestSealedRowsCannotBeChanged(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	record(t, db, some(1)...)
	sealAll(t, audit.NewSealer(db, 0))
	for _, q := range []string{`UPDATE audit SET actor = 'x'`, `DELETE FROM audit`} {
		require.ErrorContains(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q)
			return err
		}), "audit rows")
	}
}

// TestCanonicalForm holds the form against a text written by hand from its
// description: a verifier in another language builds on it.
func TestCanonicalForm(t *testing.T) {
	t.Parallel()
	row := audit.Row{
		ID: uuid.MustParse("0190A000-0000-7000-8000-000000000001"), Seq: 1,
		At:    time.Date(2026, 3, 2, 8, 0, 0, 120_000_000, time.FixedZone("WIB", 7*3600)),
		Actor: "kasubdit-ki", Action: "request.accepted", Subject: "é", Detail: `{"a": 1}`,
	}
	const want = "15:sifilma-audit-1,1:1,36:0190a000-0000-7000-8000-000000000001,27:2026-03-02T01:00:00.120000Z," +
		"11:kasubdit-ki,16:request.accepted,2:é,0:,8:{\"a\": 1},"
	require.Equal(t, want, string(row.Canonical()))

	sum := sha256.Sum256(append(make([]byte, 32), want...))
	row.Prev, row.Hash = make([]byte, 32), sum[:]
	var c audit.Chain
	require.NoError(t, c.Add(row))
	require.Equal(t, hex.EncodeToString(sum[:]), c.Head().Hash.String())
	require.Error(t, c.Add(row), "the same row is not the next one")
}
