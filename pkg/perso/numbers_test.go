package perso_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Numbers are made by the templates that two people approved last, from one counter:
// a card that has its numbers keeps them.
func TestNumbersComeFromTheTemplatesInForce(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 3)
	h := run(t, o, o.Serials[0])
	require.Equal(t, manifest(1, 1), h.Card.ManifestNo)
	second := persotest.Approve(t, o.DB, recipe.Numbers,
		`{"code": "nomor", "version": 2, "name": "Pola baru", "pcid": "9999{epoch:4}{counter:24}", "manifest": "KI/{epoch:2}.{counter:6}"}`)
	h = run(t, o, o.Serials[1])
	require.Equal(t, "KI/01.000002", h.Card.ManifestNo)
	require.Equal(t, "99990001000000000000000000000002", h.Card.PCID)
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM history WHERE machine = 'card' AND verb = 'number' AND detail->>'template' = 'nomor/2'`))

	persotest.Withdraw(t, o.DB, second)
	_, err := claim(o, identity(o.Serials[2]), "s1")
	why, refused := perso.RefusedFor(err)
	require.True(t, refused, "%v", err)
	require.Equal(t, perso.NoNumbers, why)
	require.Equal(t, perso.Listed, o.Card(t, o.Serials[2]).State)
}

// A template that would make an illegal PCID cannot even be written down.
func TestAnIllegalTemplateIsNotWritten(t *testing.T) {
	t.Parallel()
	for content, pointer := range map[string]string{
		`{"code": "nomor", "version": 2, "name": "x", "pcid": "367{epoch:4}{counter:24}", "manifest": "M{epoch:2}{counter:6}"}`: "/content/pcid",
		`{"code": "nomor", "version": 2, "name": "x", "pcid": "3671{epoch:4}{counter:24}", "manifest": "M{counter:6}"}`:         "/content/manifest",
		`{"code": "lain", "version": 1, "name": "x", "pcid": "3671{epoch:4}{counter:24}", "manifest": "M{epoch:2}{counter:6}"}`: "/content/code",
	} {
		_, err := recipe.Check(recipe.Numbers, []byte(content))
		var faults form.Faults
		require.ErrorAs(t, err, &faults)
		require.Equal(t, pointer, faults[0].Pointer)
	}
}

// A number that reached a card in another way is passed over, and is the same number
// in small letters.
func TestNumbersThatCardsHaveAreNeverGiven(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	insert := func(kind, value string) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO card_number (kind, value, card_id) VALUES ($1, $2, $3)`, kind, value, o.CardIDs[1])
			return err
		})
	}
	require.NoError(t, insert("pcid", pcid(1, 1)))
	require.NoError(t, insert("manifest", "m-2026-01000001"))
	h := run(t, o, o.Serials[0])
	require.Equal(t, pcid(1, 2), h.Card.PCID)
	require.Equal(t, manifest(1, 2), h.Card.ManifestNo)
	require.True(t, postgres.IsUnique(insert("manifest", "M-2026-01000001"), ""), "in other letters")
}
