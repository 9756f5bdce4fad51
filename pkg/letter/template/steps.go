package template

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Change is who takes a step, why, and at what office time.
type Change = request.Change

// Seen is an edition as somebody had it before their eyes.
type Seen struct {
	ID      string
	Version int64
}

// MediaType is that of a template's file.
const MediaType = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

// kindLock keeps what changes the editions of one kind apart from each other: new
// numbers, and which one is in force. The number only has to be ours.
const kindLock = 0x51F1_1A44

func lock(ctx context.Context, tx *postgres.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(kindLock)); err != nil {
		return fmt.Errorf("template: lock: %w", err)
	}
	return nil
}

// Sound is a file that may be a template of a kind: only Read makes one.
type Sound struct {
	kind string
	file []byte
}

// Read judges a file, before any transaction. Error: form.Faults with all that is wrong.
func Read(kind string, file []byte) (Sound, error) { return Sound{kind, file}, Check(kind, file) }

// Offer sends in a new edition, whose reason says what is new in it. Errors:
// *KnownError, ErrReasonMissing, *machine.RoleError.
func Offer(ctx context.Context, tx *postgres.Tx, s Sound, ch Change) (Edition, error) {
	if err := Machine.MayEver(OfferVerb, ch.Actor.Role); err != nil {
		return Edition{}, err
	}
	if ch.Reason = strings.TrimSpace(ch.Reason); ch.Reason == "" {
		return Edition{}, ErrReasonMissing
	}
	if err := lock(ctx, tx); err != nil {
		return Edition{}, err
	}
	return insert(ctx, tx, s, false, ch)
}

func insert(ctx context.Context, tx *postgres.Tx, s Sound, shipped bool, ch Change) (Edition, error) {
	if s.kind == "" {
		return Edition{}, errors.New("template: a file that nobody has judged")
	}
	kind, sum := s.kind, sha256.Sum256(s.file)
	if e, err := one(ctx, tx, `WHERE kind = $1 AND sha256 = $2`, kind, sum[:]); err == nil {
		return e, &KnownError{e.Edition}
	} else if !errors.Is(err, ErrNotFound) {
		return e, err
	}
	var newest int
	if err := tx.Get(ctx, &newest, `SELECT coalesce(max(edition), 0) FROM letter_template WHERE kind = $1`, kind); err != nil {
		return Edition{}, fmt.Errorf("template: newest edition: %w", err)
	}
	ref, err := blob.Put(ctx, tx, FileName(kind, newest+1), MediaType, bytes.NewReader(s.file))
	if err != nil {
		return Edition{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Edition{}, fmt.Errorf("template: id: %w", err)
	}
	columns, values := `id, kind, edition, file_blob, sha256, state, version, offered_by, note, offered_at`, `$1,$2,$3,$4,$5,'offered',1,$6,$7,$8`
	if shipped { // a column that nobody else may set
		columns, values = columns+`, shipped`, values+`, true`
	}
	if err := tx.ExecOne(ctx, `INSERT INTO letter_template (`+columns+`) VALUES (`+values+`)`,
		id.String(), kind, newest+1, ref.ID.String(), sum[:], ch.Actor.Name, ch.Reason, ch.OfficeAt.UTC()); err != nil {
		return Edition{}, fmt.Errorf("template: writing: %w", err)
	}
	e, err := Get(ctx, tx, id.String())
	if err != nil {
		return e, err
	}
	step, err := Machine.Find("", OfferVerb)
	if err != nil {
		return e, err
	}
	return e, record(ctx, tx, e, step, ch)
}

func record(ctx context.Context, tx *postgres.Tx, e Edition, step machine.Step, ch Change) error {
	return Machine.Write(ctx, tx, machine.Record{
		Subject: e.ID, Version: e.Version, Step: step, Actor: ch.Actor, Reason: ch.Reason, OfficeAt: ch.OfficeAt,
		Detail: map[string]any{"kind": e.Kind, "label": e.Label(), "sha256": hex.EncodeToString(e.SHA256)},
	})
}

// take takes a step with an edition that was seen, and sets what set says, with
// parameters from $4 on.
func take(ctx context.Context, tx *postgres.Tx, e Edition, verb machine.Verb, ch Change, set string, args ...any) (Edition, error) {
	step, err := Machine.Step(e.State, verb, ch.Actor.Role)
	if err != nil {
		return e, err
	}
	if err := tx.ExecOne(ctx, `UPDATE letter_template SET state=$3, version=version+1`+set+` WHERE id=$1 AND version=$2`,
		append([]any{e.ID, e.Version, string(step.To)}, args...)...); err != nil {
		return e, fmt.Errorf("template: %s: %w", verb, err)
	}
	if e, err = Get(ctx, tx, e.ID); err != nil {
		return e, err
	}
	return e, record(ctx, tx, e, step, ch)
}

// seen locks an edition. postgres.ErrStale when it is not as it was seen.
func seen(ctx context.Context, tx *postgres.Tx, s Seen) (Edition, error) {
	e, err := one(ctx, tx, `WHERE id = $1 FOR NO KEY UPDATE`, s.ID)
	if err == nil && e.Version != s.Version {
		err = postgres.ErrStale
	}
	return e, err
}

// OfferAgain offers an edition of before once more, to be put in force again: with a new
// sample, for another person to approve. Errors: ErrNotFound, postgres.ErrStale,
// form.Faults where it no longer is what papers need, ErrReasonMissing,
// *machine.IllegalError, *machine.RoleError.
func OfferAgain(ctx context.Context, tx *postgres.Tx, s Seen, ch Change) (Edition, error) {
	e, err := seen(ctx, tx, s)
	if err != nil {
		return e, err
	}
	if err := Machine.May(e.State, OfferVerb, ch.Actor.Role); err != nil {
		return e, err
	}
	if ch.Reason = strings.TrimSpace(ch.Reason); ch.Reason == "" {
		return e, ErrReasonMissing
	}
	file, err := Content(ctx, tx, e)
	if err != nil {
		return e, err
	}
	if err := Check(e.Kind, file); err != nil { // tags may have come since
		return e, err
	}
	return take(ctx, tx, e, OfferVerb, ch, `, offered_by=$4, note=$5, offered_at=$6, approved_by=NULL, sample_blob=NULL, sample_pages=NULL, sample_problem='', sample_tries=0, sample_begun=0`,
		ch.Actor.Name, ch.Reason, ch.OfficeAt.UTC())
}

// Approve is the second person's word, after a look at the sample: papers are made with
// this edition from now on, and the one before is superseded. Whether two accounts may be
// one person is for the caller to know. Errors: as of OfferAgain, ErrNotSampled,
// ErrSamePerson.
func Approve(ctx context.Context, tx *postgres.Tx, s Seen, ch Change) (Edition, error) {
	if err := lock(ctx, tx); err != nil {
		return Edition{}, err
	}
	e, err := seen(ctx, tx, s)
	if err != nil {
		return e, err
	}
	if e.State == Offered {
		return e, ErrNotSampled
	}
	if err := Machine.May(e.State, ApproveVerb, ch.Actor.Role); err != nil {
		return e, err
	}
	if e.OfferedBy == ch.Actor.Name {
		return e, ErrSamePerson
	}
	return enforce(ctx, tx, e, ch)
}

func enforce(ctx context.Context, tx *postgres.Tx, e Edition, ch Change) (Edition, error) {
	if before, err := InForce(ctx, tx, e.Kind); err == nil {
		why := ch
		why.Reason = fmt.Sprintf("digantikan oleh edisi %d", e.Edition)
		if _, err := take(ctx, tx, before, SupersedeVerb, why, ``); err != nil {
			return e, err
		}
	} else if !errors.Is(err, ErrNotFound) {
		return e, err
	}
	return take(ctx, tx, e, ApproveVerb, ch, `, approved_by=$4`, ch.Actor.Name)
}

// Refuse ends a proposal; whoever offered it takes it back by it. Errors as of
// OfferAgain.
func Refuse(ctx context.Context, tx *postgres.Tx, s Seen, ch Change) (Edition, error) {
	e, err := seen(ctx, tx, s)
	if err != nil {
		return e, err
	}
	if err := Machine.May(e.State, RefuseVerb, ch.Actor.Role); err != nil {
		return e, err
	}
	if ch.Reason = strings.TrimSpace(ch.Reason); ch.Reason == "" {
		return e, ErrReasonMissing
	}
	return take(ctx, tx, e, RefuseVerb, ch, ``)
}

// Sampled attaches the sample of an edition, which can be approved from now on.
// postgres.ErrStale says that it has moved meanwhile.
func Sampled(ctx context.Context, tx *postgres.Tx, e Edition, pdf []byte, pages int, ch Change) (Edition, error) {
	ref, err := blob.Put(ctx, tx, fmt.Sprintf("contoh-%s.pdf", strings.TrimSuffix(FileName(e.Kind, e.Edition), ".docx")), "application/pdf", bytes.NewReader(pdf))
	if err != nil {
		return e, err
	}
	return take(ctx, tx, e, PrintVerb, ch, `, sample_blob=$4, sample_pages=$5, sample_problem='', sample_tries=sample_tries+1`, ref.ID.String(), pages)
}

// NotPrintable ends the way of an edition that LibreOffice cannot print; the reason says
// why. Errors as of Sampled.
func NotPrintable(ctx context.Context, tx *postgres.Tx, e Edition, ch Change) (Edition, error) {
	return take(ctx, tx, e, FailVerb, ch, `, sample_problem=$4, sample_tries=sample_tries+1`, ch.Reason)
}

// SampleWaits notes why the sample of an edition is not there yet, for those who wait
// for it. It is no step: nothing has become of the edition.
func SampleWaits(ctx context.Context, tx *postgres.Tx, e Edition, why string) error {
	_, err := tx.Exec(ctx, `UPDATE letter_template SET sample_problem=$3, sample_tries=sample_tries+1, sample_begun=0 WHERE id=$1 AND version=$2 AND state='offered'`, e.ID, e.Version, why)
	if err != nil {
		return fmt.Errorf("template: noting a wait: %w", err)
	}
	return nil
}

// SampleBegins notes that the sample of an edition is about to be printed, and says how
// often that has begun without an end. postgres.ErrStale says that it has moved meanwhile.
func SampleBegins(ctx context.Context, tx *postgres.Tx, e Edition) (begun int, err error) {
	err = tx.Get(ctx, &begun, `UPDATE letter_template SET sample_begun=sample_begun+1 WHERE id=$1 AND version=$2 AND state='offered' RETURNING sample_begun`, e.ID, e.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, postgres.ErrStale
	}
	if err != nil {
		return 0, fmt.Errorf("template: noting a beginning: %w", err)
	}
	return begun, nil
}

// SampleLeft takes back a SampleBegins that was given up in good order.
func SampleLeft(ctx context.Context, tx *postgres.Tx, e Edition) error {
	_, err := tx.Exec(ctx, `UPDATE letter_template SET sample_begun=sample_begun-1 WHERE id=$1 AND version=$2 AND state='offered' AND sample_begun > 0`, e.ID, e.Version)
	if err != nil {
		return fmt.Errorf("template: noting an end: %w", err)
	}
	return nil
}

// Content is the file of an edition, with its hash checked.
func Content(ctx context.Context, rd postgres.Reader, e Edition) ([]byte, error) {
	id, err := uuid.Parse(e.FileBlob)
	if err != nil {
		return nil, fmt.Errorf("template: %s: %w", e.Label(), err)
	}
	r, _, err := blob.Open(ctx, rd, id)
	if err != nil {
		return nil, err
	}
	file, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("template: %s: %w", e.Label(), err)
	}
	if sum := sha256.Sum256(file); !bytes.Equal(sum[:], e.SHA256) {
		return nil, fmt.Errorf("template: %s: its file is another one", e.Label())
	}
	return file, nil
}
