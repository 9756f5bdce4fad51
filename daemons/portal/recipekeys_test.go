package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Whoever approves a Kode Kunci sees which keys stand under its labels, which are not in
// the book of keys, and which were given up.
func TestKeysOfAKodeKunciOnItsPage(t *testing.T) {
	t.Parallel()
	o := newRecipeOffice(t)
	var all struct{ Recipes []recipeSeen }
	o.want(200, &all, "operator", http.MethodGet, recipesAPI, nil)
	at := ""
	for _, r := range all.Recipes {
		if r.Label == "ktpel/1" {
			at = "/data-induk/personalisasi/" + r.ID
		}
	}
	page := o.page(200, "kasubdit", at).text
	require.Contains(t, page, "Kunci induk di HSM menurut buku kunci")
	require.Contains(t, page, "Belum tercatat")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		for _, e := range []keybook.Entry{
			{Label: "sam-transport-master", KCV: "A1B2C3", Algorithm: "AES", Bits: 256, Origin: keybook.Components, Custodians: []string{"Kustodian I", "Kustodian II"}},
			{Label: "sam-final-master", KCV: "D4E5F6", Algorithm: "DES", Bits: 192, Origin: keybook.Generated},
			{Label: "sam-secret-wrap", KCV: "0A0B0C", Algorithm: "AES", Bits: 256, Origin: keybook.Generated},
		} {
			e.TokenLabel, e.TokenSerial, e.Place, e.RecordedBy, e.OfficeAt = "uji", "1", "uji", "Operator KI", time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)
			if _, err := keybook.Record(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	page = o.page(200, "kasubdit", at).text
	for _, part := range []string{"A1B2C3", "komponen: Kustodian I, Kustodian II", "3TDEA", "dibuat di dalam token", "2 Maret 2026 pukul 09.00 WIB, Operator KI"} {
		require.Contains(t, page, part)
	}
	require.NotContains(t, page, "Belum tercatat")
	for _, r := range all.Recipes {
		if r.Label == "gp-scp03-sam/1" {
			require.NotContains(t, o.page(200, "kasubdit", "/data-induk/personalisasi/"+r.ID).text, "buku kunci")
		}
	}
}
