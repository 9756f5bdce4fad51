package up

import (
	"context"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/schema"
)

// Login is an account of this run: its password is new at each run and is kept
// nowhere.
type Login struct {
	Username string       `json:"username"`
	Name     string       `json:"name"`
	Role     machine.Role `json:"role"`
	Password string       `json:"password"`
}

// Cast is who can sign in, and the produsen's API key.
type Cast struct {
	Produsen string  `json:"produsen"`
	Lembaga  string  `json:"lembaga"`
	PKS      string  `json:"pks"`
	APIKey   string  `json:"api_key"`
	Logins   []Login `json:"logins"`
}

const (
	produsenName = "PT Produsen Contoh"
	lembagaName  = "PT Bank Contoh Nusantara"
	pksNumber    = "119/4051/DUKCAPIL/2026"
	keyLife      = 30 * 24 * time.Hour
)

// signatories are officials by their posts; the office puts the names in.
var signatories = []letter.Signatory{
	{PostCode: "dirjen", Name: "Pejabat Direktur Jenderal (contoh)", NIP: "000000000000000001", Post: "Direktur Jenderal Kependudukan dan Pencatatan Sipil"},
	{PostCode: "direktur_fpddk", Name: "Pejabat Direktur FPDDK (contoh)", NIP: "000000000000000002",
		Post: "Direktur Fasilitasi Pemanfaatan Data dan Dokumen Kependudukan"},
	{PostCode: "kasubdit_ki", Name: "Pejabat Kasubdit KI (contoh)", NIP: "000000000000000003", Post: "Kepala Subdirektorat Keamanan Informasi"},
}

// invite makes the sample institutions, officials and accounts, with new
// passwords and a new API key, and keys for the secrets of cards in dir.
func invite(ctx context.Context, owner postgres.Config, dir string) (Cast, error) {
	cast := Cast{Produsen: produsenName, Lembaga: lembagaName, PKS: pksNumber, Logins: []Login{
		{Username: "pic-produsen", Name: "PIC Produsen Contoh", Role: request.Produsen},
		{Username: "lembaga", Name: "Petugas Lembaga Contoh", Role: request.Lembaga},
		{Username: "persuratan", Name: "Petugas Persuratan", Role: request.Persuratan},
		{Username: "operator", Name: "Operator KI", Role: request.Operator},
		{Username: "kasubdit", Name: "Kasubdit KI", Role: request.Kasubdit},
		{Username: "direktur", Name: "Direktur FPDDK", Role: request.Direktur},
		{Username: "dirjen", Name: "Direktur Jenderal", Role: request.Dirjen},
	}}
	db, err := postgres.Open(owner)
	if err != nil {
		return cast, err
	}
	defer func() { _ = db.Close() }()
	db.Expect(schema.Version())
	var produsen, lembaga institution.Institution
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		produsen, err = institution.Ensure(ctx, tx, institution.Institution{
			Kind: institution.Produsen, Name: produsenName, Representative: "PIC Produsen Contoh", Post: "PIC Produsen",
			Address: "Jl. Contoh Industri No. 1, Jakarta Selatan",
		})
		if err != nil {
			return err
		}
		lembaga, err = institution.Ensure(ctx, tx, institution.Institution{
			Kind: institution.Lembaga, Name: lembagaName, Representative: "Pimpinan Lembaga Contoh", Post: "Direktur Utama",
			Address: "Jl. Contoh Perbankan No. 2, Jakarta Pusat",
		})
		if err != nil {
			return err
		}
		// The sample's clock may run through years in a night, and without a PKS in
		// force on the day nothing is accepted.
		if err := institution.EnsurePKS(ctx, tx, institution.PKS{
			Number: pksNumber, InstitutionID: lembaga.ID, State: institution.PKSInForce,
			ValidFrom: clock.MustParseDate("2025-01-01"), ValidTo: clock.MustParseDate("2099-12-31"),
		}); err != nil {
			return err
		}
		for _, s := range signatories {
			s.Address = "Jl. Raya Pasar Minggu Km. 19, Jakarta Selatan 12072"
			s.ValidFrom = clock.MustParseDate("2025-01-01")
			if err := letter.SeedSignatory(ctx, tx, s); err != nil {
				return err
			}
		}
		cast.APIKey, err = identity.NewAPIKey(ctx, tx, produsen.ID, "kantor satu komputer",
			[]string{identity.ScopeRequestWrite, identity.ScopeRequestRead}, time.Now().Add(keyLife))
		return err
	})
	if err == nil {
		err = secretKeys(ctx, db, dir, produsen.ID)
	}
	if err != nil {
		return cast, err
	}
	for i := range cast.Logins {
		l := &cast.Logins[i]
		if l.Password, err = newPassword(); err != nil {
			return cast, err
		}
		a := identity.Account{Username: l.Username, Name: l.Name, Role: l.Role}
		switch l.Role {
		case request.Produsen:
			a.InstitutionID = &produsen.ID
		case request.Lembaga:
			a.InstitutionID = &lembaga.ID
		}
		if err := identity.SetAccount(ctx, db, a, l.Password); err != nil {
			return cast, err
		}
	}
	return cast, nil
}
