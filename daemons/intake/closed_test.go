package main

import (
	"bytes"
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// change is what somebody did to the master data.
func (o *office) change(t *testing.T, statement string, args ...any) {
	t.Helper()
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, statement, args...)
	}))
}

// Who is shut out, or has not chosen a password yet, fills nothing in, and hears
// what to do.
func TestWhoIsShutOutFillsNothingIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	pic := o.person(t, "pic", "PT Produsen Contoh", request.Produsen)
	look := func() reply {
		return o.do(t, http.MethodGet, "/pengajuan", nil, map[string]string{"Cookie": pic})
	}
	for _, c := range []struct {
		name, shut, open string
		status           int
		says             string
	}{
		{
			"a password that somebody else knows", `UPDATE account SET must_change = true WHERE username = 'pic'`,
			`UPDATE account SET must_change = false WHERE username = 'pic'`, http.StatusForbidden, "ganti kata sandi itu",
		},
		{
			"a closed account", `UPDATE account SET active = false WHERE username = 'pic'`,
			`UPDATE account SET active = true WHERE username = 'pic'`, http.StatusUnauthorized, "mungkin sudah dinonaktifkan",
		},
		{
			"an institution that takes no part any more", `UPDATE institution SET active = false WHERE name = 'PT Produsen Contoh'`,
			`UPDATE institution SET active = true WHERE name = 'PT Produsen Contoh'`, http.StatusUnauthorized, "mungkin sudah dinonaktifkan",
		},
	} {
		require.Equal(t, http.StatusOK, look().status, "before %s", c.name)
		o.change(t, c.shut)
		for _, r := range []reply{look(), o.fillIn(t, pic, "/pengajuan", fill(t).with(map[string]string{"_do": "submit"}))} {
			require.Equal(t, c.status, r.status, c.name)
			require.Contains(t, r.header.Get("Content-Type"), "text/html", c.name)
			require.Contains(t, string(r.body), c.says, c.name)
		}
		o.change(t, c.open)
	}
	o.nothing(t)
}

// The form offers the machine types in use, and a returned request may keep its own.
func TestTheFormOffersMachineTypesInUse(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	pic := o.person(t, "pic", "PT Produsen Contoh", request.Produsen)
	ticket := o.give(t, "produsen", "ref", "Permohonan").Ticket
	o.returned(t, o.idOf(t, ticket), "Sel B2.")
	o.change(t, `UPDATE machine_type SET active = false WHERE code = 'GSX-01'`)
	for address, offered := range map[string]bool{"/pengajuan": false, "/pengajuan?tiket=" + ticket: true} {
		r := o.do(t, http.MethodGet, address, nil, map[string]string{"Cookie": pic})
		require.Equal(t, http.StatusOK, r.status)
		require.Equal(t, offered, bytes.Contains(r.body, []byte(`<option value="GSX-01"`)), address)
		require.Contains(t, string(r.body), `<option value="TANPA"`, address)
	}
}

// A check writes nothing that would look at the key once more, so it believes
// nothing that was found a moment ago.
func TestAKeyThatIsRevokedChecksNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.pks(t)
	require.Equal(t, http.StatusAccepted, o.send(t, drops, whole(t), "k-1").status)
	require.Equal(t, http.StatusOK, o.send(t, "/api/v1/checks", whole(t), "").status)
	o.change(t, `UPDATE api_key SET revoked_at = now() WHERE label = 'produsen'`)
	require.Equal(t, http.StatusUnauthorized, o.send(t, "/api/v1/checks", whole(t), "").status)
}
