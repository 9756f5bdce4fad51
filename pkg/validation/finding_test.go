package validation_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/validation"
)

func TestFindingsAreKeptPerSubmission(t *testing.T) {
	t.Parallel()
	db := office(t)
	var id string
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		in, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh"})
		if err != nil {
			return err
		}
		form := good(t, 2).r.Form
		form.Reference, form.Title, form.SAMFunction = "1", "Uji", "R"
		r, err := request.Create(ctx, tx, request.New{
			InstitutionID: in.ID, Form: form, Actor: machine.Actor{Name: "uji", Role: request.Produsen}, OfficeAt: morning,
		})
		id = r.ID
		return err
	}))
	first := []validation.Finding{
		{Code: "a", Severity: validation.Error, Pointer: "/x", Detail: "Satu."}, {Code: "b", Severity: validation.Warning, Pointer: "/y", Detail: "Dua."},
	}
	for _, save := range [][]validation.Finding{nil, first[:1], first} {
		require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return validation.Save(ctx, tx, id, 1, save)
		}))
		got, err := validation.Load(t.Context(), db, id, 1)
		require.NoError(t, err)
		require.Equal(t, len(save), len(got))
	}
	got, err := validation.Load(t.Context(), db, id, 1)
	require.NoError(t, err)
	require.Equal(t, first, got)
	require.Equal(t, "Pemeriksaan berkas menemukan 1 kesalahan. Satu.", validation.Summary(got))
}
