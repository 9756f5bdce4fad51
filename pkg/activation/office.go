package activation

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/checkdigit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// The functions of this file act on lines of one letter, which the caller has locked
// (Lock) and compared with what was seen. numbers are the lines' numbers; none means all
// that the step can be taken with. Beside the errors that they name they return those of
// Chosen, ErrReasonMissing and postgres.ErrStale.

// Receive records the day on which the letter on paper came in (features.md J01); a later
// day replaces an earlier one only while no line is registered. Errors: *machine.RoleError,
// *machine.IllegalError for a draft, ErrReceivedBefore.
func Receive(ctx context.Context, tx *postgres.Tx, l Letter, on clock.Date, c request.Change) error {
	if c.Actor.Role != request.Persuratan {
		return &machine.RoleError{Machine: Machine.Name, Verb: VerbRegister, Role: c.Actor.Role}
	}
	if l.State != LetterSubmitted {
		return &machine.IllegalError{Machine: LetterMachine.Name, From: l.State, Verb: VerbRegister}
	}
	if l.ReceivedOn != nil && *l.ReceivedOn != on {
		var registered bool
		if err := tx.Get(ctx, &registered, `
			SELECT EXISTS (SELECT FROM activation WHERE letter_id = $1 AND state NOT IN ('submitted', 'returned', 'validated', 'cancelled'))`, l.ID); err != nil {
			return fmt.Errorf("activation: receiving the letter: %w", err)
		}
		if registered {
			return ErrReceivedBefore
		}
	}
	if err := tx.ExecOne(ctx, `UPDATE activation_letter SET received_on = $3, version = version + 1 WHERE id = $1 AND version = $2`, l.ID, l.Version, on); err != nil {
		return fmt.Errorf("activation: receiving the letter: %w", err)
	}
	return nil
}

// Register registers lines once the letter on paper is in. Error: ErrNoPaper.
func Register(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, c request.Change) error {
	chosen, err := Chosen(ctx, tx, l, numbers, VerbRegister, c.Actor.Role)
	if err != nil {
		return err
	}
	if l.ReceivedOn == nil {
		return ErrNoPaper
	}
	return take(ctx, tx, chosen, VerbRegister, c, "")
}

// Approve is the Dirjen's disposition (features.md J08).
func Approve(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, c request.Change) error {
	return simply(ctx, tx, l, numbers, VerbApprove, c, "")
}

// Dispose records the disposition of the Direktur FPDDK, received on a day (J08).
func Dispose(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, on clock.Date, c request.Change) error {
	return simply(ctx, tx, l, numbers, VerbDispose, c, "disposed_on = $5", on)
}

// Return sends lines back with a reason; what was decided on them is void.
func Return(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, c request.Change) error {
	return simply(ctx, tx, l, numbers, VerbReturn, c, "disposed_on = NULL")
}

// Reject ends lines with a reason.
func Reject(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, c request.Change) error {
	return simply(ctx, tx, l, numbers, VerbReject, c, "")
}

// Cancel is the lembaga's: it takes lines back that are not approved yet.
func Cancel(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, c request.Change) error {
	return simply(ctx, tx, l, numbers, VerbCancel, c, "")
}

func simply(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, verb machine.Verb, c request.Change, set string, args ...any) error {
	chosen, err := Chosen(ctx, tx, l, numbers, verb, c.Actor.Role)
	if err != nil {
		return err
	}
	return take(ctx, tx, chosen, verb, c, set, args...)
}

// Accept confirms the disposition (features.md J08, J09): the lembaga's PKS must be in
// force on the day, and is held so until the transaction ends. The lines get the serials of
// their manifests and one reply letter. Errors: ErrNotDisposed, ErrCardNotReady,
// *institution.NotInForceError.
func Accept(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, c request.Change) error {
	chosen, err := Chosen(ctx, tx, l, numbers, VerbAccept, c.Actor.Role)
	if err != nil {
		return err
	}
	for _, a := range chosen {
		if a.DisposedOn == nil {
			return ErrNotDisposed
		}
	}
	on := clock.DateOf(c.OfficeAt)
	if err := institution.HoldLembaga(ctx, tx, []string{l.Lembaga}, on); err != nil {
		return err
	}
	reply, err := openReply(ctx, tx, l.ID, on, c)
	if err != nil {
		return err
	}
	serials, err := manifestSerials(ctx, tx, on.Year, len(chosen))
	if err != nil {
		return err
	}
	return take(ctx, tx, chosen, VerbAccept, c, `accepted_on = $5, reply_id = $6::uuid, manifest_serial = ($8::text[])[array_position($7::uuid[], a.id)]`,
		on, reply, pq.Array(idsOf(chosen)), pq.Array(serials))
}

func idsOf(of []Activation) []string {
	ids := make([]string, len(of))
	for i, a := range of {
		ids[i] = a.ID
	}
	return ids
}

// openReply begins the reply letter of lines of one letter that are accepted now.
func openReply(ctx context.Context, tx *postgres.Tx, letterID string, on clock.Date, c request.Change) (string, error) {
	replies, err := openReplies(ctx, tx, []string{letterID}, on, c)
	return replies[letterID], err
}

// openReplies begins one reply letter for each of the letters, and returns their ids by the
// letters'; one statement, however many.
func openReplies(ctx context.Context, tx *postgres.Tx, letters []string, on clock.Date, c request.Change) (map[string]string, error) {
	replies, ids := make(map[string]string, len(letters)), make([]string, len(letters))
	for i, l := range letters {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("activation: id: %w", err)
		}
		ids[i], replies[l] = id.String(), id.String()
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO activation_reply (id, letter_id, ordinal, accepted_on, accepted_by)
		SELECT n.id, n.letter, (SELECT count(*) + 1 FROM activation_reply y WHERE y.letter_id = n.letter), $3, $4
		FROM unnest($1::uuid[], $2::uuid[]) AS n (id, letter)`, pq.Array(ids), pq.Array(letters), on, c.Actor.Name); err != nil {
		return nil, fmt.Errorf("activation: reply: %w", err)
	}
	return replies, nil
}

// Reply is what one surat balasan tells: the lines that were accepted at once.
type Reply struct {
	ID         string     `db:"id"`
	LetterID   string     `db:"letter_id"`
	Ordinal    int        `db:"ordinal"` // of the letter's replies, from 1
	AcceptedOn clock.Date `db:"accepted_on"`
	// Reissued says that its readers were active before, under manifests whose signing key
	// was given up.
	Reissued bool `db:"reissued"`
}

// GetReply returns a reply with its lines in their order. Error: ErrNotFound.
func GetReply(ctx context.Context, rd postgres.Reader, id string) (r Reply, of []Activation, err error) {
	if r, err = one[Reply](ctx, rd, `
		SELECT y.id, y.letter_id, y.ordinal, y.accepted_on,
		       EXISTS (SELECT FROM activation a JOIN activation o ON o.id = a.replaces WHERE a.reply_id = y.id AND o.cause = 'signing_key') AS reissued
		FROM activation_reply y WHERE y.id = $1`, id); err != nil {
		return r, nil, err
	}
	of, err = lines(ctx, rd, `WHERE a.reply_id = $1 ORDER BY a.line`, id)
	return r, of, err
}

// manifestSerials gives the next n serials of manifests, which the sequence gives once. On
// each timeline of the write-ahead log, so after a restore, they go on where none were
// given before: what was signed after the moment of a backup is out there.
func manifestSerials(ctx context.Context, tx *postgres.Tx, year, n int) ([]string, error) {
	var numbers []int64
	if err := tx.Select(ctx, &numbers, `
		SELECT nextval('activation_manifest_serial') + (wal_timeline() - 1)::bigint * 10000000 FROM generate_series(1, $1::int)`, n); err != nil {
		return nil, fmt.Errorf("activation: manifest serials: %w", err)
	}
	serials := make([]string, n)
	for i, number := range numbers {
		serials[i] = checkdigit.Number(manifestKind, year, number)
	}
	return serials, nil
}

// Skipped are the numbers that a restore leaves out.
type Skipped struct{ TicketsFrom, TicketsTo, ManifestsFrom, ManifestsTo int64 }

// SkipNumbers leaves out the next n numbers of tickets and of manifests: after a restore
// they may have been given already. It wants the owner of the schema.
func SkipNumbers(ctx context.Context, tx *postgres.Tx, n int64) (s Skipped, err error) {
	for _, one := range []struct {
		sequence string
		from, to *int64
	}{{"activation_ticket", &s.TicketsFrom, &s.TicketsTo}, {"activation_manifest_serial", &s.ManifestsFrom, &s.ManifestsTo}} {
		if err := tx.Get(ctx, one.from, `SELECT nextval($1::regclass)`, one.sequence); err != nil {
			return s, fmt.Errorf("activation: numbers: %w", err)
		}
		*one.to = *one.from + n - 1
		if _, err := tx.Exec(ctx, `SELECT setval($1::regclass, $2)`, one.sequence, *one.to); err != nil {
			return s, fmt.Errorf("activation: numbers: %w", err)
		}
	}
	return s, nil
}
