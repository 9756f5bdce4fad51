package identity

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Kinds of a change that gives power in the office.
const (
	CreateAccount   = "create"
	ChangeAccount   = "change"
	ActivateAccount = "activate"
	ResetAccount    = "reset"
)

// States of a proposed change.
const (
	ChangeWaiting   = "waiting"
	ChangeConfirmed = "confirmed"
	ChangeRefused   = "refused"
	ChangeExpired   = "expired"
)

const (
	// ChangeLife is how long a proposed change waits for its second keeper.
	ChangeLife = 7 * 24 * time.Hour
	// PasswordMemory is how long two accounts count as one person after one of them
	// saw the other's password for once.
	PasswordMemory = 30 * 24 * time.Hour
)

var (
	// ErrChangeOpen says that another change of the same account waits already.
	ErrChangeOpen = errors.New("identity: another change of this account waits")
	// ErrChangeClosed says that a change was decided, or waited too long.
	ErrChangeClosed = errors.New("identity: change is decided or expired")
	// ErrOvertaken says that the account or whoever proposed its change is no longer
	// as they were then.
	ErrOvertaken = errors.New("identity: change is overtaken")
	// ErrSamePerson says that whoever proposed a change, or whom it is about, cannot
	// confirm it.
	ErrSamePerson = errors.New("identity: the second keeper must be another person")
	// ErrSameRole says that a keeper of the other role is there to confirm.
	ErrSameRole = errors.New("identity: the second keeper must have the other role")
	// ErrSawPassword says that one of two people has seen the other's password, so
	// that they may be one.
	ErrSawPassword = errors.New("identity: one of the two has seen the other's password")
)

// Change is a change of an account that gives power in the office. It takes effect
// when a second keeper confirms it.
type Change struct {
	ID           string       `db:"id"`
	Kind         string       `db:"kind"`
	AccountID    string       `db:"account_id"`
	Username     string       `db:"username"`
	Raw          []byte       `db:"detail"`
	ProposedByID string       `db:"proposed_by"`
	ProposedBy   string       `db:"proposer"` // user name
	ProposerRole machine.Role `db:"proposer_role"`
	ProposedAt   time.Time    `db:"proposed_at"`
	ExpiresAt    time.Time    `db:"expires_at"`
	ConfirmedAt  *time.Time   `db:"confirmed_at"`
	RefusedAt    *time.Time   `db:"refused_at"`
	DecidedBy    *string      `db:"decider"` // user name
	Reason       string       `db:"reason"`  // why it was refused
	changeDetail
}

// changeDetail is the account as it was seen, none for a new one, and as it will
// be. Version of To is what was seen.
type changeDetail struct {
	From *Account
	To   Account
}

// State is what the change is at a time of the machine clock.
func (c Change) State(now time.Time) string {
	switch {
	case c.ConfirmedAt != nil:
		return ChangeConfirmed
	case c.RefusedAt != nil:
		return ChangeRefused
	case !now.Before(c.ExpiresAt):
		return ChangeExpired
	}
	return ChangeWaiting
}

// DecidedAt is when it was confirmed or refused; nil while it was not.
func (c Change) DecidedAt() *time.Time {
	if c.ConfirmedAt != nil {
		return c.ConfirmedAt
	}
	return c.RefusedAt
}

// GivesPassword says whether confirming gives the account a password for once. A
// person who comes from an institution gets one too: a single keeper may have set
// the present one.
func (c Change) GivesPassword() bool {
	return c.Kind == CreateAccount || c.Kind == ResetAccount || c.Kind == ChangeAccount && c.From != nil && !Office(c.From.Role)
}

const selectChange = `
	SELECT c.id, c.kind, c.account_id, c.username, c.detail, c.proposed_by, p.username AS proposer, p.role AS proposer_role, c.proposed_at,
	       c.expires_at, c.confirmed_at, c.refused_at, d.username AS decider, c.reason
	FROM account_change c JOIN account p ON p.id = c.proposed_by LEFT JOIN account d ON d.id = coalesce(c.confirmed_by, c.refused_by) `

// GetChange returns the change with this id. Error: ErrNotFound.
func GetChange(ctx context.Context, rd postgres.Reader, id string) (Change, error) {
	var c Change
	err := rd.Get(ctx, &c, selectChange+`WHERE c.id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return c, ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal(c.Raw, &c.changeDetail)
	}
	if err != nil {
		return c, fmt.Errorf("identity: reading change: %w", err)
	}
	return c, nil
}

// ChangeFilter narrows a list of changes. Zero values do not narrow.
type ChangeFilter struct {
	Waiting bool
	After   string // the id of a change: only those behind it in the list
	Limit   int
}

// Changes returns changes, newest first. now is machine time: they expire by it.
func Changes(ctx context.Context, rd postgres.Reader, f ChangeFilter, now time.Time) ([]Change, error) {
	list := []Change{}
	err := rd.Select(ctx, &list, selectChange+`
		WHERE (NOT $1 OR c.confirmed_at IS NULL AND c.refused_at IS NULL AND c.expires_at > $2)
		  AND ($3 = '' OR c.id < nullif($3, '')::uuid)
		ORDER BY c.id DESC LIMIT $4`, f.Waiting, now.UTC(), f.After, f.Limit)
	for i := 0; err == nil && i < len(list); i++ {
		err = json.Unmarshal(list[i].Raw, &list[i].changeDetail)
	}
	if err != nil {
		return nil, fmt.Errorf("identity: list of changes: %w", err)
	}
	return list, nil
}

// WaitingChanges counts the changes that wait for a second keeper.
func WaitingChanges(ctx context.Context, rd postgres.Reader, now time.Time) (n int, err error) {
	err = rd.Get(ctx, &n, `SELECT count(*) FROM account_change WHERE confirmed_at IS NULL AND refused_at IS NULL AND expires_at > $1`, now.UTC())
	if err != nil {
		return 0, fmt.Errorf("identity: counting changes: %w", err)
	}
	return n, nil
}

// Propose writes a change that one keeper may not make alone, which a says as
// CreatePerson, ChangePerson, SetPersonActive or ResetPassword would; a change or
// a reset is as of the version in a. Errors: form.Faults, ErrNotFound, ErrAlready,
// ErrOwnAccount, ErrLastOfRole, ErrChangeOpen, postgres.ErrStale.
func Propose(ctx context.Context, tx *postgres.Tx, kind string, a Account, by Account, now time.Time) (Change, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Change{}, fmt.Errorf("identity: id: %w", err)
	}
	if kind == CreateAccount {
		a.ID, a.Version = id.String(), 0
	}
	if err := lockKeepers(ctx, tx, a.ID); err != nil {
		return Change{}, err
	}
	detail, err := proposed(ctx, tx, kind, a, by)
	if err != nil {
		return Change{}, err
	}
	var open bool
	if err := tx.Get(ctx, &open, `
		SELECT EXISTS (SELECT FROM account_change WHERE username = $1 AND confirmed_at IS NULL AND refused_at IS NULL AND expires_at > $2)`,
		detail.To.Username, now.UTC()); err != nil {
		return Change{}, fmt.Errorf("identity: other changes: %w", err)
	}
	if open {
		return Change{}, ErrChangeOpen
	}
	raw, err := json.Marshal(detail)
	if err != nil {
		return Change{}, fmt.Errorf("identity: change: %w", err)
	}
	if err := tx.ExecOne(ctx, `
		INSERT INTO account_change (id, kind, account_id, username, detail, proposed_by, proposed_at, expires_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		id.String(), kind, detail.To.ID, detail.To.Username, raw, by.ID, now.UTC(), now.Add(ChangeLife).UTC()); err != nil {
		return Change{}, fmt.Errorf("identity: proposing: %w", err)
	}
	return GetChange(ctx, tx, id.String())
}

// proposed checks a change as far as it can be before it is made.
func proposed(ctx context.Context, tx *postgres.Tx, kind string, a, by Account) (d changeDetail, err error) {
	if kind == CreateAccount {
		if err := a.checkNew(ctx, tx); err != nil {
			return d, err
		}
		var used bool
		if err := tx.Get(ctx, &used, `SELECT EXISTS (SELECT FROM account WHERE username = $1)`, a.Username); err != nil {
			return d, fmt.Errorf("identity: user name: %w", err)
		}
		if used {
			return d, usedName()
		}
		return changeDetail{To: a}, nil
	}
	now, err := GetPerson(ctx, tx, a.ID)
	switch {
	case err != nil:
		return d, err
	case now.Version != a.Version:
		return d, postgres.ErrStale
	case a.ID == by.ID:
		return d, ErrOwnAccount
	case kind == ActivateAccount && now.Active:
		return d, ErrAlready
	}
	if kind != ChangeAccount {
		return changeDetail{From: &now.Account, To: now.Account}, nil
	}
	a.Username = now.Username
	var faults form.Faults
	if err := a.check(ctx, tx, &faults); err != nil {
		return d, err
	}
	return changeDetail{From: &now.Account, To: a}, notLast(ctx, tx, now)
}

// May says whether somebody may confirm a change now. Errors: ErrChangeClosed,
// ErrSamePerson, ErrOvertaken, ErrSameRole, ErrSawPassword.
func (c Change) May(ctx context.Context, rd postgres.Reader, by Account, now time.Time) error {
	if c.State(now) != ChangeWaiting {
		return ErrChangeClosed
	}
	if by.ID == c.ProposedByID || by.ID == c.AccountID {
		return ErrSamePerson
	}
	var see struct {
		Keepers int  `db:"keepers"` // of the two
		Other   bool `db:"other"`   // somebody of another role could confirm
		Saw     bool `db:"saw"`
	}
	// A keeper of the same role confirms only where none of the other could.
	err := rd.Get(ctx, &see, `
		WITH saw AS (SELECT account_id AS a, confirmed_by AS b FROM account_change WHERE gave_password AND confirmed_at > $4)
		SELECT (SELECT count(*) FROM account WHERE id IN ($1, $2) AND active AND role IN ('operator', 'kasubdit')) AS keepers,
		       EXISTS (SELECT FROM account o JOIN account p ON p.id = $1
		               WHERE o.active AND o.role IN ('operator', 'kasubdit') AND o.role <> p.role AND o.id <> $3
		                 AND NOT EXISTS (SELECT FROM saw WHERE (a, b) IN ((o.id, p.id), (p.id, o.id)))) AS other,
		       EXISTS (SELECT FROM saw WHERE (a, b) IN (($1::uuid, $2::uuid), ($2::uuid, $1::uuid))) AS saw`,
		c.ProposedByID, by.ID, c.AccountID, now.Add(-PasswordMemory).UTC())
	switch {
	case err != nil:
		return fmt.Errorf("identity: second keeper: %w", err)
	case see.Keepers < 2:
		return ErrOvertaken
	case see.Saw:
		return ErrSawPassword
	case see.Other && by.Role == c.ProposerRole:
		return ErrSameRole
	}
	return nil
}

// Confirm is the second keeper's word: it makes the change, now. password is for a
// change that gives one and may be empty for others. Errors: ErrNotFound, those of
// Change.May, and those of making the change: form.Faults, ErrAlready,
// ErrLastOfRole.
func Confirm(ctx context.Context, tx *postgres.Tx, id string, by Account, password OneTime, now time.Time) (c Change, p Person, err error) {
	if c, err = lockChange(ctx, tx, id); err != nil {
		return c, p, err
	}
	if err := c.May(ctx, tx, by, now); err != nil {
		return c, p, err
	}
	if c.GivesPassword() && password.hash == "" {
		return c, p, errors.New("identity: confirming needs a password for once")
	}
	if p, err = c.make(ctx, tx, password); errors.Is(err, postgres.ErrStale) || errors.Is(err, ErrNotFound) {
		return c, p, ErrOvertaken
	}
	if err != nil {
		return c, p, err
	}
	if err := tx.ExecOne(ctx, `UPDATE account_change SET confirmed_by=$2, confirmed_at=$3, gave_password=$4 WHERE id=$1`,
		id, by.ID, now.UTC(), c.GivesPassword()); err != nil {
		return c, p, fmt.Errorf("identity: confirming: %w", err)
	}
	c, err = GetChange(ctx, tx, id)
	return c, p, err
}

// make does what was proposed, in the name of whoever proposed it.
func (c Change) make(ctx context.Context, tx *postgres.Tx, password OneTime) (p Person, err error) {
	switch c.Kind {
	case CreateAccount:
		return createPerson(ctx, tx, c.To, password)
	case ActivateAccount:
		return setActive(ctx, tx, c.AccountID, c.To.Version, true, c.ProposedByID)
	case ResetAccount:
		return resetPassword(ctx, tx, c.AccountID, c.To.Version, password, c.ProposedByID)
	}
	if p, err = changePerson(ctx, tx, c.To, c.ProposedByID); err != nil || !c.GivesPassword() {
		return p, err
	}
	return resetPassword(ctx, tx, c.AccountID, p.Version, password, c.ProposedByID)
}

// Refuse lays a change aside; whoever proposed it takes it back in this way.
// Errors: ErrNotFound, ErrChangeClosed, form.Faults.
func Refuse(ctx context.Context, tx *postgres.Tx, id string, by Account, reason string, now time.Time) (Change, error) {
	var faults form.Faults
	faults.Need("/reason", "Alasan", &reason, 2000)
	if err := faults.Err(); err != nil {
		return Change{}, err
	}
	c, err := lockChange(ctx, tx, id)
	if err != nil {
		return c, err
	}
	if c.State(now) != ChangeWaiting {
		return c, ErrChangeClosed
	}
	if err := tx.ExecOne(ctx, `UPDATE account_change SET refused_by=$2, refused_at=$3, reason=$4 WHERE id=$1`, id, by.ID, now.UTC(), reason); err != nil {
		return c, fmt.Errorf("identity: refusing: %w", err)
	}
	return GetChange(ctx, tx, id)
}

// lockChange locks a change to be decided, after the accounts that it is about:
// two who decide at once wait for each other.
func lockChange(ctx context.Context, tx *postgres.Tx, id string) (Change, error) {
	c, err := GetChange(ctx, tx, id)
	if err != nil {
		return c, err
	}
	if err := lockKeepers(ctx, tx, c.AccountID); err != nil {
		return c, err
	}
	var locked string
	if err := tx.Get(ctx, &locked, `SELECT id FROM account_change WHERE id = $1 FOR UPDATE`, id); err != nil {
		return c, fmt.Errorf("identity: locking change: %w", err)
	}
	return GetChange(ctx, tx, id)
}

// SawPassword says whether one of two people, by their user names, saw the other's
// password for once in the last PasswordMemory: then they may be one person, and
// do not count as two where two people decide.
func SawPassword(ctx context.Context, rd postgres.Reader, one, other string, now time.Time) (saw bool, err error) {
	err = rd.Get(ctx, &saw, `
		SELECT EXISTS (
			SELECT FROM account_change c JOIN account a ON a.id = c.account_id JOIN account b ON b.id = c.confirmed_by
			WHERE c.gave_password AND c.confirmed_at > $3 AND (a.username, b.username) IN (($1, $2), ($2, $1)))`,
		one, other, now.Add(-PasswordMemory).UTC())
	if err != nil {
		return false, fmt.Errorf("identity: who saw a password: %w", err)
	}
	return saw, nil
}
