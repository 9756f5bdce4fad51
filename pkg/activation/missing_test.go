package activation_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// A reader that was reported lost or stolen does not pass the check of a new letter, nor does
// its card, in whatever pairing, until Kasubdit KI records that they were found.
func TestAMissingReaderIsFoundByTheCheck(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 4})
	l, all := o.Readers(t)
	require.NoError(t, signed(t, o, all...))
	end := func(number int, verb machine.Verb) {
		o.OnLetter(t, l, request.Operator, "Laporan polisi LP/1", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
			return activation.End(ctx, tx, l, []int{number}, verb, c)
		})
	}
	end(1, activation.VerbStolen)
	end(2, activation.VerbLost)
	o.OnLetter(t, l, request.Kasubdit, "Tidak dipakai", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.End(ctx, tx, l, []int{3}, activation.VerbRevoke, c)
	})
	in := o.Lembaga(t)
	judge := func(of institution.Institution, number string, lines ...activation.Line) []activation.Finding {
		asked := o.Asks(t, of, number, lines)
		o.Judge(t, asked)
		found, err := activation.Findings(t.Context(), o.DB, asked.ID)
		require.NoError(t, err)
		return found
	}
	found := judge(in, "2", all[0].Line, all[1].Line, all[2].Line)
	require.Equal(t, []string{"1 reader_serial reported_missing", "1 sam_serial reported_missing", "2 reader_serial reported_missing", "2 sam_serial reported_missing"}, codes(found),
		"what was only revoked may be asked for again")
	require.Contains(t, found[0].Detail, "tercatat dicuri sejak 23 November 2026")
	require.Contains(t, found[0].Office, "LP/1")
	require.Contains(t, found[2].Detail, "tercatat hilang")

	var stranger institution.Institution
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		stranger, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "Koperasi Lain"})
		return err
	})
	for _, f := range judge(stranger, "1", all[0].Line) {
		require.NotContains(t, f.Detail, "curi", f.Code)
		require.NotContains(t, f.Detail, in.Name)
		if f.Field == "reader_serial" {
			require.Equal(t, "not_usable", f.Code)
			require.Contains(t, f.Office, in.Name)
		}
	}

	pair := func(p activation.Pair) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return activation.RecordPairs(ctx, tx, "", []activation.Pair{p}, activation.SourceForm, paperoffice.As(request.Operator, ""))
		})
	}
	require.ErrorContains(t, pair(activation.Pair{SAM: all[0].SAM, Reader: "RDR-LAIN"}), "not_usable", "the card of a missing reader in another one")
	require.ErrorContains(t, pair(activation.Pair{SAM: all[2].SAM, Reader: all[0].Reader}), "not_usable", "another card in a missing reader")
	require.ErrorIs(t, o.TryLetter(t, l, request.Operator, "Rusak", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		_, err := activation.Replace(ctx, tx, l, 4, activation.Replacement{Reader: all[1].Reader, Address: "A", Region: "B"}, c)
		return err
	}), activation.ErrReaderMissing)

	find := func(role machine.Role, reason string, numbers ...int) error {
		return o.TryLetter(t, l, role, reason, func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
			return activation.Found(ctx, tx, l, numbers, c)
		})
	}
	var wrongRole *machine.RoleError
	require.ErrorAs(t, find(request.Operator, "Kembali", 1), &wrongRole, "whoever reports it does not lift it")
	require.ErrorIs(t, find(request.Kasubdit, "", 1), activation.ErrReasonMissing)
	require.ErrorIs(t, find(request.Kasubdit, "Kembali", 3), activation.ErrNotMissing)
	before, err := activation.RevocationList(t.Context(), o.DB)
	require.NoError(t, err)
	require.NoError(t, find(request.Kasubdit, "Dikembalikan polisi, segel utuh.", 1))
	require.ErrorIs(t, find(request.Kasubdit, "Kembali", 1), activation.ErrNotMissing, "once")
	after, err := activation.RevocationList(t.Context(), o.DB)
	require.NoError(t, err)
	require.Equal(t, before, after, "its manifest stays revoked, since the same moment")
	require.Empty(t, judge(in, "3", all[0].Line))
	require.NotEmpty(t, judge(in, "4", all[1].Line))
}

// SQL refuses what the check would have found.
func TestAMissingReaderIsRefusedInSQL(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	l, all := o.Readers(t)
	o.OnLetter(t, l, request.Operator, "Laporan", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.End(ctx, tx, l, []int{1}, activation.VerbStolen, c)
	})
	asked := o.Asks(t, o.Lembaga(t), "2", []activation.Line{all[0].Line})
	err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE activation SET state = 'validated', version = version + 1, card_id = $2 WHERE letter_id = $1`, asked.ID, *all[0].CardID)
		return err
	})
	require.Equal(t, "activation_not_missing", postgres.Constraint(err))
}

// A wrong letter of many readers costs as many statements as one of few.
func TestAWrongLetterCostsAHandfulOfStatements(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	o.Done(t) // there is a produsen
	in := o.Lembaga(t)
	cost := func(number string, readers int) (statements int) {
		var lines []activation.Line
		for i := range readers {
			serial := fmt.Sprintf("TAKADA%04d", i)
			lines = append(lines, activation.Line{
				Reader: "R" + serial, SAM: serial, Origin: serial, Perso: "M" + serial, PCID: strings.Repeat("0", 32), MachineType: "uji", Mode: activation.Offline, Address: "A", Region: "B",
			})
		}
		l := o.Asks(t, in, number, lines)
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			ran := func() (n int) { // on this connection so far
				require.NoError(t, tx.Get(ctx, &n, `SELECT coalesce(sum(generic_plans + custom_plans), 0) FROM pg_prepared_statements`))
				return n
			}
			before := ran()
			passed, returned, err := activation.Judge(ctx, tx, l.ID, paperoffice.As(request.Validator, ""))
			require.Equal(t, []int{0, readers}, []int{passed, returned})
			statements = ran() - before - 1
			return err
		})
		found, err := activation.Findings(t.Context(), o.DB, l.ID)
		require.NoError(t, err)
		require.Len(t, found, readers)
		return statements
	}
	few := cost("1", 2)
	require.Equal(t, few, cost("2", 1000))
	require.Less(t, few, 20)
	require.Positive(t, few)
}
