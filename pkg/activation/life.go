package activation

import (
	"context"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Why an activation does not count, as the revocation list tells it.
const (
	CauseSuspended    = "suspended"
	CausePKSWithdrawn = "pks_withdrawn"
	CauseRevoked      = "revoked"
	CauseReplaced     = "reader_replaced"
	CauseLost         = "lost"
	CauseStolen       = "stolen"
	// CauseSigningKey says that the key that signed the manifest was given up: another
	// manifest of the same reader counts, see Reissue.
	CauseSigningKey = "signing_key"
)

// CauseLabels are the causes in the users' words.
var CauseLabels = map[string]string{
	CauseSuspended: "Ditangguhkan", CausePKSWithdrawn: "PKS dicabut", CauseRevoked: "Dicabut", CauseReplaced: "Reader diganti",
	CauseLost: "Hilang", CauseStolen: "Dicuri", CauseSigningKey: "Kunci penanda tangan diganti",
}

// ending are the verbs that end an activation, with the cause of each.
var ending = map[machine.Verb]string{VerbRevoke: CauseRevoked, VerbLost: CauseLost, VerbStolen: CauseStolen}

// WantsLines says whether a verb is taken for lines that are named only: what it does is for
// good, or lifts a ban.
func WantsLines(verb machine.Verb) bool {
	return ending[verb] != "" || verb == VerbCancel || verb == VerbFound
}

// Suspend takes lines out of force for a while, with a reason.
func Suspend(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, c request.Change) error {
	return simply(ctx, tx, l, numbers, VerbSuspend, c, "cause = $5", CauseSuspended)
}

// Resume puts lines back where they were, while the lembaga's PKS is in force. Error:
// *institution.NotInForceError.
func Resume(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, c request.Change) error {
	chosen, err := Chosen(ctx, tx, l, numbers, VerbResume, c.Actor.Role)
	if err != nil {
		return err
	}
	if err := institution.HoldLembaga(ctx, tx, []string{l.Lembaga}, clock.DateOf(c.OfficeAt)); err != nil {
		return err
	}
	return take(ctx, tx, chosen, VerbResume, c, "cause = ''")
}

// End revokes lines for good: by VerbRevoke, VerbLost or VerbStolen, with a reason.
func End(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, verb machine.Verb, c request.Change) error {
	cause, ok := ending[verb]
	if !ok {
		return &machine.IllegalError{Machine: Machine.Name, Verb: verb}
	}
	return simply(ctx, tx, l, numbers, verb, c, "cause = $5", cause)
}

// Missing says whether a line's reader was reported lost or stolen and not found since.
func (a Activation) Missing() bool {
	return a.State == Revoked && (a.Cause == CauseLost || a.Cause == CauseStolen) && a.FoundOn == nil
}

// Found records that readers which were reported lost or stolen are back, with their cards,
// and that somebody looked at them: they may be asked for again in a new letter. The old
// activation and its manifest stay revoked. Error: ErrNotMissing.
func Found(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, c request.Change) error {
	chosen, err := Chosen(ctx, tx, l, numbers, VerbFound, c.Actor.Role)
	if err != nil {
		return err
	}
	for _, a := range chosen {
		if !a.Missing() {
			return ErrNotMissing
		}
	}
	return take(ctx, tx, chosen, VerbFound, c, "found_on = $5", clock.DateOf(c.OfficeAt))
}

// Move records that a reader stands elsewhere now. Its manifest stays in force: it says
// where the reader stood when it was made.
func Move(ctx context.Context, tx *postgres.Tx, l Letter, number int, address, region string, c request.Change) error {
	chosen, err := Chosen(ctx, tx, l, []int{number}, VerbMove, c.Actor.Role)
	if err != nil {
		return err
	}
	c.Detail = map[string]any{"address": address, "region": region, "address_before": chosen[0].Address, "region_before": chosen[0].Region}
	return take(ctx, tx, chosen, VerbMove, c, "address = $5, region = $6", address, region)
}

// Replacement is the reader that a card goes into instead.
type Replacement struct{ Reader, Address, Region string }

// Replace revokes a line and accepts another one for the same card in another reader,
// which gets a manifest and a reply letter of its own. Errors: ErrReaderTaken,
// ErrReaderMissing, ErrCardNotReady, *institution.NotInForceError.
func Replace(ctx context.Context, tx *postgres.Tx, l Letter, number int, to Replacement, c request.Change) (Activation, error) {
	chosen, err := Chosen(ctx, tx, l, []int{number}, VerbReplace, c.Actor.Role)
	if err != nil {
		return Activation{}, err
	}
	if err := oneClaims(ctx, tx); err != nil {
		return Activation{}, err
	}
	old, on := chosen[0], clock.DateOf(c.OfficeAt)
	if err := readerFree(ctx, tx, to.Reader, *old.CardID); err != nil {
		return Activation{}, err
	}
	if err := institution.HoldLembaga(ctx, tx, []string{l.Lembaga}, on); err != nil {
		return Activation{}, err
	}
	told := c
	told.Detail = map[string]any{"reader_serial": to.Reader}
	if err := take(ctx, tx, chosen, VerbReplace, told, "cause = $5", CauseReplaced); err != nil {
		return Activation{}, err
	}
	told.Detail = map[string]any{"replaces": old.Reader}
	made, err := succeed(ctx, tx, []heir{{old, to.Reader, to.Address, to.Region}}, VerbReplace, told)
	if err != nil {
		return Activation{}, err
	}
	return made[0], pair(ctx, tx, []string{*old.CardID}, []string{to.Reader}, SourceReplacement, c)
}

// SuspendLembaga suspends all activations of a lembaga whose PKS was withdrawn, in one
// act, and says how many. Errors: *machine.RoleError, ErrReasonMissing.
func SuspendLembaga(ctx context.Context, tx *postgres.Tx, lembagaID string, c request.Change) (int, error) {
	return ofLembaga(ctx, tx, lembagaID, VerbSuspend, c, `a.state IN ('accepted', 'manifest_ready', 'delivered', 'active')`, CausePKSWithdrawn)
}

// ResumeLembaga takes SuspendLembaga back, for what it suspended. Errors: as there.
func ResumeLembaga(ctx context.Context, tx *postgres.Tx, lembagaID string, c request.Change) (int, error) {
	return ofLembaga(ctx, tx, lembagaID, VerbResume, c, `a.state = 'suspended' AND a.cause = 'pks_withdrawn'`, "")
}

// SuspendedWithPKS says how many activations of a lembaga a withdrawn PKS keeps suspended.
func SuspendedWithPKS(ctx context.Context, rd postgres.Reader, lembagaID string) (n int, err error) {
	if err := rd.Get(ctx, &n, `
		SELECT count(*) FROM activation a JOIN activation_letter t ON t.id = a.letter_id
		WHERE t.lembaga_id = $1 AND a.state = 'suspended' AND a.cause = 'pks_withdrawn'`, lembagaID); err != nil {
		return 0, fmt.Errorf("activation: suspended with a PKS: %w", err)
	}
	return n, nil
}

func ofLembaga(ctx context.Context, tx *postgres.Tx, lembagaID string, verb machine.Verb, c request.Change, where, cause string) (int, error) {
	var letters []string
	if err := tx.Select(ctx, &letters, `
		SELECT DISTINCT a.letter_id FROM activation a JOIN activation_letter t ON t.id = a.letter_id WHERE t.lembaga_id = $1 AND `+where, lembagaID); err != nil {
		return 0, fmt.Errorf("activation: of a lembaga: %w", err)
	}
	if len(letters) == 0 {
		return 0, nil
	}
	if err := lockLetters(ctx, tx, letters); err != nil {
		return 0, err
	}
	all, err := lines(ctx, tx, `WHERE t.lembaga_id = $1 AND `+where+` ORDER BY a.id`, lembagaID)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return len(all), take(ctx, tx, all, verb, c, "cause = $5", cause)
}
