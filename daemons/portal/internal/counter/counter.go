// Package counter is where papers come back signed and cards change hands: what people
// of the office and of the produsen state about papers and handovers, each in one
// transaction with its audit row. The API and the pages share it; who may do what is
// said by the machines of packages letter and handover.
package counter

import (
	"context"
	"errors"
	"strings"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/trace"
)

var (
	// ErrBASTAtDelivery says that a BAST is issued where the cards change hands.
	ErrBASTAtDelivery = errors.New("counter: a BAST is issued with the delivery")
	// ErrDrawnElsewhere says that a berita acara kartu rusak is voided in the book of
	// blanks, together with its cards.
	ErrDrawnElsewhere = errors.New("counter: a destruction report is voided in the book of blanks")
)

// Longest texts, in characters.
const (
	maxName = 200
	maxText = 2000
)

// Desk is the counter.
type Desk struct {
	DB     *postgres.DB
	Office clock.Office
	// Signer is the service that signs with certificates; nil where all is signed with a pen.
	Signer *Service
}

func (d Desk) change(who identity.Account, reason string) request.Change {
	return request.Change{Actor: who.Actor(), Reason: strings.TrimSpace(reason), OfficeAt: d.Office.Now()}
}

// known says of a request that it is none that an account may know of.
func known(ctx context.Context, rd postgres.Reader, who identity.Account, requestID string) error {
	if requestID == "" { // a paper of no request is the office's own
		if report.Outside(who) {
			return request.ErrNotFound
		}
		return nil
	}
	r, err := request.Get(ctx, rd, requestID)
	if err != nil {
		return err
	}
	if scope := report.Scope(who); scope != "" && scope != r.InstitutionID {
		return request.ErrNotFound
	}
	trace.Join(ctx, r.TraceParent)
	return nil
}

// same says that a row is not the one that somebody saw; 0 saw none.
func same(seen, now int64) error {
	if seen != 0 && seen != now {
		return postgres.ErrStale
	}
	return nil
}

// day reads a date of something that has happened, at the earliest on the day of a paper.
func (d Desk) day(wrong *form.Faults, pointer, label, text string, earliest *clock.Date) clock.Date {
	text = strings.TrimSpace(text)
	on, err := clock.ParseDate(text)
	switch {
	case text == "":
		wrong.Add(pointer, "missing", "%s wajib diisi.", label)
	case err != nil:
		wrong.Add(pointer, "wrong_type", "%s harus berbentuk TTTT-BB-HH, seperti 2026-11-23.", label)
	case on.After(clock.Today(d.Office)):
		wrong.Add(pointer, "in_future", "%s tidak boleh setelah hari ini.", label)
	case earliest != nil && on.Before(*earliest):
		wrong.Add(pointer, "too_early", "%s tidak boleh sebelum tanggal naskahnya, %s.", label, terbilang.FormatDate(*earliest))
	}
	return on
}

// Paper finds a paper for whoever asks. Errors: letter.ErrNotFound, request.ErrNotFound.
func (d Desk) Paper(ctx context.Context, who identity.Account, id string) (letter.Document, error) {
	p, err := letter.Get(ctx, d.DB, id)
	switch {
	case err != nil:
	case p.Kind == letter.ActivationReply:
		_, err = report.ActivationOfReply(ctx, d.DB, p.SubjectID, who)
	default:
		err = known(ctx, d.DB, who, p.RequestID)
	}
	return p, err
}

// MaySign says whether an account can bring in the signed scan of a paper now. Errors:
// *machine.RoleError, *machine.IllegalError, ErrBASTAtDelivery.
func MaySign(p letter.Document, who identity.Account) error {
	if err := letter.Machine.MayEver(letter.VerbIssue, who.Role); err != nil {
		return err
	}
	if p.Kind == letter.BAST && p.Replaces == nil { // one that replaces another comes back after the delivery
		return ErrBASTAtDelivery
	}
	return letter.Machine.May(p.State, letter.VerbIssue, who.Role)
}

// MayVoid says whether an account can void a paper now. Errors: *machine.RoleError,
// *machine.IllegalError, ErrDrawnElsewhere.
func MayVoid(p letter.Document, who identity.Account) error {
	if err := letter.Machine.MayEver(letter.VerbVoid, who.Role); err != nil {
		return err
	}
	if p.Kind == letter.DestructionReport && p.Replaces == nil {
		return ErrDrawnElsewhere
	}
	return letter.May(p, letter.VerbVoid, who.Role)
}

// Sign takes in the signed scan of a paper: it is in force from then on. wrong is what
// is known to be wrong already. Errors: form.Faults and those of Paper and MaySign.
func (d Desk) Sign(ctx context.Context, who identity.Account, id string, seen int64, signedOn string, scan *upload.File, wrong form.Faults) error {
	p, err := d.Paper(ctx, who, id)
	if err == nil {
		err = MaySign(p, who)
	}
	if err == nil {
		err = same(seen, p.Version)
	}
	if err != nil {
		return err
	}
	on := d.day(&wrong, "/signed_on", "Tanggal tanda tangan", signedOn, p.Dated)
	if err := wrong.Err(); err != nil {
		return err
	}
	c := d.change(who, "")
	return scanFault(d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		kept, err := blob.Put(ctx, tx, p.Kind+"-bertanda-tangan.pdf", scan.MediaType, scan.Content())
		if err != nil {
			return err
		}
		if _, err := letter.Issue(ctx, tx, p, kept.ID.String(), on, c); err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.issue", p.ID, p.RequestID,
			map[string]any{"kind": p.Kind, "scan": kept.ID, "sha256": kept.Hash(), "signed_on": on})
	}))
}

// scanFault says at the field whose file it is that was brought in as a signed scan; other
// errors stay as they are.
func scanFault(err error) error {
	var used *letter.ScanUsedError
	if !errors.As(err, &used) {
		return err
	}
	detail := "Berkas ini PDF yang belum ditandatangani dari " + used.Paper() + ". Unggah pindaian bertanda tangan naskah ini."
	switch {
	case used.Signed:
		detail = "Berkas ini sudah menjadi pindaian bertanda tangan " + used.Paper() + ". Setiap naskah punya pindaiannya sendiri; bila beberapa naskah dipindai bersama, pisahkan dahulu."
	case used.Same:
		detail = "Berkas ini PDF " + used.Paper() + " sendiri, yang belum ditandatangani. Cetak, mintakan tanda tangan, lalu unggah pindaiannya."
	}
	return form.One("/"+upload.ScanPart, "scan_used", detail)
}

// Void cancels a paper that is not issued, with a reason. Its number stays used. again
// says whether another paper is drafted in its place; if not, none is until DraftAgain.
// Errors: form.Faults, postgres.ErrStale and those of Paper and MayVoid.
func (d Desk) Void(ctx context.Context, who identity.Account, id string, seen int64, reason string, again bool) error {
	p, err := d.Paper(ctx, who, id)
	if err == nil {
		err = MayVoid(p, who)
	}
	if err == nil {
		err = same(seen, p.Version)
	}
	if err == nil {
		err = because(&reason)
	}
	if err != nil {
		return err
	}
	c := d.change(who, reason)
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		void := letter.Cancel
		if !again {
			void = letter.CancelForGood
		}
		if _, err := void(ctx, tx, p, c); err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.void", p.ID, p.RequestID, about(p, "again", again))
	})
}

// because wants a reason.
func because(reason *string) error {
	var wrong form.Faults
	if wrong.Lines("/reason", "Alasan", reason, maxText); *reason == "" {
		wrong.Add("/reason", "missing", "Alasan wajib diisi.")
	}
	return wrong.Err()
}

// about is what the audit says of a paper, and one thing more.
func about(p letter.Document, key string, value any) map[string]any {
	detail := map[string]any{"kind": p.Kind, key: value}
	if p.Number != nil {
		detail["number"] = *p.Number
	}
	return detail
}
