package readers

import (
	"context"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Verbs are those that can be done to several lines at once, by the last part of their
// address.
var Verbs = map[string]machine.Verb{
	"registration": activation.VerbRegister, "approval": activation.VerbApprove, "disposition": activation.VerbDispose, "acceptance": activation.VerbAccept,
	"return": activation.VerbReturn, "rejection": activation.VerbReject, "cancellation": activation.VerbCancel, "installation": activation.VerbInstall,
	"suspension": activation.VerbSuspend, "resumption": activation.VerbResume, "revocation": activation.VerbRevoke, "loss": activation.VerbLost, "theft": activation.VerbStolen,
}

// Dated are the verbs that tell of a day, and what that day is called.
var Dated = map[machine.Verb]string{
	activation.VerbRegister: "Tanggal surat fisik diterima", activation.VerbDispose: "Tanggal disposisi diterima", activation.VerbInstall: "Tanggal pemasangan",
}

// Step is what somebody does to lines of a letter.
type Step struct {
	Lines  []int  `json:"lines"` // their numbers; none means all that the step can be done to, where it does not end them
	Reason string `json:"reason"`
	On     string `json:"on"` // of a verb of Dated
}

// Take does a verb of Verbs to lines of a letter, as the account saw it in this version.
// Errors: activation.ErrNotFound, form.Faults, postgres.ErrStale and those of the
// functions of package activation.
func (d Desk) Take(ctx context.Context, who identity.Account, ticket string, version int64, verb machine.Verb, s Step) error {
	l, err := d.Find(ctx, who, ticket)
	if err == nil {
		_, err = activation.Chosen(ctx, d.DB, l, s.Lines, verb, who.Role)
	}
	if err != nil {
		return err
	}
	var wrong form.Faults
	if len(s.Lines) == 0 && (activation.Ends(verb) || verb == activation.VerbCancel) { // for good: nobody is to end all of a letter by leaving a choice out
		wrong.Add("/lines", "missing", "Pilih reader yang dimaksud.")
	}
	on := d.day(&wrong, verb, s.On, l)
	if err := wrong.Err(); err != nil {
		return err
	}
	detail := map[string]any{}
	if len(s.Lines) > 0 {
		detail["lines"] = s.Lines
	}
	return d.act(ctx, who, ticket, version, string(verb), s.Reason, detail, func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return do(ctx, tx, l, verb, s.Lines, on, c)
	})
}

// day reads the day of a verb that has one. The day of the letter on paper may be left out
// once it is known.
func (d Desk) day(wrong *form.Faults, verb machine.Verb, text string, l activation.Letter) *clock.Date {
	label, dated := Dated[verb]
	text = strings.TrimSpace(text)
	if !dated || verb == activation.VerbRegister && text == "" && l.ReceivedOn != nil {
		return nil
	}
	on, err := clock.ParseDate(text)
	switch {
	case text == "":
		wrong.Add("/on", "missing", "%s wajib diisi.", label)
	case err != nil:
		wrong.Add("/on", "wrong_type", "%s harus berbentuk TTTT-BB-HH, seperti 2026-11-23.", label)
	case on.After(clock.Today(d.Office)):
		wrong.Add("/on", "in_future", "%s tidak boleh setelah hari ini.", label)
	case on.Before(l.Date):
		wrong.Add("/on", "too_early", "%s tidak boleh sebelum tanggal suratnya, %s.", label, terbilang.FormatDate(l.Date))
	}
	return &on
}

func do(ctx context.Context, tx *postgres.Tx, l activation.Letter, verb machine.Verb, lines []int, on *clock.Date, c request.Change) error {
	switch verb {
	case activation.VerbRegister:
		if on != nil && (l.ReceivedOn == nil || *l.ReceivedOn != *on) {
			if err := activation.Receive(ctx, tx, l, *on, c); err != nil {
				return err
			}
			l.ReceivedOn = on
		}
		return activation.Register(ctx, tx, l, lines, c)
	case activation.VerbApprove:
		return activation.Approve(ctx, tx, l, lines, c)
	case activation.VerbDispose:
		return activation.Dispose(ctx, tx, l, lines, *on, c)
	case activation.VerbAccept:
		return activation.Accept(ctx, tx, l, lines, c)
	case activation.VerbReturn:
		return activation.Return(ctx, tx, l, lines, c)
	case activation.VerbReject:
		return activation.Reject(ctx, tx, l, lines, c)
	case activation.VerbCancel:
		return activation.Cancel(ctx, tx, l, lines, c)
	case activation.VerbInstall:
		return activation.Install(ctx, tx, l, lines, *on, c)
	case activation.VerbSuspend:
		return activation.Suspend(ctx, tx, l, lines, c)
	case activation.VerbResume:
		return activation.Resume(ctx, tx, l, lines, c)
	default:
		return activation.End(ctx, tx, l, lines, verb, c)
	}
}

// Corrected is a line that was returned, as it is sent in again.
type Corrected struct {
	Number int `json:"line"`
	activation.Line
}

// Correct sends returned lines in again, as the account saw their letter in this version.
// Errors: form.Faults, activation.ErrNotFound, *machine.RoleError, *machine.IllegalError,
// postgres.ErrStale.
func (d Desk) Correct(ctx context.Context, who identity.Account, ticket string, version int64, lines []Corrected) error {
	if _, err := d.Find(ctx, who, ticket); err != nil {
		return err
	}
	if err := activation.Machine.MayEver(activation.VerbResubmit, who.Role); err != nil {
		return err
	}
	types, err := institution.MachineTypes(ctx, d.DB)
	if err != nil {
		return err
	}
	var wrong form.Faults
	if len(lines) == 0 {
		wrong.Add("/lines", "missing", "Sebutkan sekurangnya satu baris yang diperbaiki.")
	}
	to := map[int]activation.Line{}
	var numbers []int
	for i := range lines {
		at := fmt.Sprintf("/lines/%d", i)
		wrong = append(wrong, activation.TidyLine(at, &lines[i].Line)...)
		if _, twice := to[lines[i].Number]; twice {
			wrong.Add(at+"/line", "repeated", "Baris %d disebut lebih dari satu kali.", lines[i].Number)
		}
		known := lines[i].MachineType == ""
		for _, m := range types {
			known = known || m.Code == lines[i].MachineType && m.UsesReader
		}
		if !known {
			wrong.Add(at+"/machine_type", "unknown_value", "Jenis reader ini tidak ada dalam data induk.")
		}
		to[lines[i].Number] = lines[i].Line
		numbers = append(numbers, lines[i].Number)
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	return d.act(ctx, who, ticket, version, string(activation.VerbResubmit), "", map[string]any{"lines": numbers},
		func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
			return activation.Correct(ctx, tx, l, to, c)
		})
}

// Place is where a reader stands, or which reader comes there instead.
type Place struct {
	Reader  string `json:"reader_serial"`
	Address string `json:"address"`
	Region  string `json:"region"`
	Reason  string `json:"reason"`
}

// Move records that the reader of a line stands elsewhere; Replace, that its card went into
// another one. Errors: as those of Take.
func (d Desk) Move(ctx context.Context, who identity.Account, ticket string, version int64, number int, to Place) error {
	return d.place(ctx, who, ticket, version, activation.VerbMove, number, to, func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Move(ctx, tx, l, number, strings.TrimSpace(to.Address), strings.TrimSpace(to.Region), c)
	})
}

// Replace is described at Move.
func (d Desk) Replace(ctx context.Context, who identity.Account, ticket string, version int64, number int, to Place) error {
	return d.place(ctx, who, ticket, version, activation.VerbReplace, number, to, func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		_, err := activation.Replace(ctx, tx, l, number, activation.Replacement{
			Reader: cardlist.Normalise(to.Reader), Address: strings.TrimSpace(to.Address), Region: strings.TrimSpace(to.Region),
		}, c)
		return err
	})
}

func (d Desk) place(ctx context.Context, who identity.Account, ticket string, version int64, verb machine.Verb, number int, to Place,
	do func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error) error {
	l, err := d.Find(ctx, who, ticket)
	var chosen []activation.Activation
	if err == nil {
		chosen, err = activation.Chosen(ctx, d.DB, l, []int{number}, verb, who.Role)
	}
	if err != nil {
		return err
	}
	var wrong form.Faults
	wrong.Need("/address", "Alamat penempatan", &to.Address, 200)
	wrong.Need("/region", "Wilayah penggunaan", &to.Region, 200)
	detail := map[string]any{"line": number, "address": to.Address, "region": to.Region}
	if verb == activation.VerbReplace {
		if err := d.newReader(ctx, &wrong, chosen[0], to.Reader); err != nil {
			return err
		}
		detail["reader_serial"] = cardlist.Normalise(to.Reader)
	}
	if strings.TrimSpace(to.Reason) == "" {
		wrong.Add("/reason", "missing", "Alasan wajib diisi.")
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	return d.act(ctx, who, ticket, version, string(verb), to.Reason, detail, do)
}

// newReader checks the serial of the reader that a card goes into instead.
func (d Desk) newReader(ctx context.Context, wrong *form.Faults, of activation.Activation, serial string) error {
	wrong.Need("/reader_serial", "Nomor seri reader pengganti", &serial, 64)
	m, err := institution.MachineTypeByCode(ctx, d.DB, of.MachineType)
	if err != nil || serial == "" {
		return err
	}
	if pattern, err := institution.WholeMatch(m.ReaderPattern); err != nil || !pattern.MatchString(cardlist.Normalise(serial)) {
		wrong.Add("/reader_serial", "wrong_form", "Nomor seri reader tidak sesuai bentuk nomor seri %s.", m.Name)
	}
	return nil
}

// Pair records into which readers cards went whose list did not say. Errors:
// *machine.RoleError, form.Faults.
func (d Desk) Pair(ctx context.Context, who identity.Account, pairs []activation.Pair) error {
	if err := activation.MayPair(who.Role); err != nil {
		return err
	}
	var wrong form.Faults
	switch {
	case len(pairs) == 0:
		wrong.Add("/pairs", "missing", "Isi sekurangnya satu pasangan kartu dan reader.")
	case len(pairs) > activation.MostPairs:
		return form.One("/pairs", "too_many", fmt.Sprintf("Paling banyak %d pasangan sekaligus.", activation.MostPairs))
	}
	for i := range pairs {
		at := fmt.Sprintf("/pairs/%d", i)
		wrong.Need(at+"/sam_serial", "Nomor seri kartu SAM", &pairs[i].SAM, 64)
		wrong.Need(at+"/reader_serial", "Nomor seri reader", &pairs[i].Reader, 64)
		pairs[i].SAM, pairs[i].Reader = cardlist.Normalise(pairs[i].SAM), cardlist.Normalise(pairs[i].Reader)
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	c := d.change(who, "")
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := activation.RecordPairs(ctx, tx, report.Scope(who), pairs, c); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "activation.pair", Subject: who.ID, Detail: map[string]any{"pairs": pairs}})
	})
}
