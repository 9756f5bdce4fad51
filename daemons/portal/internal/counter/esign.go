package counter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/esign"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

var (
	// ErrByPen says that the office signs with a pen alone: no service is configured.
	ErrByPen = errors.New("counter: no electronic signatures")
	// ErrStillInDoubt says that the service could not tell what became of a signature.
	ErrStillInDoubt = errors.New("counter: the signature is still in doubt")
)

// refusals are the reasons of a service in the users' words.
var refusals = map[string]string{
	esign.Away:            "Layanan tanda tangan elektronik tidak terjangkau, dan belum ada yang dikirim. Coba lagi nanti, atau pakai tanda tangan basah.",
	esign.WrongPassphrase: "Passphrase ditolak layanan tanda tangan elektronik. Ketik ulang.",
	esign.UnknownSigner:   "NIK ini tidak terdaftar pada layanan tanda tangan elektronik, atau sertifikatnya tidak berlaku.",
	esign.Denied:          "Layanan tanda tangan elektronik menolak aplikasi ini. Hubungi administrator.",
	letter.NotSigned:      "Layanan belum menandatangani; dinyatakan setelah diperiksa.",
}

// RefusalText words why a service has not signed.
func RefusalText(reason, code string) string {
	text, known := refusals[reason]
	if !known {
		text = "Layanan tanda tangan elektronik menolak permintaan ini"
		if code != "" {
			text += " (kode " + code + ")"
		}
		text += "."
	}
	return text
}

// MayCertify says whether an account signs a paper with its certificate now. Errors:
// ErrByPen and those of letter.MayCertify.
func (d Desk) MayCertify(p letter.Document, who identity.Account) error {
	if err := letter.MayCertify(p, who.Role); err != nil {
		return err
	}
	if d.Signer == nil {
		return ErrByPen
	}
	return nil
}

// Certify has a paper signed by the service, with the certificate of whoever asks. The
// passphrase passes through once. That it is asked for is committed before anything is
// sent; what became of it, afterwards, also when the asker has gone. Errors: form.Faults
// of a refusal, ErrStillInDoubt, letter.ErrSigningOpen, and those of Paper and MayCertify.
func (d Desk) Certify(ctx context.Context, who identity.Account, id string, seen int64, nik string, passphrase esign.Passphrase) error {
	defer passphrase.Forget()
	p, err := d.Paper(ctx, who, id)
	if err == nil {
		err = d.MayCertify(p, who)
	}
	if err == nil {
		err = same(seen, p.Version)
	}
	if err != nil {
		return err
	}
	var wrong form.Faults
	if nik = strings.TrimSpace(nik); len(nik) != 16 || strings.Trim(nik, "0123456789") != "" {
		wrong.Add("/nik", "wrong_form", "NIK terdiri atas 16 angka.")
	}
	if len(passphrase) == 0 || len(passphrase) > 200 {
		wrong.Add("/passphrase", "missing", "Passphrase wajib diisi.")
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	body, err := d.printed(ctx, p)
	if err != nil {
		return err
	}
	c := d.change(who, "")
	var s letter.Signing
	if err := d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if s, err = letter.AskSignature(ctx, tx, p, d.Signer.Name(), c); err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.ask_signature", p.ID, p.RequestID, about(p, "signing", s.ID))
	}); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	return d.ended(ctx, p, s, d.Signer.Request(ctx, esign.Job{ID: s.ID, Name: p.Kind + ".pdf", PDF: body, NIK: nik, Passphrase: passphrase}), c)
}

// printed is the PDF of a paper, which has its QR code.
func (d Desk) printed(ctx context.Context, p letter.Document) ([]byte, error) {
	text, ok := p.File("pdf")
	if !ok {
		return nil, letter.ErrNotFound
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, err
	}
	content, _, err := blob.Open(ctx, d.DB, id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }()
	return io.ReadAll(content)
}

// ended keeps what became of a signing, and says it; while the database is away it is held
// until it can be kept, and in doubt so long.
func (d Desk) ended(ctx context.Context, p letter.Document, s letter.Signing, a esign.Answer, c request.Change) error {
	err := d.keepAnswer(ctx, p, s, a, c)
	if postgres.Foreign(err) {
		d.Signer.hold(ctx, s.ID, func(ctx context.Context) error { return d.keepAnswer(ctx, p, s, a, c) })
		return ErrStillInDoubt
	}
	switch {
	case err != nil:
		return err
	case a.Outcome == esign.Refused:
		return form.One(faultAt(a.Reason), "refused", RefusalText(a.Reason, a.Code))
	case a.Outcome != esign.Signed:
		return ErrStillInDoubt
	}
	return nil
}

// keepAnswer writes down what became of a signing. A paper is signed on the day on which
// it was asked for, also when that is found out later.
func (d Desk) keepAnswer(ctx context.Context, p letter.Document, s letter.Signing, a esign.Answer, c request.Change) error {
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		detail := map[string]any{"kind": p.Kind, "signing": s.ID, "driver": s.Driver, "outcome": a.Outcome, "reason": a.Reason, "code": a.Code}
		file := ""
		if a.Outcome == esign.Signed {
			kept, err := blob.Put(ctx, tx, p.Kind+"-bertanda-tangan.pdf", "application/pdf", bytes.NewReader(a.PDF))
			if err != nil {
				return err
			}
			file, detail["sha256"] = kept.ID.String(), kept.Hash()
		}
		if err := letter.EndSigning(ctx, tx, s, a, file, clock.DateOf(s.AskedAt), c); err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.signature", p.ID, p.RequestID, detail)
	})
}

func faultAt(reason string) string {
	switch reason {
	case esign.WrongPassphrase:
		return "/passphrase"
	case esign.UnknownSigner:
		return "/nik"
	}
	return ""
}

// LastSigning is the newest signing of a paper, for the office: others know of a paper once
// it is in force. Errors: letter.ErrNoSigning and those of Paper.
func (d Desk) LastSigning(ctx context.Context, who identity.Account, id string) (letter.Signing, error) {
	p, err := d.Paper(ctx, who, id)
	if err == nil && report.Outside(who) {
		err = letter.ErrNotFound
	}
	if err != nil {
		return letter.Signing{}, err
	}
	return letter.LastSigning(ctx, d.DB, p.ID)
}

// mayCare says whether an account looks after a signature in doubt: those who sign and
// those who bring in scans.
func mayCare(who identity.Account) error {
	if letter.Machine.MayEver(letter.VerbCertify, who.Role) == nil {
		return nil
	}
	return letter.Machine.MayEver(letter.VerbIssue, who.Role)
}

// MayAsk says whether an account can have the service asked about a paper. Errors:
// letter.ErrNoSigning, letter.ErrSigningOpen, *machine.RoleError.
func (d Desk) MayAsk(ctx context.Context, p letter.Document, who identity.Account) error {
	if err := mayCare(who); err != nil {
		return err
	}
	_, err := letter.InDoubt(ctx, d.DB, p.ID)
	return err
}

// AskAgain asks the service what became of a signature in doubt; nothing is sent to be
// signed. Errors: ErrByPen, ErrStillInDoubt, letter.ErrNoSigning, letter.ErrSigningOpen,
// *machine.RoleError, postgres.ErrStale, and those of Paper.
func (d Desk) AskAgain(ctx context.Context, who identity.Account, id string) error {
	p, err := d.Paper(ctx, who, id)
	if err == nil {
		err = d.MayAsk(ctx, p, who)
	}
	if err != nil {
		return err
	}
	s, err := letter.InDoubt(ctx, d.DB, p.ID)
	if err != nil {
		return err
	}
	if d.Signer == nil || d.Signer.Name() != s.Driver {
		return ErrByPen
	}
	a, err := d.Signer.Ask(ctx, esign.Past{ID: s.ID, Reference: s.Reference})
	if err != nil { // away, or it cannot be asked: nothing is known that was not
		return errors.Join(ErrStillInDoubt, err)
	}
	return d.ended(context.WithoutCancel(ctx), p, s, a, d.change(who, ""))
}

// Unsign ends a doubt: somebody looked in the service's own record, and it has not signed.
// Errors: form.Faults, letter.ErrNoSigning, letter.ErrSigningOpen, *machine.RoleError,
// postgres.ErrStale, and those of Paper.
func (d Desk) Unsign(ctx context.Context, who identity.Account, id, finding string) error {
	p, err := d.Paper(ctx, who, id)
	if err == nil {
		err = letter.Machine.MayEver(letter.VerbIssue, who.Role)
	}
	if err != nil {
		return err
	}
	s, err := letter.InDoubt(ctx, d.DB, p.ID)
	if err == nil {
		err = because(&finding)
	}
	if err != nil {
		return err
	}
	c := d.change(who, finding)
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := letter.Unsign(ctx, tx, s, c); err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.not_signed", p.ID, p.RequestID, about(p, "signing", s.ID))
	})
}
