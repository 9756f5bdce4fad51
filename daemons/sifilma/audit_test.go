package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestADaySheetShowsThatTheChainWasCut: what the database alone cannot show, the head
// on a printed sheet does.
func TestADaySheetShowsThatTheChainWasCut(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	tx := func(do func(ctx context.Context, tx *postgres.Tx) error) {
		t.Helper()
		require.NoError(t, db.InTx(t.Context(), do))
	}
	tx(func(ctx context.Context, tx *postgres.Tx) error {
		return audit.Record(ctx, tx, audit.Entry{Actor: "a", Action: "x.y"}, audit.Entry{Actor: "b", Action: "x.y"}, audit.Entry{Actor: "c", Action: "x.y"})
	})
	_, err := audit.NewSealer(db, 0).SealOnce(t.Context())
	require.NoError(t, err)
	head, err := audit.HeadOf(t.Context(), db)
	require.NoError(t, err)
	text := hex.EncodeToString(head.Hash[:])
	printed := fmt.Sprintf("%d: %s %s", head.Seq, strings.ToUpper(text[:8]), text[8:])
	kept, err := keptHeads([]string{printed})
	require.NoError(t, err)
	require.Equal(t, []audit.Head{head}, kept)

	var out bytes.Buffer
	require.NoError(t, checkAudit(t.Context(), db, nil, kept, &out))
	require.Contains(t, out.String(), "utuh, 3 catatan")
	require.Contains(t, out.String(), "1 ujung cocok")

	tx(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `ALTER TABLE audit DISABLE TRIGGER USER`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM audit WHERE seq = 3`)
		return err
	})
	require.NoError(t, checkAudit(t.Context(), db, nil, nil, &out), "its end was cut: the rest is whole")
	require.ErrorContains(t, checkAudit(t.Context(), db, nil, kept, &out), "TIDAK utuh pada nomor 3")
}

func TestHeadsAreReadAsTheyArePrinted(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0a", 32)
	heads, err := keptHeads([]string{"12.345: " + strings.Join([]string{sum[:8], sum[8:16], sum[16:]}, " ")})
	require.NoError(t, err)
	require.EqualValues(t, 12345, heads[0].Seq)
	for _, wrong := range []string{"", "12345", "x:" + sum, "1:" + sum[2:], "1:" + sum + "0", "-1:" + sum, "1:" + strings.Repeat("zz", 32)} {
		_, err := keptHeads([]string{wrong})
		require.ErrorContains(t, err, "bukan ujung rantai", wrong)
	}
}
