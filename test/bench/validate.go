package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

const (
	validateName = "bench_validate"
	// validateVariable holds the task of a process of its own, in which one side
	// runs, so that its memory is its own.
	validateVariable = "SIFILMA_BENCH_VALIDATE"
	validateRows     = 100_000
	validateFew      = 250
	validateAgain    = 25   // readings of the few, of which the median counts
	fewPromise       = 20.0 // ms
)

// validateTask is what such a process does: "all" is reading a list and every
// rule, with the database; "excelize" is excelize's Rows on the same file.
type validateTask struct {
	Side     string          `json:"side"`
	File     string          `json:"file"`
	Rows     int             `json:"rows"`
	Again    int             `json:"again"`
	Database postgres.Config `json:"database"`
}

// validateResult is what it prints.
type validateResult struct {
	MS float64 `json:"ms"`
	MB float64 `json:"mb"` // largest resident memory of the process
}

func benchValidate(ctx context.Context, g *ground) (err error) {
	db, err := g.freshDatabase(ctx, validateName)
	if err != nil {
		return err
	}
	if err := errors.Join(seedValidate(ctx, db), db.Close()); err != nil {
		return err
	}
	files := map[int]string{}
	for _, rows := range []int{validateRows, validateFew} {
		files[rows] = filepath.Join(g.dir, fmt.Sprintf("bench-%d.xlsx", rows))
		if err := writeList(files[rows], rows); err != nil {
			return err
		}
	}
	task := func(side string, rows, again int) validateTask {
		return validateTask{Side: side, File: files[rows], Rows: rows, Again: again, Database: g.postgresConfig(validateName)}
	}
	memory := []result{{name: "validate"}, {name: "excelize-rows"}}
	times, err := g.takeTurns(ctx, "validate",
		side{"validate", func(ctx context.Context) (float64, error) {
			r, err := validateAlone(ctx, task("all", validateRows, 1))
			memory[0].values = append(memory[0].values, r.MB)
			return r.MS, err
		}},
		side{"excelize-rows", func(ctx context.Context) (float64, error) {
			r, err := validateAlone(ctx, task("excelize", validateRows, 1))
			memory[1].values = append(memory[1].values, r.MB)
			return r.MS, err
		}},
		side{"validate-250", func(ctx context.Context) (float64, error) {
			r, err := validateAlone(ctx, task("all", validateFew, validateAgain))
			return r.MS, err
		}})
	if err != nil {
		return err
	}
	compare(os.Stdout, "validate", "ms", times[0], times[1])
	compare(os.Stdout, "validate-memory", "MB", memory[0], memory[1])
	compare(os.Stdout, "validate-250", "ms", times[2], limit("promise", fewPromise))
	return nil
}

// seedValidate gives the rules their master data.
func seedValidate(ctx context.Context, db *postgres.DB) error {
	if err := machine.Sync(ctx, db, request.Machine); err != nil {
		return err
	}
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		bank, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "PT Bank Contoh"})
		if err != nil {
			return err
		}
		if err := institution.EnsurePKS(ctx, tx, institution.PKS{
			Number: "PKS/1", InstitutionID: bank.ID, State: "in_force",
			ValidFrom: clock.MustParseDate("2025-01-01"), ValidTo: clock.MustParseDate("2027-12-31"),
		}); err != nil {
			return err
		}
		return institution.SeedMachineType(ctx, tx, institution.MachineType{
			Code: "GSX-01", Name: "GSX-01", UsesReader: true, SAMPattern: `SAM-[0-9]{6}`, ReaderPattern: `R-[0-9]{6}`,
		})
	})
}

// writeList writes a list as the template has it, with shared strings as Excel
// writes them.
func writeList(path string, n int) error {
	rows := make([]cardlist.Row, n)
	for i := range rows {
		rows[i] = cardlist.Row{Row: i + 1, Serial: fmt.Sprintf("SAM-%06d", i), ReaderSerial: fmt.Sprintf("R-%06d", i), Kind: "GSX-01"}
	}
	var b bytes.Buffer
	if err := cardlist.WriteSheet(&b, rows); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// validateAlone runs one side in a process of its own.
func validateAlone(ctx context.Context, task validateTask) (r validateResult, err error) {
	text, err := json.Marshal(task)
	if err != nil {
		return r, err
	}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), validateVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

// validateChild is the process.
func validateChild(text string) {
	r, err := validateHere(context.Background(), text)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: validate:", err)
		os.Exit(1)
	}
}

func validateHere(ctx context.Context, text string) (r validateResult, err error) {
	var task validateTask
	if err := json.Unmarshal([]byte(text), &task); err != nil {
		return r, err
	}
	work := func() error { return excelizeRows(task.File, task.Rows) }
	if task.Side == "all" {
		db, err := postgres.Open(task.Database)
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		var one int
		if err := db.Get(ctx, &one, `SELECT 1`); err != nil { // the validator has its connections
			return r, err
		}
		work = func() error { return validateAll(ctx, db, task.File, task.Rows) }
	}
	var took []float64
	for range task.Again {
		began := time.Now()
		if err := work(); err != nil {
			return r, err
		}
		took = append(took, float64(time.Since(began).Microseconds())/1000)
	}
	slices.Sort(took)
	r.MS = took[len(took)/2]
	r.MB, _ = resident(os.Getpid(), "VmHWM")
	return r, nil
}

// validateAll reads a list and judges it by every rule, as the validator does
// before it stores anything.
func validateAll(ctx context.Context, db postgres.Reader, path string, n int) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	limits := xlsx.Limits{FileBytes: 64 << 20, UnzippedBytes: 256 << 20, PartBytes: 128 << 20, Rows: n + 1}
	list, err := validation.ReadListWithin(f, info.Size(), limits, n)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	found, err := validation.Check(ctx, db, request.Request{
		ID: id.String(), Institution: "PT Produsen Contoh",
		Form: request.Form{
			Kind: request.KindReader, CardCount: n, MachineType: "GSX-01", PKSNumber: "PKS/1",
			Letter: request.Letter{Date: clock.MustParseDate("2026-11-20")},
			Lines:  []request.Line{{Lembaga: "PT Bank Contoh", Quantity: n}},
			Orders: []request.PurchaseOrder{{Number: "PO", From: "PT Bank Contoh", To: "PT Produsen Contoh", ReaderCount: n}},
		},
	}, list, clock.MustParseDate("2026-11-23"))
	if err != nil {
		return err
	}
	if len(found) > 0 || list.Len() != n {
		return fmt.Errorf("%d rows, %d findings: %v", list.Len(), len(found), found[:min(1, len(found))])
	}
	return nil
}

// excelizeRows walks the rows of a list with excelize and does nothing with them.
func excelizeRows(path string, n int) (err error) {
	f, err := excelize.OpenFile(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	rows, err := f.Rows(cardlist.Sheet)
	if err != nil {
		return err
	}
	count := 0
	for rows.Next() {
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		if len(columns) > 3 {
			count++
		}
	}
	if count != n+1 {
		return fmt.Errorf("excelize saw %d rows instead of %d", count, n+1)
	}
	return rows.Close()
}
