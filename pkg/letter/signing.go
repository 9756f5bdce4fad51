package letter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/esign"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// States of a signing.
const (
	SigningSent    = "sent"
	SigningDoubt   = "doubt"
	SigningSigned  = "signed"
	SigningRefused = "refused"
)

var (
	// ErrSigningOpen says that a signature is on its way, or in doubt: nothing is sent
	// again, and nothing is voided, before it is known.
	ErrSigningOpen = errors.New("letter: a signature is on its way or in doubt")
	// ErrNoSigning says that no signature of a paper is in doubt.
	ErrNoSigning = errors.New("letter: no signature in doubt")
	// ErrSeveralSigners says that a paper is signed by people of which not all have
	// certificates: with a pen.
	ErrSeveralSigners = errors.New("letter: signed with a pen")
)

// NotSigned is the reason of a doubt that a person ended: the service has not signed.
const NotSigned = "not_signed"

// Signing is one time that a paper was to be signed.
type Signing struct {
	ID         string     `db:"id"`
	DocumentID string     `db:"document_id"`
	Driver     string     `db:"driver"`
	State      string     `db:"state"`
	Version    int64      `db:"version"`
	Reference  string     `db:"reference"` // what the service calls it
	Reason     string     `db:"reason"`
	Code       string     `db:"code"`
	AskedBy    string     `db:"asked_by"`
	AskedAt    time.Time  `db:"asked_at"`
	EndedAt    *time.Time `db:"ended_at"`
	// Overdue says that no answer can come any more: whoever sent it is gone.
	Overdue bool `db:"overdue"`
}

// Ten minutes are longer than any driver waits for an answer.
const selectSigning = `SELECT id, document_id, driver, state, version, reference, reason, code, asked_by, asked_at, ended_at,
	sent_at < clock_timestamp() - interval '10 minutes' AS overdue FROM signing `

// SigningRoles are the roles of the posts that sign (features.md N27).
var SigningRoles = map[string]machine.Role{Dirjen: request.Dirjen, DirekturFPDDK: request.Direktur, KasubditKI: request.Kasubdit}

// MayCertify says whether a role signs a paper with its certificate now. Errors:
// ErrSeveralSigners, *machine.RoleError, *machine.IllegalError.
func MayCertify(d Document, role machine.Role) error {
	if err := Machine.MayEver(VerbCertify, role); err != nil {
		return err
	}
	post, signed := Signers[d.Kind]
	if !signed || d.Kind == BAST {
		return ErrSeveralSigners
	}
	if SigningRoles[post] != role {
		return &machine.RoleError{Machine: Machine.Name, Verb: VerbCertify, Role: role}
	}
	return Machine.May(d.State, VerbCertify, role)
}

// LastSigning returns the newest signing of a paper. Error: ErrNoSigning.
func LastSigning(ctx context.Context, rd postgres.Reader, documentID string) (Signing, error) {
	var s Signing
	err := rd.Get(ctx, &s, selectSigning+`WHERE document_id = $1 ORDER BY sent_at DESC, id DESC LIMIT 1`, documentID)
	if errors.Is(err, sql.ErrNoRows) {
		return s, ErrNoSigning
	}
	if err != nil {
		return s, fmt.Errorf("letter: reading a signing: %w", err)
	}
	return s, nil
}

// InDoubt returns the signing of a paper whose outcome is not known and will not come by
// itself. Errors: ErrNoSigning, ErrSigningOpen while an answer can still come.
func InDoubt(ctx context.Context, rd postgres.Reader, documentID string) (Signing, error) {
	s, err := LastSigning(ctx, rd, documentID)
	switch {
	case err != nil:
		return s, err
	case s.State == SigningDoubt || s.State == SigningSent && s.Overdue:
		return s, nil
	case s.State == SigningSent:
		return s, ErrSigningOpen
	}
	return s, ErrNoSigning
}

// noneOpen says that nothing is on its way or in doubt, of a paper whose row is locked.
func noneOpen(ctx context.Context, rd postgres.Reader, documentID string) error {
	var open bool
	if err := rd.Get(ctx, &open, `SELECT EXISTS (SELECT FROM signing WHERE document_id = $1 AND state IN ('sent', 'doubt'))`, documentID); err != nil {
		return fmt.Errorf("letter: looking for signings: %w", err)
	}
	if open {
		return ErrSigningOpen
	}
	return nil
}

// AskSignature writes down that a signature is about to be asked for: it is committed
// before anything is sent. Errors: ErrSigningOpen, postgres.ErrStale, and those of
// MayCertify.
func AskSignature(ctx context.Context, tx *postgres.Tx, d Document, driver string, c request.Change) (Signing, error) {
	if err := MayCertify(d, c.Actor.Role); err != nil {
		return Signing{}, err
	}
	var version int64
	if err := tx.Get(ctx, &version, `SELECT version FROM document WHERE id = $1 FOR UPDATE`, d.ID); err != nil {
		return Signing{}, fmt.Errorf("letter: locking a paper: %w", err)
	}
	if version != d.Version {
		return Signing{}, postgres.ErrStale
	}
	if err := noneOpen(ctx, tx, d.ID); err != nil {
		return Signing{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Signing{}, fmt.Errorf("letter: id: %w", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO signing (id, document_id, driver, state, asked_by, asked_at) VALUES ($1,$2,$3,'sent',$4,$5)`,
		id.String(), d.ID, driver, c.Actor.Name, c.OfficeAt.UTC()); err != nil {
		return Signing{}, fmt.Errorf("letter: asking for a signature: %w", err)
	}
	return LastSigning(ctx, tx, d.ID)
}

// EndSigning writes down what became of a signing. What is signed is kept as signed, and
// the paper is in force from then on, on that day. Errors: postgres.ErrStale,
// *machine.IllegalError.
func EndSigning(ctx context.Context, tx *postgres.Tx, s Signing, a esign.Answer, signed string, on clock.Date, c request.Change) error {
	switch a.Outcome {
	case esign.Signed:
		if err := end(ctx, tx, s, SigningSigned, a, "", c); err != nil {
			return err
		}
		d, err := Get(ctx, tx, s.DocumentID)
		if err != nil {
			return err
		}
		if err := takePlace(ctx, tx, d, c); err != nil {
			return err
		}
		_, err = move(ctx, tx, d, VerbCertify, c, `scan_blob = $5, signed_on = $6, electronic = true`, signed, on)
		return err
	case esign.Refused:
		return end(ctx, tx, s, SigningRefused, a, "", c)
	}
	return end(ctx, tx, s, SigningDoubt, a, "", c)
}

// Unsign ends a doubt by what a person found: the service has not signed. Another
// signature can be asked for then. Errors: ErrReasonMissing, *machine.RoleError,
// postgres.ErrStale.
func Unsign(ctx context.Context, tx *postgres.Tx, s Signing, c request.Change) error {
	if err := Machine.MayEver(VerbIssue, c.Actor.Role); err != nil {
		return err
	}
	if c.Reason == "" {
		return ErrReasonMissing
	}
	return end(ctx, tx, s, SigningRefused, esign.Answer{Reference: s.Reference, Reason: NotSigned, Code: s.Code}, c.Reason, c)
}

func end(ctx context.Context, tx *postgres.Tx, s Signing, state string, a esign.Answer, finding string, c request.Change) error {
	if a.Reference == "" {
		a.Reference = s.Reference
	}
	err := tx.ExecOne(ctx, `
		UPDATE signing SET state = $3, version = version + 1, reference = $4, reason = $5, code = $6, finding = $7,
		       ended_by = CASE WHEN $3 = 'doubt' THEN '' ELSE $8 END, ended_at = CASE WHEN $3 = 'doubt' THEN NULL ELSE $9::timestamptz END
		WHERE id = $1 AND version = $2 AND state IN ('sent', 'doubt')`,
		s.ID, s.Version, state, a.Reference, a.Reason, a.Code, finding, c.Actor.Name, c.OfficeAt.UTC())
	if err != nil {
		return fmt.Errorf("letter: ending a signing: %w", err)
	}
	return nil
}

// byPen writes down that a paper came back signed with a pen, by whom and when. A doubt
// ends with it: what the service signed was brought in as a file.
func byPen(ctx context.Context, tx *postgres.Tx, d Document, c request.Change) error {
	s, err := InDoubt(ctx, tx, d.ID)
	switch {
	case errors.Is(err, ErrNoSigning):
	case err != nil:
		return err
	default:
		return end(ctx, tx, s, SigningSigned, esign.Answer{Reference: s.Reference, Code: s.Code}, "", c)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("letter: id: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO signing (id, document_id, driver, state, asked_by, asked_at, ended_by, ended_at) VALUES ($1,$2,$3,'signed',$4,$5,$4,$5)`,
		id.String(), d.ID, esign.Manual{}.Name(), c.Actor.Name, c.OfficeAt.UTC()); err != nil {
		return fmt.Errorf("letter: writing a signature: %w", err)
	}
	return nil
}
