package decisions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// Longest texts of a letter, in characters.
const (
	maxNumber = 100
	maxName   = 200
)

// Reduction is a signed letter and the cards that it takes off a request, as typed.
type Reduction struct {
	Number, Date, Signer, Post, Reason string
	Scan                               *upload.File      // nil when none was chosen
	Cards                              []perso.Seen      // as they were seen
	Places                             map[string]string // where each was named, where that is known
}

// Parts of the form of a reduction beside its scan and its cards, in the names of the
// API; those of ReductionLines may have several lines.
var (
	ReductionFields = []string{"letter_number", "letter_date", "signer", "signer_post"}
	ReductionLines  = []string{"reason"}
)

// TypedReduction reads the form of a reduction. Each picked row is the id of a card
// and the version in which it was seen, with a colon between them.
func TypedReduction(l *upload.Letter) (n Reduction, wrong form.Faults) {
	f := l.Fields
	n = Reduction{Number: f["letter_number"], Date: f["letter_date"], Signer: f["signer"], Post: f["signer_post"], Reason: f["reason"], Scan: l.Files["scan"]}
	for _, row := range l.Picked {
		id, version, _ := strings.Cut(row, ":")
		card, err := uuid.Parse(id)
		seen, numErr := strconv.ParseInt(version, 10, 64)
		if err != nil || numErr != nil {
			wrong.Add("/card", "wrong_form", "Tulis tiap kartu sebagai pengenal dan versinya, dengan titik dua di antaranya.")
			break
		}
		n.Cards = append(n.Cards, perso.Seen{ID: card.String(), Version: seen})
	}
	return n, wrong
}

// check says what is wrong with it for a request, at the names of the API, and adds
// what is known to be wrong already.
func (n *Reduction) check(of request.Request, today clock.Date, more form.Faults) (on clock.Date, wrong form.Faults) {
	wrong.Need("/letter_number", "Nomor surat pengurangan", &n.Number, maxNumber)
	on, err := clock.ParseDate(strings.TrimSpace(n.Date))
	switch {
	case strings.TrimSpace(n.Date) == "":
		wrong.Add("/letter_date", "missing", "Tanggal surat pengurangan wajib diisi.")
	case err != nil:
		wrong.Add("/letter_date", "wrong_form", "Tulis tanggal dengan tahun lebih dahulu, seperti 2026-11-23.")
	case on.After(today):
		wrong.Add("/letter_date", "in_future", "Tanggal surat pengurangan tidak boleh setelah hari ini.")
	case on.Before(of.Letter.Date):
		wrong.Add("/letter_date", "too_early", "Surat pengurangan tidak dapat lebih lama dari surat permohonannya, %s.", terbilang.FormatDate(of.Letter.Date))
	}
	wrong.Need("/signer", "Nama penanda tangan", &n.Signer, maxName)
	wrong.Need("/signer_post", "Jabatan penanda tangan", &n.Post, maxName)
	if wrong.Lines("/reason", "Alasan", &n.Reason, MaxText); n.Reason == "" {
		wrong.Add("/reason", "missing", "Alasan wajib diisi.")
	}
	about := func(pointers ...string) bool {
		return slices.ContainsFunc(more, func(f form.Fault) bool { return slices.Contains(pointers, f.Pointer) })
	}
	if n.Scan == nil && !about("/scan") {
		wrong.Add("/scan", "missing", "Pindaian surat pengurangan (PDF, JPG, atau PNG) wajib dilampirkan.")
	}
	if len(n.Cards) == 0 && !about("/card", "/"+SerialsPart, "/"+ListPart) {
		wrong.Add("/card", "missing", "Pilih sekurangnya satu kartu yang dikurangi.")
	}
	return on, append(wrong, more...)
}

// Reduce takes the cards of a signed letter off the request with this ticket: all of
// them or none. more is what is known to be wrong already, with its scan for instance.
// The same letter about the same cards again changes nothing. Errors:
// request.ErrNotFound, *machine.RoleError, form.Faults, postgres.ErrStale,
// perso.ErrNotFound.
func (d *Desk) Reduce(ctx context.Context, who identity.Account, ticket string, n Reduction, more form.Faults) (requestID string, err error) {
	of, err := d.find(ctx, d.db, who, ticket)
	if err != nil {
		return "", err
	}
	if err := perso.Machine.MayEver(perso.ReduceVerb, who.Role); err != nil {
		return "", err
	}
	on, wrong := n.check(of, clock.Today(d.office), more)
	if err := wrong.Err(); err != nil {
		return "", err
	}
	c := d.change(who, n.Reason)
	err = d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		scan, err := blob.Put(ctx, tx, n.Scan.Name, n.Scan.MediaType, n.Scan.Content())
		if err != nil {
			return err
		}
		_, err = perso.Reduce(ctx, tx, of.ID, perso.Letter{ // it writes its own audit row
			Number: n.Number, Date: on, Signer: n.Signer, SignerPost: n.Post, ScanBlob: scan.ID.String(),
		}, n.Cards, c)
		return err
	})
	var unfit *perso.UnfitError
	switch {
	case errors.Is(err, perso.ErrReducedBefore): // the form was sent twice
		return of.ID, nil
	case errors.Is(err, perso.ErrNothingLeft):
		return "", form.One("/card", "nothing_left", "Dengan ini semua kartu permohonan habis. Sisakan sekurangnya satu: permohonan yang sudah diterima tidak berakhir karena pengurangan. "+
			"Kartu gagal yang tersisa diganti dengan blangko baru.")
	case errors.As(err, &unfit):
		var faults form.Faults
		for _, card := range unfit.Cards {
			subject := "Kartu"
			if place := n.Places[card.CardID]; place != "" {
				subject = place + ": kartu"
			}
			faults.Add("/card", "not_reducible", "%s %s tidak dapat dikurangi: %s.", subject, card.Serial, card.Why)
		}
		return "", faults
	}
	return of.ID, err
}

// Replace registers blanks in the places of failed cards of the request with this
// ticket: all of them or none. What is wrong is said of all at once, at
// /replacements/N/serial and /replacements/N/card. Errors: request.ErrNotFound,
// *machine.RoleError, form.Faults, perso.ErrNotFound.
func (d *Desk) Replace(ctx context.Context, who identity.Account, ticket string, all []perso.Replacement) (requestID string, err error) {
	of, err := d.find(ctx, d.db, who, ticket)
	if err != nil {
		return "", err
	}
	if err := perso.Machine.May("", perso.EnlistVerb, who.Role); err != nil {
		return "", err
	}
	var wrong form.Faults
	if len(all) == 0 {
		wrong.Add("/replacements", "missing", "Isi nomor seri sekurangnya satu kartu pengganti.")
	}
	for i := range all {
		wrong.May(fmt.Sprintf("/replacements/%d/reason", i), "Alasan", &all[i].Reason, MaxText)
		if cardlist.Normalise(all[i].Serial) == "" {
			wrong.Add(fmt.Sprintf("/replacements/%d/serial", i), "missing", "Nomor seri kartu pengganti wajib diisi.")
		}
	}
	if err := wrong.Err(); err != nil {
		return "", err
	}
	err = d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.RegisterReplacements(ctx, tx, of.ID, all, d.change(who, "")) // it writes its own audit rows
		return err
	})
	var faults perso.ReplacementFaults
	if errors.As(err, &faults) {
		for i := range all {
			if faults[i] == nil {
				continue
			}
			f, ok := SerialFault(faults[i])
			if !ok {
				f = form.Fault{Pointer: "/card", Code: "not_replaceable", Detail: "Kartu ini sudah diganti, sudah dikurangi, atau tidak gagal. Muat ulang halaman, lalu periksa kembali."}
			}
			f.Pointer = fmt.Sprintf("/replacements/%d%s", i, f.Pointer)
			wrong = append(wrong, f)
		}
		return "", wrong
	}
	return of.ID, err
}

// SerialFault is what an error says of the serial number of a replacement, at
// /serial; ok is false when it is about something else.
func SerialFault(err error) (f form.Fault, ok bool) {
	for _, known := range []struct {
		err          error
		code, detail string
	}{
		{cardlist.ErrSerialForm, "wrong_form", "Bentuk nomor seri tidak sesuai dengan jenis mesin permohonan ini. Ketik persis seperti yang tercetak pada kartu."},
		{cardlist.ErrSerialListed, "in_use", "Nomor seri ini sudah ada dalam daftar kartu permohonan ini. Pakai kartu blangko lain."},
		{cardlist.ErrSerialIssued, "in_use", "Kartu dengan nomor seri ini sudah pernah dipersonalisasi atau diterbitkan. Pakai kartu blangko lain."},
		{cardlist.ErrSerialLive, "in_use", "Nomor seri ini sudah dipakai permohonan lain. Pakai kartu blangko lain."},
		{cardlist.ErrSerialAlike, "serial_like_issued", "Nomor ini hanya berbeda tanda pemisahnya (spasi, titik, tanda hubung) dari nomor kartu yang sudah pernah diterbitkan. " +
			"Cocokkan dengan nomor yang tercetak pada kartu, atau pakai kartu blangko lain."},
		{perso.ErrSerialTwice, "serial_repeated", "Nomor seri ini diketik untuk lebih dari satu kartu."},
		{perso.ErrSerialTaken, "in_use", "Nomor seri ini sudah menjadi milik kartu lain. Pakai kartu blangko lain."},
	} {
		if errors.Is(err, known.err) {
			return form.Fault{Pointer: "/serial", Code: known.code, Detail: known.detail}, true
		}
	}
	return f, false
}

// Propose records the first person's decision on a card in doubt, as it was seen.
// Errors of this and of the other decisions on a card: perso.ErrNotFound,
// request.ErrNotFound, *Refusal, and those of package perso.
func (d *Desk) Propose(ctx context.Context, who identity.Account, card perso.Seen, what perso.Decision, reason string) (requestID string, err error) {
	return d.onCard(ctx, who, card.ID, reason, func(ctx context.Context, tx *postgres.Tx, c request.Change) error {
		_, err := perso.ProposeResolution(ctx, tx, card, what, c)
		return err
	})
}

// Confirm is the second person's word on the decision that was seen.
func (d *Desk) Confirm(ctx context.Context, who identity.Account, seen perso.SeenDecision, reason string) (requestID string, err error) {
	return d.onCard(ctx, who, seen.Card.ID, reason, func(ctx context.Context, tx *postgres.Tx, c request.Change) error {
		_, err := perso.ConfirmResolution(ctx, tx, seen, c)
		return err
	})
}

// Withdraw takes back the decision that was seen, before it is confirmed.
func (d *Desk) Withdraw(ctx context.Context, who identity.Account, seen perso.SeenDecision) (requestID string, err error) {
	return d.onCard(ctx, who, seen.Card.ID, "", func(ctx context.Context, tx *postgres.Tx, c request.Change) error {
		return perso.WithdrawResolution(ctx, tx, seen, c)
	})
}

// Answer says what was done about a late result that contradicts what was decided. Errors
// are those of perso.AnswerContradiction, and *Refusal.
func (d *Desk) Answer(ctx context.Context, who identity.Account, observationID, reason string) error {
	if err := CheckReason(reason); err != nil {
		return err
	}
	return d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return perso.AnswerContradiction(ctx, tx, observationID, d.change(who, reason))
	})
}

// onCard does something with a card in one transaction, as far as an account may know
// of it, and returns its request.
func (d *Desk) onCard(ctx context.Context, who identity.Account, cardID, reason string,
	do func(ctx context.Context, tx *postgres.Tx, c request.Change) error) (requestID string, err error) {
	if err := CheckReason(reason); err != nil {
		return "", err
	}
	if requestID, err = perso.CardRequest(ctx, d.db, cardID); err != nil {
		return "", err
	}
	of, err := request.Get(ctx, d.db, requestID)
	if err != nil {
		return "", err
	}
	if scope := report.Scope(who); scope != "" && scope != of.InstitutionID {
		return "", request.ErrNotFound
	}
	trace.Join(ctx, of.TraceParent)
	c := d.change(who, reason)
	return of.ID, d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return do(ctx, tx, c) })
}
