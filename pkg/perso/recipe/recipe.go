// Package recipe keeps what SAM cards are personalised by, as data: profiles (how a
// card is written), Kode Kunci (with which keys), SAM types (which profile and
// Kode Kunci a request's cards need) and the templates of their numbers. Each has editions. One person writes an
// edition, another approves it, and from then on it never changes. A work order is
// tied to its editions by its first claim and keeps them. It writes the tables
// recipe, order_recipe and recipe_trial.
package recipe

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Kind is a kind of recipe.
type Kind string

// Kinds of recipe.
const (
	Profile Kind = "profile"
	KeyCode Kind = "key_code"
	SAMType Kind = "sam_type"
	Numbers Kind = "numbers"
)

// Kinds are all kinds, in the order in which they rest on each other.
var Kinds = []Kind{Profile, KeyCode, SAMType, Numbers}

// KindLabels are the Indonesian names of the kinds.
var KindLabels = map[Kind]string{Profile: "Profil personalisasi", KeyCode: "Kode Kunci", SAMType: "Jenis SAM", Numbers: "Pola nomor"}

var (
	// ErrNotFound says that there is no such edition.
	ErrNotFound = errors.New("recipe: not found")
	// ErrReasonMissing says that a step wants a reason.
	ErrReasonMissing = errors.New("recipe: reason missing")
	// ErrSamePerson says that whoever wrote or proposed an edition cannot approve it.
	ErrSamePerson = errors.New("recipe: the second person must be another one")
	// ErrNoKasubdit says that neither of the two is the Kasubdit KI.
	ErrNoKasubdit = errors.New("recipe: one of the two must be the Kasubdit KI")
	// ErrSawPassword says that one of the two has seen the other's password for once,
	// so that they may be one person.
	ErrSawPassword = errors.New("recipe: one of the two has seen the other's password")
)

// States of an edition.
const (
	Draft      machine.State = "draft"
	Proposed   machine.State = "proposed"
	Active     machine.State = "active"     // new work orders use it
	Superseded machine.State = "superseded" // orders that began with it go on with it
	Withdrawn  machine.State = "withdrawn"  // no card is begun with it any more
	Refused    machine.State = "refused"
	Discarded  machine.State = "discarded"
)

// Verbs of an edition.
const (
	WriteVerb     machine.Verb = "write"
	ChangeVerb    machine.Verb = "change"
	ProposeVerb   machine.Verb = "propose"
	ApproveVerb   machine.Verb = "approve"
	RefuseVerb    machine.Verb = "refuse"
	DiscardVerb   machine.Verb = "discard"
	SupersedeVerb machine.Verb = "supersede"
	WithdrawVerb  machine.Verb = "withdraw"
)

// SetUp is the actor under which `sifilma migrate` puts in what came with the
// program. No account has this name.
const SetUp = "sifilma@pemasangan"

const setUpRole machine.Role = "sistem"

// Command is the role of the operator's command: it may write drafts, for two people to
// propose and approve.
const Command = setUpRole

var (
	keepers = []machine.Role{request.Operator, request.Kasubdit}
	writers = append([]machine.Role{setUpRole}, keepers...)
)

// Machine is the life of an edition.
var Machine = &machine.Table{
	Name: "recipe",
	Steps: []machine.Step{
		{From: "", Verb: WriteVerb, Roles: writers, To: Draft, Guard: "isi sesuai skema"},
		{From: Draft, Verb: ChangeVerb, Roles: keepers, To: Draft, Guard: "isi sesuai skema"},
		{From: Draft, Verb: ProposeVerb, Roles: writers, To: Proposed},
		{From: Draft, Verb: DiscardVerb, Roles: keepers, To: Discarded},
		{From: Proposed, Verb: ApproveVerb, Roles: writers, To: Active, Guard: "orang lain daripada penulis dan pengusul; salah satunya Kasubdit KI; profil sudah lulus uji coba"},
		{From: Proposed, Verb: RefuseVerb, Roles: keepers, To: Refused, Guard: "dengan alasan"},
		{From: Active, Verb: SupersedeVerb, Roles: writers, To: Superseded, System: true, Guard: "edisi berikutnya disetujui"},
		{From: Active, Verb: WithdrawVerb, Roles: keepers, To: Withdrawn, Guard: "dengan alasan"},
		{From: Superseded, Verb: WithdrawVerb, Roles: keepers, To: Withdrawn, Guard: "dengan alasan"},
	},
	Labels: map[machine.State]string{
		Draft: "Konsep", Proposed: "Menunggu persetujuan", Active: "Berlaku", Superseded: "Digantikan", Withdrawn: "Ditarik",
		Refused: "Ditolak", Discarded: "Dibatalkan",
	},
	Verbs: map[machine.Verb]string{
		WriteVerb: "Tulis", ChangeVerb: "Ubah konsep", ProposeVerb: "Usulkan", ApproveVerb: "Setujui", RefuseVerb: "Tolak",
		DiscardVerb: "Batalkan konsep", SupersedeVerb: "Gantikan", WithdrawVerb: "Tarik",
	},
}

// Recipe is an edition.
type Recipe struct {
	ID         string         `db:"id" json:"id"`
	Kind       Kind           `db:"kind" json:"kind"`
	Code       string         `db:"code" json:"code"`
	Edition    int            `db:"edition" json:"edition"` // the version in its content
	Content    []byte         `db:"content" json:"-"`       // JSON, byte for byte as it was written
	SHA256     []byte         `db:"content_sha256" json:"-"`
	State      machine.State  `db:"state" json:"state"`
	Version    int64          `db:"version" json:"version"` // of the row, for two editors at once
	Authors    pq.StringArray `db:"authors" json:"authors"`
	ProposedBy *string        `db:"proposed_by" json:"proposed_by"`
	ApprovedBy *string        `db:"approved_by" json:"approved_by"`
	Shipped    bool           `db:"shipped" json:"shipped"`
	WrittenAt  time.Time      `db:"written_at" json:"written_at"`
}

// Label names the edition, such as "gp-scp03-sam/1"; attempts keep it.
func (r Recipe) Label() string { return fmt.Sprintf("%s/%d", r.Code, r.Edition) }

// Type is the content of a SAM type.
type Type struct {
	Code    string `json:"code"`
	Version int    `json:"version"`
	Name    string `json:"name"`
	Default bool   `json:"default"` // of all requests that no other type is for
	Uses    []Use  `json:"uses"`
	Profile string `json:"profile"`
	KeyCode string `json:"key_code"`
}

// Use is what cards are asked for (features.md D06).
type Use struct {
	Kind        string `json:"kind"`
	SAMFunction string `json:"sam_function"`
}

// Type reads the content of a SAM type.
func (r Recipe) Type() (t Type, err error) {
	if err := json.Unmarshal(r.Content, &t); err != nil {
		return t, fmt.Errorf("recipe: %s: %w", r.Label(), err)
	}
	return t, nil
}

const columns = `id, kind, code, edition, content, content_sha256, state, version, authors, proposed_by, approved_by, shipped, written_at`

func one(ctx context.Context, rd postgres.Reader, where string, args ...any) (Recipe, error) {
	var r Recipe
	err := rd.Get(ctx, &r, `SELECT `+columns+` FROM recipe `+where, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNotFound
	}
	if err != nil {
		return r, fmt.Errorf("recipe: reading: %w", err)
	}
	return r, nil
}

// Get returns an edition.
func Get(ctx context.Context, rd postgres.Reader, id string) (Recipe, error) {
	return one(ctx, rd, `WHERE id = $1`, id)
}

// InForce returns the active edition. Error: ErrNotFound.
func InForce(ctx context.Context, rd postgres.Reader, kind Kind, code string) (Recipe, error) {
	return one(ctx, rd, `WHERE kind = $1 AND code = $2 AND state = 'active'`, kind, code)
}

// List returns every edition, by kind and code, newest edition first; there are few.
func List(ctx context.Context, rd postgres.Reader) ([]Recipe, error) {
	return list(ctx, rd, `ORDER BY array_position('{profile,key_code,sam_type,numbers}', kind), code, edition DESC`)
}

// Editions returns the editions of one, newest first.
func Editions(ctx context.Context, rd postgres.Reader, kind Kind, code string) ([]Recipe, error) {
	return list(ctx, rd, `WHERE kind = $1 AND code = $2 ORDER BY edition DESC`, kind, code)
}

func list(ctx context.Context, rd postgres.Reader, where string, args ...any) ([]Recipe, error) {
	all := []Recipe{}
	if err := rd.Select(ctx, &all, `SELECT `+columns+` FROM recipe `+where, args...); err != nil {
		return nil, fmt.Errorf("recipe: list: %w", err)
	}
	return all, nil
}

// parsed is what a content says of itself.
type parsed struct {
	code    string
	edition int
}

// Check reads a content of a kind: its shape by the schema, then what the shape
// does not say. Its errors are form.Faults, with pointers below /content and
// sentences for people.
func Check(kind Kind, content []byte) (parsed, error) {
	faults := shape(kind, content)
	if err := faults.Err(); err != nil {
		return parsed{}, err
	}
	var p parsed
	var err error
	switch kind {
	case Profile:
		var v *profile.Profile
		if v, err = profile.Parse(content); err == nil {
			p = parsed{v.Name, v.Version}
		}
	case KeyCode:
		var v profile.KeyCode
		v, err = profile.ParseKeyCode(content)
		p = parsed{v.Code, v.Version}
	case Numbers:
		var v numberContent
		if err = json.Unmarshal(content, &v); err == nil {
			p, err = parsed{v.Code, v.Version}, v.Check().Err()
		}
	case SAMType:
		var v Type
		err = json.Unmarshal(content, &v)
		p = parsed{v.Code, v.Version}
		if err == nil && v.Default != (len(v.Uses) == 0) {
			err = form.One("/uses", "differs", "Jenis SAM bawaan (default: true) tidak menyebut penggunaan; jenis lain menyebut sekurangnya satu.")
		}
	}
	if err == nil {
		return p, nil
	}
	var found form.Faults
	if !errors.As(err, &found) {
		found = form.Faults{{Code: "wrong_form", Detail: "Isi ini tidak dapat dibaca: " + err.Error() + "."}}
	}
	return p, below(found)
}

// below puts faults of a content where whoever sent it finds them.
func below(faults form.Faults) form.Faults {
	out := make(form.Faults, len(faults))
	for i, f := range faults {
		out[i] = form.Fault{Pointer: "/content" + f.Pointer, Code: f.Code, Detail: f.Detail}
		if f.Pointer != "" {
			out[i].Detail = f.Pointer + ": " + f.Detail
		}
	}
	return out
}
