package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Software finds out what it may name: the machine types in use, and the PKS of its
// own institution.
func TestMasterDataForAKey(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.pks(t)
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE machine_type SET active = false WHERE code = 'TANPA'`)
		return err
	}))
	types := into[struct {
		MachineTypes []struct {
			Code       string
			UsesReader bool   `json:"uses_reader"`
			Pattern    string `json:"sam_pattern"`
		} `json:"machine_types"`
	}](t, o.get(t, "read only", "/api/v1/machine-types")).MachineTypes
	require.Len(t, types, 1, "those in use")
	require.Equal(t, "GSX-01", types[0].Code)
	require.True(t, types[0].UsesReader)
	require.Equal(t, "SAM-[0-9]{6}", types[0].Pattern)

	type pks struct{ Number, Institution, Status string }
	own := func(key string) []pks { return into[struct{ PKS []pks }](t, o.get(t, key, "/api/v1/pks")).PKS }
	require.Equal(t, []pks{{"PKS/1", "PT Bank Contoh", "in_force"}}, own("lembaga"))
	require.Empty(t, own("produsen"), "another's agreements are not told")

	for _, path := range []string{"/api/v1/machine-types", "/api/v1/pks"} {
		require.Equal(t, http.StatusUnauthorized, o.do(t, http.MethodGet, path, nil, nil).status, path)
	}
	for path, name := range map[string]string{
		"/api/v1/machine-types?search=x": "/search", "/api/v1/pks?institution_id=1": "/institution_id", "/api/v1/requests?status=done": "/status",
		"/api/v1/needs?kind=reader": "/kind",
	} {
		bad := o.get(t, "produsen", path)
		require.Equal(t, http.StatusBadRequest, bad.status, path)
		require.Equal(t, map[string]string{name: "unknown_field"}, bad.pointers(), path)
	}
}
