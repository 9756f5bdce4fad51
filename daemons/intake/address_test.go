package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// A key that is bound to addresses: what a proxy on this machine says counts, and
// what was believed a moment ago is no way around it.
func TestAKeyIsGoodFromItsOwnAddressesOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE api_key SET networks = '{203.0.113.0/24,2001:db8::/32}' WHERE label = 'produsen'`)
	}))
	ask := func(method, path, from string) reply {
		header := map[string]string{"Authorization": "Bearer " + o.key}
		if from != "" {
			header["X-Forwarded-For"] = from
		}
		return o.do(t, method, path, nil, header)
	}
	for range 2 {
		for from, status := range map[string]int{
			"203.0.113.7": 200, "2001:db8::1": 200, "192.0.2.1, 203.0.113.8": 200, "203.0.113.8, 192.0.2.1": 403, "203.0.114.1": 403, "": 403,
		} {
			require.Equal(t, status, ask(http.MethodGet, "/api/v1/requests", from).status, from)
			if status == 403 { // a drop without a body: refused for its key first
				got := ask(http.MethodPost, drops, from)
				require.Equal(t, 403, got.status, from)
				require.Contains(t, string(got.body), "urn:sifilma:problem:key-address", from)
			} else {
				require.NotEqual(t, 403, ask(http.MethodPost, drops, from).status, from)
			}
		}
	}
	var told []string
	require.NoError(t, o.db.Select(t.Context(), &told, `SELECT DISTINCT actor FROM audit WHERE action = 'api_key.refuse'`))
	require.Equal(t, []string{"PT Produsen Contoh"}, told)
	var from string
	require.NoError(t, o.db.Get(t.Context(), &from, `SELECT last_used_from FROM api_key WHERE label = 'produsen'`))
	require.Contains(t, []string{"203.0.113.7", "203.0.113.8", "2001:db8::1"}, from, "a refused use is no use")
	require.NotContains(t, o.daemon.Log(), o.key[40:])
}

// A machine type that is out of use is not for new requests.
func TestAMachineTypeOutOfUse(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE machine_type SET active = false WHERE code = 'GSX-01'`)
	}))
	got := o.send(t, drops, whole(t), "k-1")
	require.Equal(t, http.StatusUnprocessableEntity, got.status)
	require.Contains(t, string(got.body), `"code":"inactive"`)
	require.Zero(t, o.count(t, "request"))
}

// Whoever was told a ticket is told it again, though what the drop names has gone
// out of use since; nobody changes over to what is out of use.
func TestAMachineTypeGoesOutOfUse(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first := o.send(t, drops, whole(t), "k-1")
	require.Equal(t, http.StatusAccepted, first.status)
	other := whole(t)
	other.form["reference"] = "002"
	second := o.send(t, drops, other, "k-2")
	asked := o.send(t, needs, ask("AKT-1"), "n-1", o.as("lembaga"))
	require.Equal(t, http.StatusCreated, asked.status)
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if err := institution.SeedMachineType(ctx, tx, institution.MachineType{
			Code: "GSX-00", Name: "GSX-00", UsesReader: true, SAMPattern: `SAM-[0-9]{6}`, ReaderPattern: `R-[0-9]{6}`,
		}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE machine_type SET active = false`); err != nil {
			return err
		}
		r, err := request.Lock(ctx, tx, second.ID)
		if err != nil {
			return err
		}
		_, err = request.Take(ctx, tx, r, request.Return, request.Change{
			Actor: machine.Actor{Name: "validator", Role: request.Validator}, Reason: "Sel B2: nomor seri kosong.", OfficeAt: morning,
		})
		return err
	}))
	o.start(t, o.daemon.Postgres, nil) // another intake, which remembers nothing of the master data

	again := o.send(t, drops, whole(t), "k-1")
	require.Equal(t, http.StatusAccepted, again.status, string(again.body))
	require.Equal(t, first.Ticket, again.Ticket)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	third := whole(t)
	third.form["reference"] = "003"
	require.Equal(t, http.StatusUnprocessableEntity, o.send(t, drops, third, "k-3").status)
	askedAgain := o.send(t, needs, ask("AKT-1"), "n-1", o.as("lembaga"))
	require.Equal(t, http.StatusCreated, askedAgain.status, string(askedAgain.body))
	require.Equal(t, "true", askedAgain.header.Get("Idempotency-Replayed"))

	version := map[string]string{"If-Match": `"2"`}
	other.form["machine_type"] = "GSX-00"
	changed := o.send(t, second.StatusURL+"/resubmission", other, "k-4", version)
	require.Equal(t, http.StatusUnprocessableEntity, changed.status, "another type that is out of use")
	other.form["machine_type"] = "GSX-01"
	kept := o.send(t, second.StatusURL+"/resubmission", other, "k-5", version)
	require.Equal(t, http.StatusAccepted, kept.status, string(kept.body))
}
