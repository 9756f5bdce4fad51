package keybook_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

func entry(label, kcv string) keybook.Entry {
	return keybook.Entry{
		Label: label, Algorithm: "AES", Bits: 256, KCV: kcv, Origin: keybook.Components, Custodians: []string{"Kustodian I", "Kustodian II"},
		TokenLabel: "sifilma", TokenSerial: "0123", Place: "Jakarta", RecordedBy: "uji", OfficeAt: persotest.OfficeAt,
	}
}

func record(t *testing.T, db *postgres.DB, e keybook.Entry) (added bool, err error) {
	t.Helper()
	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		added, err = keybook.Record(ctx, tx, e)
		return err
	})
	return added, err
}

func retire(t *testing.T, db *postgres.DB, label string) error {
	t.Helper()
	return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Retire(ctx, tx, label, "uji", "diganti", persotest.OfficeAt)
	})
}

func TestLabels(t *testing.T) {
	t.Parallel()
	for label, want := range map[string]struct {
		name    string
		version int
	}{
		"sam-final-master": {"sam-final-master", 1}, "sam-final-master.v2": {"sam-final-master", 2}, "x.v12": {"x", 12},
		"x.v1": {"x.v1", 1}, "x.v0": {"x.v0", 1}, "x.v2.v3": {"x.v2", 3}, ".v2": {".v2", 1}, "x.v02": {"x.v02", 1},
	} {
		name, version := keybook.Split(label)
		require.Equal(t, want.name, name, label)
		require.Equal(t, want.version, version, label)
		require.Equal(t, label, keybook.Label(name, version))
	}
}

// A label stands for one key for ever.
func TestTheBookIsOnlyAddedTo(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	added, err := record(t, o.DB, entry("k.v2", "A1B2C3"))
	require.NoError(t, err)
	require.True(t, added)
	added, err = record(t, o.DB, entry("k.v2", "A1B2C3"))
	require.NoError(t, err)
	require.False(t, added, "a ceremony that was cut off is finished")
	_, err = record(t, o.DB, entry("k.v2", "000000"))
	require.ErrorIs(t, err, keybook.ErrOtherKey)
	for _, q := range []string{`UPDATE master_key SET kcv = '000000'`, `DELETE FROM master_key`} {
		err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error { _, err := tx.Exec(ctx, q); return err })
		require.True(t, postgres.IsCheck(err, "master_key_kept"), "%v", err)
	}
	e, err := keybook.Get(t.Context(), o.DB, "k.v2")
	require.NoError(t, err)
	require.Equal(t, "k", e.Name)
	require.Equal(t, 2, e.Version)
	require.NoError(t, e.Is("AES", 256, "A1B2C3"))
	require.ErrorIs(t, e.Is("AES", 128, "A1B2C3"), keybook.ErrOtherKey)

	require.ErrorIs(t, retire(t, o.DB, "unknown"), keybook.ErrNotFound)
	require.NoError(t, retire(t, o.DB, "k.v2"))
	require.ErrorIs(t, retire(t, o.DB, "k.v2"), keybook.ErrRetired)
	_, err = record(t, o.DB, entry("k.v2", "A1B2C3"))
	require.ErrorIs(t, err, keybook.ErrRetired)
	var trail []string
	require.NoError(t, o.DB.Select(t.Context(), &trail, `SELECT action FROM audit WHERE subject = 'k.v2' ORDER BY id`))
	require.Equal(t, []string{"key.recorded", "key.retired"}, trail)
}

// A key is given up only when nothing is left that has to be written, read or opened
// with it; each thing that needs it is named. Once given up it comes into no Kode Kunci.
func TestAKeyInNeedIsKept(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	const old, next = "sam-final-master", "sam-final-master.v2"
	for label, kcv := range map[string]string{old: "A1B2C3", next: "D4E5F6"} {
		_, err := record(t, o.DB, entry(label, kcv))
		require.NoError(t, err)
	}
	needs := func() (out []string) {
		t.Helper()
		all, err := keybook.Needs(t.Context(), o.DB, old)
		require.NoError(t, err)
		for _, n := range all {
			require.Contains(t, keybook.NeedLabels, n.What)
			require.NotEmpty(t, n.Which)
			out = append(out, n.What)
		}
		if len(all) > 0 {
			require.ErrorAs(t, retire(t, o.DB, old), new(*keybook.NeededError))
			err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE master_key SET retired_by='x', retired_reason='x', retired_at=now() WHERE label=$1`, old)
				return err
			})
			require.True(t, postgres.IsCheck(err, "master_key_needed"), "%v", err)
		}
		return out
	}
	require.Equal(t, []string{"key_code"}, needs())

	// A card is begun with it and slips out; then the next version is put in force.
	place := persotest.Place(t, o.DB, "uji-1")
	var h perso.Hand
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		h, err = perso.Claim(ctx, tx, perso.Identity{Serial: o.Serials[0], ChipID: "CHIP1"}, place, station())
		return err
	})
	file, err := configs.KeyCode("ktpel")
	require.NoError(t, err)
	edition := func(n, label string) string {
		return strings.NewReplacer(`"version": 1`, `"version": `+n, `"sam-final-master"`, `"`+label+`"`, `"31"`, `"3`+n+`"`).Replace(string(file))
	}
	persotest.Approve(t, o.DB, recipe.KeyCode, edition("2", next))
	require.Equal(t, []string{"card", "request", "work_order"}, needs())
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		h, err = perso.BeginWriting(ctx, tx, h, perso.Intent{Sealed: []byte{1}, Public: map[string]any{}}, station())
		if err != nil {
			return err
		}
		h, err = perso.Doubt(ctx, tx, h, perso.Finding{Proposal: perso.DecideSpoil}, station())
		return err
	})
	exec := func(q string) {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, q)
			return err
		})
	}
	exec(`UPDATE work_order SET state = 'closed'`)
	exec(`UPDATE request SET state = 'done'`)
	require.Equal(t, []string{"card"}, needs(), "a card in doubt is read by the keys it was begun with")
	exec(`UPDATE card SET state = 'clear'`)
	require.Empty(t, needs())
	require.NoError(t, retire(t, o.DB, old))

	r := persotest.Draft(t, o.DB, recipe.KeyCode, edition("3", old))
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := recipe.Propose(ctx, tx, recipe.Seen{ID: r.ID, Version: r.Version}, persotest.Person("operator", "operator", "uji"))
		return err
	})
	var faults form.Faults
	require.ErrorAs(t, err, &faults)
	require.Equal(t, "/content/final/master", faults[0].Pointer)
	require.Contains(t, faults[0].Detail, "sudah dihentikan")
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE recipe SET state='proposed', version=version+1, proposed_by='x' WHERE id=$1`, r.ID)
		return err
	})
	require.True(t, postgres.IsCheck(err, "recipe_keys_usable"), "%v", err)
}

func station() perso.Change {
	return perso.Change{Actor: perso.StationActor("uji-1"), OfficeAt: persotest.OfficeAt}
}
