// Package readers is what people do with a surat permohonan aktivasi and its readers, by
// API and by page: each a transaction of the office's function and its audit row. Who may
// do what is said by the machines of package activation.
package readers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/readersheet"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
)

const maxText = 2000 // characters of a reason

// Desk does it.
type Desk struct {
	DB     *postgres.DB
	Office clock.Office
	Spool  *upload.Spool
}

func (d Desk) change(who identity.Account, reason string) request.Change {
	return request.Change{Actor: who.Actor(), Reason: strings.TrimSpace(reason), OfficeAt: d.Office.Now()}
}

// Typed is what somebody wrote of a letter.
type Typed struct {
	activation.Form
	// Lembaga is whose letter a produsen prepares; others' is their own.
	Lembaga string
	Lines   []activation.Line
	Draft   bool
	// Sheet is the workbook that the lines were read from, if they were: faults are told at
	// its cells.
	Sheet *readersheet.Content
}

// entry is what is to be written of a letter, once nothing is wrong with it.
func (d Desk) entry(ctx context.Context, who identity.Account, t *Typed, scan *upload.File, kept bool, wrong form.Faults) (n activation.New, err error) {
	if who.Role == request.Produsen {
		own, err := institution.Get(ctx, d.DB, report.Scope(who))
		if err != nil {
			return n, err
		}
		t.Produsen = own.Name // it installs the manifests itself (features.md N9)
	}
	said := activation.Tidy(&t.Form, t.Lines, t.Draft, clock.Today(d.Office))
	if len(wrong) > 0 && t.Sheet != nil && len(t.Lines) == 0 {
		said = slices.DeleteFunc(said, func(f form.Fault) bool { return f.Pointer == "/lines" }) // the workbook says why
	}
	wrong = append(said, wrong...)
	n = activation.New{LembagaID: report.Scope(who), Form: t.Form, Lines: t.Lines, Draft: t.Draft, By: report.Scope(who)}
	if who.Role == request.Produsen {
		of, err := activation.LembagaOf(ctx, d.DB, t.Lembaga)
		switch {
		case errors.Is(err, activation.ErrUnknownLembaga):
			wrong.Add("/lembaga", "unknown_value", "Pilih lembaga pengguna yang terdaftar.")
		case err != nil:
			return n, err
		}
		n.LembagaID = of.ID
	}
	if scan == nil && !t.Draft && !kept && !has(wrong, "/letter") {
		wrong.Add("/letter", "missing", "Pindaian surat permohonan aktivasi wajib dilampirkan.")
	}
	if t.Produsen != "" {
		in, err := institution.ByName(ctx, d.DB, t.Produsen)
		if errors.Is(err, institution.ErrNotFound) || err == nil && (in.Kind != institution.Produsen || !in.Active) {
			wrong.Add("/produsen", "unknown_value", "Tidak ada produsen dengan nama ini.")
		} else if err != nil {
			return n, err
		}
	}
	types, err := institution.MachineTypes(ctx, d.DB)
	if err != nil {
		return n, err
	}
	var names []string
	for _, m := range types {
		if m.Active && m.UsesReader {
			names = append(names, m.Name)
		}
	}
	for i, l := range t.Lines {
		known := l.MachineType == ""
		for _, m := range types {
			known = known || m.Code == l.MachineType && m.UsesReader
		}
		if !known {
			wrong.Add(fmt.Sprintf("/lines/%d/machine_type", i), "unknown_value", "Jenis reader “%s” tidak ada dalam data induk. Yang dikenal: %s.", l.MachineType, strings.Join(names, ", "))
		}
	}
	if t.Sheet != nil {
		wrong = t.Sheet.Point(wrong)
	}
	return n, wrong.Err()
}

// ReadSheet reads the lines of a letter from a workbook; what is wrong with it is returned
// as faults. The column Jenis Reader may have names or codes.
func (d Desk) ReadSheet(ctx context.Context, t *Typed, list *upload.File) (form.Faults, error) {
	if len(t.Lines) > 0 {
		return form.Faults{{Pointer: "/list", Code: "twice", Detail: "Isi reader pada formulir atau pada daftar Excel, jangan keduanya."}}, nil
	}
	done, err := d.Spool.Turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	c, wrong, err := readersheet.Read(list.Content(), list.Content().Size())
	if err != nil {
		return nil, err
	}
	types, err := institution.MachineTypes(ctx, d.DB)
	if err != nil {
		return nil, err
	}
	for i := range c.Lines {
		for _, m := range types {
			if strings.EqualFold(c.Lines[i].MachineType, m.Name) {
				c.Lines[i].MachineType = m.Code
			}
		}
	}
	t.Lines, t.Sheet = c.Lines, &c
	if len(c.Lines) == 0 { // said already, and no line to say it of again
		t.Lines = []activation.Line{}
	}
	return wrong, nil
}

// Template is the empty workbook of readers.
func (d Desk) Template(ctx context.Context) ([]byte, error) {
	types, err := institution.MachineTypes(ctx, d.DB)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range types {
		if m.Active && m.UsesReader {
			names = append(names, m.Name)
		}
	}
	var b bytes.Buffer
	err = readersheet.Write(&b, nil, names)
	return b.Bytes(), err
}

func has(faults form.Faults, pointer string) bool {
	for _, f := range faults {
		if f.Pointer == pointer {
			return true
		}
	}
	return false
}

// Create takes a letter in, as a draft or submitted, and answers with it as the account
// sees it: again with the same answer when the same comes again under the same key. wrong
// is what is known to be wrong already. Errors: *machine.RoleError, form.Faults,
// activation.ErrNumberUsed, a *web.Problem that tells of the key.
func (d Desk) Create(ctx context.Context, who identity.Account, t Typed, scan *upload.File, key string, wrong form.Faults) (idempotency.Answer, error) {
	var done idempotency.Answer
	verb := activation.VerbSubmit
	if t.Draft {
		verb = activation.VerbDraft
	}
	if err := activation.LetterMachine.May("", verb, who.Role); err != nil {
		return done, err
	}
	n, err := d.entry(ctx, who, &t, scan, false, wrong)
	if err != nil {
		return done, err
	}
	call := idempotency.Call{Client: who.ID, Key: key}
	var files []idempotency.File
	if scan != nil {
		files = append(files, idempotency.File{Kind: "letter", SHA256: scan.SHA256})
	}
	if call.Print, err = idempotency.Print("POST /api/v1/activations", n, files...); err != nil {
		return done, err
	}
	return idempotency.InTx(ctx, d.DB, clock.Real(), call, func(ctx context.Context, tx *postgres.Tx) (idempotency.Answer, error) {
		made, err := d.write(ctx, tx, who, verb, n, scan, func(n activation.New, c request.Change) (activation.Letter, error) {
			return activation.Create(ctx, tx, n, c)
		})
		if err != nil {
			return idempotency.Answer{}, err
		}
		return answer(ctx, tx, who, made)
	})
}

func answer(ctx context.Context, tx *postgres.Tx, who identity.Account, made activation.Letter) (idempotency.Answer, error) {
	v, err := report.SeeActivation(ctx, tx, made.Ticket, who)
	if err != nil {
		return idempotency.Answer{}, err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return idempotency.Answer{}, fmt.Errorf("readers: answer: %w", err)
	}
	return idempotency.Answer{Status: http.StatusCreated, Location: "/api/v1/activations/" + made.Ticket, Body: body}, nil
}

// write keeps the scan, has do write the letter, and puts it on record.
func (d Desk) write(ctx context.Context, tx *postgres.Tx, who identity.Account, verb machine.Verb, n activation.New, scan *upload.File,
	do func(n activation.New, c request.Change) (activation.Letter, error)) (activation.Letter, error) {
	detail := map[string]any{"lines": len(n.Lines)}
	if scan != nil {
		ref, err := blob.Put(ctx, tx, scan.Name, scan.MediaType, scan.Content())
		if err != nil {
			return activation.Letter{}, err
		}
		n.Scan, detail["letter_sha256"] = ref.ID.String(), ref.Hash()
	}
	c := d.change(who, "")
	made, err := do(n, c)
	if err != nil {
		return made, err
	}
	detail["ticket"], detail["number"] = made.Ticket, made.Form.Number
	return made, d.note(ctx, tx, c, string(verb), made, detail)
}

func (d Desk) note(ctx context.Context, tx *postgres.Tx, c request.Change, action string, l activation.Letter, detail map[string]any) error {
	if c.Reason != "" {
		detail["reason"] = c.Reason
	}
	return audit.Record(ctx, tx, audit.Entry{Actor: c.Actor.Name, Action: "activation." + action, Subject: l.ID, Detail: detail})
}

// Find is the letter with this ticket as an account may know of it. Error:
// activation.ErrNotFound.
func (d Desk) Find(ctx context.Context, who identity.Account, ticket string) (activation.Letter, error) {
	l, err := activation.ByTicket(ctx, d.DB, ticket, report.Scope(who))
	trace.Join(ctx, l.TraceParent)
	return l, err
}

// Write changes a draft by activation.VerbEdit, or submits it by VerbSubmit, as the account
// saw it in this version. Nothing typed leaves what the draft says. Errors: those of Create,
// activation.ErrNotFound, *machine.IllegalError, postgres.ErrStale.
func (d Desk) Write(ctx context.Context, who identity.Account, ticket string, version int64, verb machine.Verb, t *Typed, scan *upload.File, wrong form.Faults) error {
	l, err := d.Find(ctx, who, ticket)
	if err == nil {
		err = activation.LetterMachine.May(l.State, verb, who.Role)
	}
	if err == nil && verb == activation.VerbEdit && l.PreparedBy != report.Scope(who) { // before a word is read
		err = &machine.RoleError{Machine: activation.LetterMachine.Name, Verb: verb, Role: who.Role}
	}
	if err != nil {
		return err
	}
	if t == nil {
		lines, err := l.DraftLines()
		if err != nil {
			return fmt.Errorf("readers: draft of %s: %w", l.Ticket, err)
		}
		t = &Typed{Form: l.Form, Lines: lines}
	}
	t.Draft, t.Lembaga = verb == activation.VerbEdit, l.Lembaga
	n, err := d.entry(ctx, who, t, scan, l.Scan != nil, wrong)
	if err != nil {
		return err
	}
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		now, err := d.lock(ctx, tx, who, ticket, version)
		if err != nil {
			return err
		}
		_, err = d.write(ctx, tx, who, verb, n, scan, func(n activation.New, c request.Change) (activation.Letter, error) {
			if verb == activation.VerbSubmit {
				return activation.Submit(ctx, tx, now, n, c)
			}
			return activation.Edit(ctx, tx, now, n, c)
		})
		return err
	})
}

func (d Desk) lock(ctx context.Context, tx *postgres.Tx, who identity.Account, ticket string, version int64) (activation.Letter, error) {
	now, err := activation.Lock(ctx, tx, ticket, report.Scope(who))
	if err == nil && now.Version != version {
		err = postgres.ErrStale
	}
	return now, err
}

// act does something to a letter as the account saw it in this version.
func (d Desk) act(ctx context.Context, who identity.Account, ticket string, version int64, action, reason string, detail map[string]any,
	do func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error) error {
	if _, err := d.Find(ctx, who, ticket); err != nil {
		return err
	}
	var wrong form.Faults
	if wrong.Lines("/reason", "Alasan", &reason, maxText); len(wrong) > 0 {
		return wrong
	}
	c := d.change(who, reason)
	if detail == nil {
		detail = map[string]any{}
	}
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		now, err := d.lock(ctx, tx, who, ticket, version)
		if err != nil {
			return err
		}
		if err := do(ctx, tx, now, c); err != nil {
			return err
		}
		detail["ticket"] = now.Ticket
		return d.note(ctx, tx, c, action, now, detail)
	})
}

// Discard throws a draft away. Errors: activation.ErrNotFound, *machine.RoleError,
// *machine.IllegalError, postgres.ErrStale.
func (d Desk) Discard(ctx context.Context, who identity.Account, ticket string, version int64) error {
	return d.act(ctx, who, ticket, version, string(activation.VerbDiscard), "", nil, func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Discard(ctx, tx, l, report.Scope(who), c)
	})
}
