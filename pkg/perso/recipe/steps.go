package recipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
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

// orderLock keeps the approvals of editions apart, so that two that contradict each
// other cannot both look at the time before; the number only has to be ours.
const orderLock = 0x51F1_1A20

// Write writes a new edition as a draft. Its number is the one after the newest.
// Errors: form.Faults, *machine.RoleError.
func Write(ctx context.Context, tx *postgres.Tx, kind Kind, content []byte, ch Change) (Recipe, error) {
	p, err := Check(kind, content)
	if err != nil {
		return Recipe{}, err
	}
	var newest int
	if err := tx.Get(ctx, &newest, `SELECT coalesce(max(edition), 0) FROM recipe WHERE kind = $1 AND code = $2`, string(kind), p.code); err != nil {
		return Recipe{}, fmt.Errorf("recipe: newest edition: %w", err)
	}
	if p.edition != newest+1 {
		return Recipe{}, wrongEdition(newest + 1)
	}
	return insert(ctx, tx, kind, content, p, false, ch)
}

func wrongEdition(next int) error {
	return form.One("/content/version", "wrong_edition", fmt.Sprintf("/version: Edisi berikutnya adalah %d.", next))
}

func insert(ctx context.Context, tx *postgres.Tx, kind Kind, content []byte, p parsed, shipped bool, ch Change) (Recipe, error) {
	if err := Machine.May("", WriteVerb, ch.Actor.Role); err != nil {
		return Recipe{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Recipe{}, fmt.Errorf("recipe: id: %w", err)
	}
	columns, values := `id, kind, code, edition, content, content_sha256, state, version, authors, written_at`, `$1,$2,$3,$4,$5,sha256($5),'draft',1,ARRAY[$6],$7`
	if shipped { // a column that nobody else may set
		columns, values = columns+`, shipped`, values+`, true`
	}
	_, err = tx.Exec(ctx, `INSERT INTO recipe (`+columns+`) VALUES (`+values+`)`,
		id.String(), string(kind), p.code, p.edition, content, ch.Actor.Name, ch.OfficeAt.UTC())
	if postgres.IsUnique(err, "recipe_kind_code_edition_key") { // somebody was quicker
		return Recipe{}, wrongEdition(p.edition + 1)
	}
	if err != nil {
		return Recipe{}, fmt.Errorf("recipe: writing: %w", err)
	}
	r, err := Get(ctx, tx, id.String())
	if err != nil {
		return r, err
	}
	step, err := Machine.Find("", WriteVerb)
	if err != nil {
		return r, err
	}
	return r, record(ctx, tx, r, step, ch)
}

func record(ctx context.Context, tx *postgres.Tx, r Recipe, step machine.Step, ch Change) error {
	return Machine.Write(ctx, tx, machine.Record{
		Subject: r.ID, Version: r.Version, Step: step, Actor: ch.Actor, Reason: ch.Reason, OfficeAt: ch.OfficeAt,
		Detail: map[string]any{"kind": r.Kind, "label": r.Label(), "sha256": fmt.Sprintf("%x", r.SHA256)},
	})
}

// take takes a step with an edition that was seen, and sets what set says, with
// parameters from $4 on.
func take(ctx context.Context, tx *postgres.Tx, r Recipe, verb machine.Verb, ch Change, set string, args ...any) (Recipe, error) {
	step, err := Machine.Step(r.State, verb, ch.Actor.Role)
	if err != nil {
		return r, err
	}
	if err := tx.ExecOne(ctx, `UPDATE recipe SET state=$3, version=version+1`+set+` WHERE id=$1 AND version=$2`,
		append([]any{r.ID, r.Version, string(step.To)}, args...)...); err != nil {
		return r, fmt.Errorf("recipe: %s: %w", verb, err)
	}
	if r, err = Get(ctx, tx, r.ID); err != nil {
		return r, err
	}
	return r, record(ctx, tx, r, step, ch)
}

// seen locks an edition. postgres.ErrStale when it is not as it was seen.
func seen(ctx context.Context, tx *postgres.Tx, s Seen) (Recipe, error) {
	r, err := one(ctx, tx, `WHERE id = $1 FOR NO KEY UPDATE`, s.ID)
	if err == nil && r.Version != s.Version {
		err = postgres.ErrStale
	}
	return r, err
}

// Rewrite gives a draft another content. Errors: ErrNotFound, form.Faults,
// postgres.ErrStale, *machine.IllegalError, *machine.RoleError.
func Rewrite(ctx context.Context, tx *postgres.Tx, s Seen, content []byte, ch Change) (Recipe, error) {
	r, err := seen(ctx, tx, s)
	if err != nil {
		return r, err
	}
	p, err := Check(r.Kind, content)
	if err != nil {
		return r, err
	}
	if p.code != r.Code || p.edition != r.Edition {
		return r, form.One("/content", "differs", "Nama dan versi konsep ini tetap "+r.Label()+".")
	}
	authors := r.Authors
	if !slices.Contains(authors, ch.Actor.Name) {
		authors = append(authors, ch.Actor.Name)
	}
	return take(ctx, tx, r, ChangeVerb, ch, `, content=$4, content_sha256=sha256($4), authors=$5, written_at=$6`, content, pq.Array(authors), ch.OfficeAt.UTC())
}

// Propose asks for the second person. Errors as of Rewrite.
func Propose(ctx context.Context, tx *postgres.Tx, s Seen, ch Change) (Recipe, error) {
	r, err := seen(ctx, tx, s)
	if err != nil {
		return r, err
	}
	if err := rests(ctx, tx, r); err != nil {
		return r, err
	}
	return take(ctx, tx, r, ProposeVerb, ch, `, proposed_by=$4`, ch.Actor.Name)
}

// Approve is the second person's word: the edition is in force from now on, and the
// one before is superseded. Errors: as of Rewrite, ErrSamePerson, ErrSawPassword,
// ErrNoKasubdit, and for a profile ErrNotTried.
func Approve(ctx context.Context, tx *postgres.Tx, s Seen, ch Change) (Recipe, error) {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(orderLock)); err != nil {
		return Recipe{}, fmt.Errorf("recipe: lock: %w", err)
	}
	r, err := seen(ctx, tx, s)
	if err != nil {
		return r, err
	}
	if err := Machine.May(r.State, ApproveVerb, ch.Actor.Role); err != nil {
		return r, err
	}
	if err := second(ctx, tx, r, ch); err != nil {
		return r, err
	}
	if err := rests(ctx, tx, r); err != nil {
		return r, err
	}
	if ch.Actor.Role != setUpRole { // it puts in force what was tried before it was shipped
		if err := tried(ctx, tx, r); err != nil {
			return r, err
		}
	}
	if before, err := InForce(ctx, tx, r.Kind, r.Code); err == nil {
		why := ch
		why.Reason = "digantikan oleh " + r.Label()
		if _, err := take(ctx, tx, before, SupersedeVerb, why, ``); err != nil {
			return r, err
		}
	} else if !errors.Is(err, ErrNotFound) {
		return r, err
	}
	return take(ctx, tx, r, ApproveVerb, ch, `, approved_by=$4`, ch.Actor.Name)
}

// second says whether whoever approves is the second of two people.
func second(ctx context.Context, tx *postgres.Tx, r Recipe, ch Change) error {
	if ch.Actor.Name == SetUp && ch.Actor.Role == setUpRole && r.Shipped {
		return nil // its own act; the database takes no other
	}
	if r.ProposedBy == nil || ch.Actor.Role == setUpRole || *r.ProposedBy == ch.Actor.Name || slices.Contains(r.Authors, ch.Actor.Name) {
		return ErrSamePerson
	}
	saw, err := identity.SawPassword(ctx, tx, *r.ProposedBy, ch.Actor.Name, ch.OfficeAt)
	if err != nil {
		return err
	}
	if saw {
		return ErrSawPassword
	}
	if ch.Actor.Role == request.Kasubdit {
		return nil
	}
	var role string
	if err := tx.Get(ctx, &role, `
		SELECT coalesce((SELECT role FROM history WHERE machine = $1 AND subject = $2 AND verb = $3 ORDER BY version DESC LIMIT 1), '')`,
		Machine.Name, r.ID, string(ProposeVerb)); err != nil {
		return fmt.Errorf("recipe: who proposed: %w", err)
	}
	if machine.Role(role) != request.Kasubdit {
		return ErrNoKasubdit
	}
	return nil
}

// rests says, as form.Faults, what a SAM type stands on that is not there, or what
// another type is for already; and which keys of a Kode Kunci are not to be used.
func rests(ctx context.Context, tx *postgres.Tx, r Recipe) error {
	if r.Kind == KeyCode {
		return usable(ctx, tx, r)
	}
	if r.Kind != SAMType {
		return nil
	}
	t, err := r.Type()
	if err != nil {
		return err
	}
	var f form.Faults
	for _, need := range []struct {
		pointer, code string
		kind          Kind
	}{{"/profile", t.Profile, Profile}, {"/key_code", t.KeyCode, KeyCode}} {
		if _, err := InForce(ctx, tx, need.kind, need.code); errors.Is(err, ErrNotFound) {
			f.Add(need.pointer, "not_in_force", "Tidak ada %s “%s” yang berlaku.", KindLabels[need.kind], need.code)
		} else if err != nil {
			return err
		}
	}
	others, err := types(ctx, tx)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.Code == t.Code {
			continue
		}
		if o.Default && t.Default {
			f.Add("/default", "used", "Jenis SAM “%s” sudah menjadi bawaan.", o.Code)
		}
		for i, u := range t.Uses {
			if slices.Contains(o.Uses, u) {
				f.Add(fmt.Sprintf("/uses/%d", i), "used", "Penggunaan ini sudah milik jenis SAM “%s”.", o.Code)
			}
		}
	}
	return below(f).Err()
}

// usable says, as form.Faults, which keys of a Kode Kunci were given up. The database
// refuses them too (recipe_keys_usable).
func usable(ctx context.Context, tx *postgres.Tx, r Recipe) error {
	k, err := profile.ParseKeyCode(r.Content)
	if err != nil {
		return err
	}
	labels := []string{k.Transport.Master, k.Final.Master, k.SecretWrap}
	book, err := keybook.Book{DB: tx}.Entries(ctx, labels...)
	if err != nil {
		return err
	}
	var f form.Faults
	for i, at := range []string{"/transport/master", "/final/master", "/secret_wrap"} {
		if book[labels[i]].Retired() {
			f.Add(at, "not_in_force", "Kunci “%s” sudah dihentikan. Pakai versi yang lebih baru.", labels[i])
		}
	}
	return below(f).Err()
}

// Refuse ends a proposal; whoever proposed takes it back by it. Errors as of
// Rewrite, ErrReasonMissing.
func Refuse(ctx context.Context, tx *postgres.Tx, s Seen, ch Change) (Recipe, error) {
	return end(ctx, tx, s, RefuseVerb, ch)
}

// Discard gives a draft up. Errors as of Refuse.
func Discard(ctx context.Context, tx *postgres.Tx, s Seen, ch Change) (Recipe, error) {
	return end(ctx, tx, s, DiscardVerb, ch)
}

// Withdraw stops an edition: no card is begun with it any more, also of orders that
// are tied to it. One person may: stopping is the safe side. Errors as of Refuse.
func Withdraw(ctx context.Context, tx *postgres.Tx, s Seen, ch Change) (Recipe, error) {
	return end(ctx, tx, s, WithdrawVerb, ch)
}

func end(ctx context.Context, tx *postgres.Tx, s Seen, verb machine.Verb, ch Change) (Recipe, error) {
	r, err := seen(ctx, tx, s)
	if err != nil {
		return r, err
	}
	if err := Machine.May(r.State, verb, ch.Actor.Role); err != nil {
		return r, err
	}
	if ch.Reason = strings.TrimSpace(ch.Reason); ch.Reason == "" {
		return r, ErrReasonMissing
	}
	return take(ctx, tx, r, verb, ch, ``)
}

// Shipped is a content that came with the program.
type Shipped struct {
	Kind    Kind
	Content []byte
	// Approved says that the set-up may approve it, where nothing of its code is there
	// yet. What is not waits for people, as a draft.
	Approved bool
}

// Ship puts in what came with the program and is not there yet, as the set-up's own
// act. What people wrote or approved stays: of a code that is there already, a new
// edition is a draft, and one whose number people have used is left out.
func Ship(ctx context.Context, tx *postgres.Tx, all []Shipped, ch Change) error {
	ch.Actor = machine.Actor{Name: SetUp, Role: setUpRole}
	if ch.Reason == "" {
		ch.Reason = "disertakan dengan program"
	}
	for _, s := range all {
		p, err := Check(s.Kind, s.Content)
		if err != nil {
			return fmt.Errorf("recipe: shipped %s: %w", s.Kind, err)
		}
		var newest int
		if err := tx.Get(ctx, &newest, `SELECT coalesce(max(edition), 0) FROM recipe WHERE kind = $1 AND code = $2`, string(s.Kind), p.code); err != nil {
			return fmt.Errorf("recipe: newest edition: %w", err)
		}
		if p.edition <= newest {
			continue
		}
		r, err := insert(ctx, tx, s.Kind, s.Content, p, true, ch)
		if err != nil {
			return err
		}
		if !s.Approved || newest > 0 {
			continue
		}
		if r, err = Propose(ctx, tx, Seen{r.ID, r.Version}, ch); err != nil {
			return err
		}
		if _, err = Approve(ctx, tx, Seen{r.ID, r.Version}, ch); err != nil {
			return err
		}
	}
	return nil
}
