// Package setup makes a database the office's: it migrates, writes the state
// machines, the first master data, and the recipes and templates that come with the
// program, and lets the daemons' roles log in.
package setup

import (
	"context"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/workday"
	"dukcapil.go.id/sifilma/schema"
)

// Machines are all state machines of the office, for the database, the diagrams
// and whoever lists them.
func Machines() []*machine.Table {
	return []*machine.Table{need.Machine, request.Machine, capacity.Machine, recipe.Machine, perso.Machine, handover.Machine, activation.LetterMachine, activation.Machine, release.Machine, letter.Machine, template.Machine}
}

// Roles are the database roles of the daemons, by daemon.
var Roles = map[string]string{
	"intake": "sifilma_intake", "validator": "sifilma_validator", "scheduler": "sifilma_scheduler",
	"perso-station": "sifilma_perso_station", "document-generator": "sifilma_document_generator", "portal": "sifilma_portal",
}

// machineTypes are the reader types that the source documents name, and the
// value of a request without readers (features.md D07, D08). The patterns are
// wide until the office gives the real ones.
var machineTypes = []institution.MachineType{
	{Code: "gsx-01", Name: "Type IdGlobalScan GSX-01", UsesReader: true, SAMPattern: `^[A-Z0-9]{6,20}$`, ReaderPattern: `^[A-Z0-9-]{4,24}$`},
	{Code: "tanpa-mesin", Name: "Tidak menggunakan mesin", UsesReader: false, SAMPattern: `^[A-Z0-9]{6,20}$`, ReaderPattern: `^$`},
}

// Migrate brings the database of owner to this program's schema and master
// data. It can be run again at any time; what staff changed stays.
func Migrate(ctx context.Context, owner postgres.Config) error {
	if err := postgres.MigrateAs(ctx, owner, schema.Migrations()); err != nil {
		return err
	}
	db, err := postgres.Open(owner)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.Expect(schema.Version())
	if err := machine.Sync(ctx, db, Machines()...); err != nil {
		return err
	}
	body, err := configs.Holidays()
	if err != nil {
		return err
	}
	calendar, err := workday.Parse(body)
	if err != nil {
		return fmt.Errorf("setup: shipped holidays: %w", err)
	}
	recipes, err := recipe.FromProgram()
	if err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	templates, err := template.FromProgram()
	if err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		for _, m := range machineTypes {
			if err := institution.SeedMachineType(ctx, tx, m); err != nil {
				return err
			}
		}
		if err := recipe.Ship(ctx, tx, recipes, recipe.Change{OfficeAt: time.Now()}); err != nil {
			return err
		}
		if err := template.Ship(ctx, tx, templates, template.Change{OfficeAt: time.Now()}); err != nil {
			return err
		}
		return capacity.SeedHolidays(ctx, tx, calendar.Holidays)
	})
}
