package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/test/harness"
)

var morning = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// office is the validator's surroundings: its own database and virtual host,
// and a running daemon that works under its own role.
type office struct {
	db *postgres.DB // as the owner
	in institution.Institution
	n  int
}

func TestDefaultConfigurationIsValid(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	code := daemon.Run("validator", []string{"-check-config", "-config", harness.Shipped(t, "validator")}, &out, &errs, nil, defaults, wire)
	require.Zero(t, code, errs.String())
}

func newOffice(t *testing.T) *office {
	t.Helper()
	database := harness.NewDatabase(t)
	o := &office{db: database.Open(t, "")}
	require.NoError(t, machine.Sync(t.Context(), o.db, request.Machine))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		o.in, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh"})
		if err != nil {
			return err
		}
		bank, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "PT Bank Contoh"})
		if err != nil {
			return err
		}
		if err := institution.EnsurePKS(ctx, tx, institution.PKS{Number: "PKS/1", InstitutionID: bank.ID, State: "in_force",
			ValidFrom: clock.MustParseDate("2025-01-01"), ValidTo: clock.MustParseDate("2027-12-31")}); err != nil {
			return err
		}
		return institution.SeedMachineType(ctx, tx, institution.MachineType{
			Code: "GSX-01", Name: "GSX-01", UsesReader: true, SAMPattern: `SAM-[0-9]{6}`, ReaderPattern: `R-[0-9]{6}`,
		})
	})
	d := &harness.Daemon{Postgres: database.Config(t, "sifilma_validator"), Rabbit: harness.NewVhost(t).Config("validator")}
	d.Start(t, morning, func(args []string, log io.Writer, signals <-chan os.Signal) int {
		return daemon.Run("validator", args, io.Discard, log, signals, defaults, wire)
	})
	return o
}

func (o *office) tx(t *testing.T, f func(ctx context.Context, tx *postgres.Tx) error) {
	t.Helper()
	require.NoError(t, o.db.InTx(t.Context(), f))
}

func (o *office) form() request.Form {
	o.n++
	return request.Form{
		Kind: request.KindReader, Reference: fmt.Sprint(o.n), Title: "Uji", SAMFunction: "R", CardCount: 3,
		MachineType: "GSX-01", PKSNumber: "PKS/1",
		Letter: request.Letter{Sender: "PT Produsen Contoh", Post: "Direktur", Number: "1", Date: clock.DateOf(morning), Subject: "Permohonan"},
		Lines:  []request.Line{{Lembaga: "PT Bank Contoh", Quantity: 3}},
		Orders: []request.PurchaseOrder{{Number: "PO-1", From: "PT Bank Contoh", To: "PT. Produsen Contoh", ReaderCount: 3}},
	}
}

// cards are n rows from a serial number on.
func cards(from, n int) []cardlist.Row {
	var rows []cardlist.Row
	for i := range n {
		rows = append(rows, cardlist.Row{
			Row: i + 1, Serial: fmt.Sprintf("SAM-%06d", from+i), ReaderSerial: fmt.Sprintf("R-%06d", from+i), Kind: "SAM",
		})
	}
	return rows
}

func sheet(t *testing.T, rows []cardlist.Row) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, cardlist.WriteSheet(&b, rows))
	return b.Bytes()
}

func file(ctx context.Context, tx *postgres.Tx, list []byte) ([]request.File, error) {
	ref, err := blob.Put(ctx, tx, "daftar.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", bytes.NewReader(list))
	return []request.File{{Kind: request.FileCardList, BlobID: ref.ID.String(), Name: "daftar.xlsx"}}, err
}

var produsen = machine.Actor{Name: "PT Produsen Contoh", Role: request.Produsen}

// submit drops a request as the intake does; the daemon's own relay rings the
// bell.
func (o *office) submit(t *testing.T, form request.Form, list []byte) (r request.Request) {
	t.Helper()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		files, err := file(ctx, tx, list)
		if err != nil {
			return err
		}
		r, err = request.Create(ctx, tx, request.New{InstitutionID: o.in.ID, Form: form, Files: files, Actor: produsen, OfficeAt: morning})
		return err
	})
	return r
}

// judged waits until the request was judged.
func (o *office) judged(t *testing.T, id string) (request.Request, []validation.Finding) {
	t.Helper()
	var r request.Request
	require.Eventually(t, func() bool {
		var err error
		r, err = request.Get(t.Context(), o.db, id)
		return err == nil && r.State != request.Submitted && r.State != request.Resubmitted
	}, 30*time.Second, 20*time.Millisecond)
	found, err := validation.Load(t.Context(), o.db, id, r.Submission)
	require.NoError(t, err)
	return r, found
}

func TestSubmissionsAreJudged(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()

	good := o.submit(t, o.form(), sheet(t, cards(1, 3)))
	r, found := o.judged(t, good.ID)
	require.Equal(t, request.Validated, r.State, "%v", found)
	require.Empty(t, found)
	list, err := cardlist.List(ctx, o.db, good.ID)
	require.NoError(t, err)
	require.Len(t, list, 3)
	facts, err := request.Facts(ctx, o.db, good.ID)
	require.NoError(t, err)
	require.Len(t, facts, 1)
	require.Equal(t, request.FactValidated, facts[0].Fact)

	// A later request with a serial of the first.
	other := o.submit(t, o.form(), sheet(t, cards(3, 3)))
	r, found = o.judged(t, other.ID)
	require.Equal(t, request.Returned, r.State)
	require.Len(t, found, 2)
	require.Equal(t, "serial_in_use daftar!Daftar!B2", found[0].Code+" "+found[0].Pointer)
	require.Equal(t, "reader_serial_in_use daftar!Daftar!C2", found[1].Code+" "+found[1].Pointer)

	// Its correction keeps the ticket and is judged anew.
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		files, err := file(ctx, tx, sheet(t, cards(4, 3)))
		if err != nil {
			return err
		}
		now, err := request.Lock(ctx, tx, other.ID)
		if err != nil {
			return err
		}
		_, err = request.Correct(ctx, tx, now, o.form(), files, request.Change{Actor: produsen, OfficeAt: morning})
		return err
	})
	r, found = o.judged(t, other.ID)
	require.Equal(t, request.Validated, r.State, "%v", found)
	require.Equal(t, 2, r.Submission)
	require.Equal(t, other.Ticket, r.Ticket)
	before, err := validation.Load(ctx, o.db, other.ID, 1)
	require.NoError(t, err)
	require.Len(t, before, 2, "what was found in the first submission stays to be read")
}

func TestAFileThatCannotBeReadIsAFinding(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	whole := sheet(t, cards(1, 3))
	ids := map[string]string{}
	for name, list := range map[string][]byte{
		"list_not_workbook": []byte("\x7fELF\x00\x01"), "list_damaged": whole[:len(whole)/2], "list_plain_text": []byte("No.,Seri\n1,2\n"),
	} {
		ids[name] = o.submit(t, o.form(), list).ID
	}
	good := o.submit(t, o.form(), whole)
	for code, id := range ids {
		r, found := o.judged(t, id)
		require.Equal(t, request.Returned, r.State, code)
		require.Len(t, found, 1, code)
		require.Equal(t, code, found[0].Code)
	}
	r, _ := o.judged(t, good.ID)
	require.Equal(t, request.Validated, r.State, "its neighbours in the queue are judged")
	shelf, err := rabbit.OpenShelf(t.Context(), o.db)
	require.NoError(t, err)
	require.Empty(t, shelf)
}

func TestTheLastOfFourFactsRegisters(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	form := o.form()
	var id string
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		files, err := file(ctx, tx, sheet(t, cards(1, 3)))
		if err != nil {
			return err
		}
		r, err := request.Create(ctx, tx, request.New{InstitutionID: o.in.ID, Form: form, Files: files, Actor: produsen, OfficeAt: morning})
		if err != nil {
			return err
		}
		id = r.ID
		for fact, detail := range map[string]map[string]any{
			request.FactLetterReceived: {"received_on": "2026-11-23"}, request.FactBlanksCounted: {"count": 3}, request.FactCompared: {},
		} {
			role := request.Persuratan
			if fact == request.FactCompared {
				role = request.Operator
			}
			if _, err := request.State(ctx, tx, id, fact, detail, request.Change{Actor: machine.Actor{Name: "uji", Role: role}, OfficeAt: morning}); err != nil {
				return err
			}
		}
		return nil
	})
	r, found := o.judged(t, id)
	require.Equal(t, request.Registered, r.State, "%v", found)
}

// TestCardsOfTheOldRegister: a request with a card or a reader that was issued
// before day one is returned, and says so down to the cell.
func TestCardsOfTheOldRegister(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	registertest.Put(t, o.db, register.Entry{Row: 1, Serial: "SAM-000002"}, register.Entry{Row: 2, ReaderSerial: "R-000003"})
	r, found := o.judged(t, o.submit(t, o.form(), sheet(t, cards(1, 3))).ID)
	require.Equal(t, request.Returned, r.State)
	var got []string
	for _, f := range found {
		got = append(got, f.Code+" "+f.Pointer)
	}
	require.Equal(t, []string{"serial_personalised daftar!Daftar!B3", "reader_serial_issued daftar!Daftar!C4"}, got)
	r, found = o.judged(t, o.submit(t, o.form(), sheet(t, cards(4, 3))).ID)
	require.Equal(t, request.Validated, r.State, "%v", found)
}

func TestManyAtOnceWithOneSharedSerial(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const n = 12
	var ids []string
	for i := range n {
		list := cards(100+10*i, 3)
		list[1].Serial = "SAM-000001"
		ids = append(ids, o.submit(t, o.form(), sheet(t, list)).ID)
	}
	validated := 0
	for _, id := range ids {
		r, found := o.judged(t, id)
		if r.State == request.Validated {
			validated++
			continue
		}
		require.Equal(t, "serial_in_use", found[0].Code)
	}
	require.Equal(t, 1, validated)
	var live int
	require.NoError(t, o.db.Get(t.Context(), &live, `SELECT count(*) FROM live_serial`))
	require.Equal(t, 3, live, "returned requests hold no serials")
}
