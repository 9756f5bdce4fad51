// Package release lets signed manifests out of the office: Kasubdit KI releases what is
// ready for a produsen (users.md A.3), a bundle is made of it, and a named person of the
// produsen takes it (features.md J09, J11, N9). It keeps the revocation lists that were
// published, too. It writes the tables manifest_release, manifest_release_line,
// revocation_list, revocation_recovery, carried_revocation and carried_key.
//
// What always holds:
//   - a produsen has at most one release that was not taken; a new one takes its place;
//   - what is handed over is what the bundle holds: when a line of a release, or the key that
//     sealed the bundle, stops counting before it is taken, the release must be made anew;
//   - the numbers of the lists only rise, also after the database was restored;
//   - what a published list names, the next one names too unless people have let it go: after
//     a restore nothing is published until the last list was given, see Recover.
package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/checkdigit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// States of a release.
const (
	Released  machine.State = "released"
	Bundled   machine.State = "bundled"
	Delivered machine.State = "delivered"
	Voided    machine.State = "voided"
)

// Verbs of a release.
const (
	VerbRelease machine.Verb = "release"
	VerbBundle  machine.Verb = "bundle"
	VerbDeliver machine.Verb = "deliver"
	VerbVoid    machine.Verb = "void"
)

// messageReleased rings for whoever makes the bundle; its subject is the release.
const messageReleased = "manifests.released"

var kasubdit = []machine.Role{request.Kasubdit}

// Machine is the life of a release.
var Machine = &machine.Table{
	Name: "manifest_release",
	Steps: []machine.Step{
		{From: "", Verb: VerbRelease, Roles: kasubdit, Guard: "ada manifest yang siap", To: Released, Message: messageReleased},
		{From: Released, Verb: VerbBundle, Roles: []machine.Role{request.Generator}, Guard: "bundel sudah ditandatangani", To: Bundled, System: true},
		{From: Released, Verb: VerbVoid, Roles: kasubdit, Guard: "diganti pelepasan baru", To: Voided},
		{From: Bundled, Verb: VerbVoid, Roles: kasubdit, Guard: "diganti pelepasan baru", To: Voided},
		{From: Bundled, Verb: VerbDeliver, Roles: []machine.Role{request.Operator, request.Kasubdit, request.Produsen}, Guard: "semua manifestnya masih siap; penerima disebut", To: Delivered},
	},
	Labels: map[machine.State]string{
		Released: "Dilepas, bundel sedang dibuat", Bundled: "Bundel siap diambil", Delivered: "Sudah diambil", Voided: "Diganti",
	},
	Verbs: map[machine.Verb]string{
		VerbRelease: "Lepas manifest", VerbBundle: "Buat bundel", VerbDeliver: "Catat penerimaan", VerbVoid: "Ganti",
	},
}

var (
	// ErrNotFound says that there is no such release, or none that the asker may know of.
	ErrNotFound = errors.New("release: not found")
	// ErrSame says that exactly these manifests are released already and wait to be taken.
	ErrSame = errors.New("release: released already")
	// ErrChanged says that a manifest of the release, or the key of its bundle, does not count
	// any more, or not now.
	ErrChanged = errors.New("release: a manifest of it does not count now")
)

const numberKind = "SM"

// ParseNumber returns a number such as SM-2026-000001-7 as it is written by us; ok is
// false if it cannot be one of ours.
func ParseNumber(s string) (number string, ok bool) { return checkdigit.Parse(numberKind, s) }

// Release is what was let out to a produsen at once.
type Release struct {
	ID           string        `db:"id"`
	Number       string        `db:"number"`
	ProdusenID   string        `db:"produsen_id"`
	Produsen     string        `db:"produsen"`
	Lines        int           `db:"lines"`
	State        machine.State `db:"state"`
	Version      int64         `db:"version"`
	ReleasedBy   string        `db:"released_by"`
	ReleasedAt   time.Time     `db:"released_at"` // by the office's clock
	Bundle       *string       `db:"bundle_blob"`
	DeliveryID   *string       `db:"delivery_id"`
	Receiver     *string       `db:"receiver"`
	ReceiverPost *string       `db:"receiver_post"`
	DeliveredOn  *clock.Date   `db:"delivered_on"`
	KeyRevoked   bool          `db:"key_revoked"` // the key of the bundle or of a manifest in it: it does not leave, and nobody may install it
}

const selectRelease = `
	SELECT r.id, r.number, r.produsen_id, p.name AS produsen, r.lines, r.state, r.version, r.released_by, r.released_at, r.bundle_blob, r.delivery_id,
	       EXISTS (SELECT FROM master_key k WHERE k.revoked_at IS NOT NULL) AND (bundle_key_revoked(r.bundle_blob, r.key_id)
	           OR EXISTS (SELECT FROM manifest_release_line l JOIN under_revoked_key u ON u.activation_id = l.activation_id WHERE l.release_id = r.id)) AS key_revoked,
	       d.receiver, d.receiver_post, d.delivered_on
	FROM manifest_release r JOIN institution p ON p.id = r.produsen_id LEFT JOIN activation_delivery d ON d.id = r.delivery_id `

// Get returns a release as a produsen may know of it; an empty produsenID is the office.
// Error: ErrNotFound.
func Get(ctx context.Context, rd postgres.Reader, number, produsenID string) (Release, error) {
	return one(ctx, rd, selectRelease+`WHERE r.number = $1 AND ($2 = '' OR r.produsen_id::text = $2)`, number, produsenID)
}

func one(ctx context.Context, rd postgres.Reader, query string, args ...any) (r Release, err error) {
	err = rd.Get(ctx, &r, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNotFound
	}
	if err != nil {
		return r, fmt.Errorf("release: reading: %w", err)
	}
	return r, nil
}

// List returns releases, newest first, at most limit of them.
func List(ctx context.Context, rd postgres.Reader, produsenID string, limit int) ([]Release, error) {
	list := []Release{}
	if err := rd.Select(ctx, &list, selectRelease+`WHERE $1 = '' OR r.produsen_id::text = $1 ORDER BY r.id DESC LIMIT $2`, produsenID, limit); err != nil {
		return nil, fmt.Errorf("release: list: %w", err)
	}
	return list, nil
}

// Waiting is how many manifests of a produsen are ready, and how many of them wait to be
// released: a release that lost a manifest since is not taken, see ErrChanged.
type Waiting struct {
	ProdusenID string `db:"produsen_id" json:"produsen_id"`
	Produsen   string `db:"produsen" json:"produsen"`
	Ready      int    `db:"ready" json:"ready"` // all that a new release would hold
	Fresh      int    `db:"fresh" json:"fresh"` // of them, those in no open release that can be taken as it is
}

// WaitingFor returns the produsen with manifests that are ready.
func WaitingFor(ctx context.Context, rd postgres.Reader) ([]Waiting, error) {
	list := []Waiting{}
	if err := rd.Select(ctx, &list, `
		SELECT t.produsen_id, p.name AS produsen, count(*) AS ready,
		       count(*) FILTER (WHERE NOT EXISTS (SELECT FROM manifest_release_line l JOIN manifest_release r ON r.id = l.release_id
		                                          WHERE l.activation_id = a.id AND r.state IN ('released', 'bundled') AND NOT bundle_key_revoked(r.bundle_blob, r.key_id)
		                                            AND NOT EXISTS (SELECT FROM manifest_release_line x JOIN activation y ON y.id = x.activation_id
		                                                            WHERE x.release_id = r.id
		                                                              AND (y.state <> 'manifest_ready' OR y.id IN (SELECT activation_id FROM under_revoked_key))))) AS fresh
		FROM activation a JOIN activation_letter t ON t.id = a.letter_id JOIN institution p ON p.id = t.produsen_id
		WHERE a.state = 'manifest_ready' AND a.id NOT IN (SELECT activation_id FROM under_revoked_key) -- as activation.Ready
		GROUP BY 1, 2 ORDER BY 2`); err != nil {
		return nil, fmt.Errorf("release: waiting: %w", err)
	}
	return list, nil
}

// Make releases all manifests that are ready for a produsen; one that waits to be taken is
// replaced. seen is how many whoever decides has seen. Errors: activation.ErrNoLines,
// ErrSame, postgres.ErrStale when there are not seen manifests now, *machine.RoleError.
func Make(ctx context.Context, tx *postgres.Tx, produsenID string, seen int, c request.Change) (r Release, err error) {
	if err := Machine.May("", VerbRelease, c.Actor.Role); err != nil {
		return r, err
	}
	// Two who release at once: the second waits, and finds what the first made.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('manifest_release ' || $1, 0))`, produsenID); err != nil {
		return r, fmt.Errorf("release: lock: %w", err)
	}
	// And who is just taking the open one is waited for: what was taken is not ready.
	open, err := one(ctx, tx, selectRelease+`WHERE r.produsen_id::text = $1 AND r.state IN ('released', 'bundled') FOR UPDATE OF r`, produsenID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return r, err
	}
	ready, err := activation.Ready(ctx, tx, produsenID)
	if err != nil {
		return r, err
	}
	ids := make([]string, len(ready))
	for i, d := range ready {
		ids[i] = d.ID
	}
	switch {
	case len(ids) == 0:
		return r, activation.ErrNoLines
	case len(ids) != seen:
		return r, fmt.Errorf("release: %d manifests are ready: %w", len(ids), postgres.ErrStale)
	}
	if open.ID != "" {
		if err := replace(ctx, tx, open, ids, c); err != nil {
			return r, err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return r, fmt.Errorf("release: id: %w", err)
	}
	var n int64
	if err := tx.Get(ctx, &n, `SELECT nextval('manifest_release_number')`); err != nil {
		return r, fmt.Errorf("release: number: %w", err)
	}
	number := checkdigit.Number(numberKind, clock.DateOf(c.OfficeAt).Year, n)
	if err := tx.ExecOne(ctx, `
		INSERT INTO manifest_release (id, number, produsen_id, lines, state, released_by, released_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id, number, produsenID, len(ids), string(Released), c.Actor.Name, c.OfficeAt.UTC()); err != nil {
		return r, fmt.Errorf("release: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO manifest_release_line (release_id, ordinal, activation_id) SELECT $1, n, a FROM unnest($2::uuid[]) WITH ORDINALITY AS u (a, n)`,
		id, pq.Array(ids)); err != nil {
		return r, fmt.Errorf("release: lines: %w", err)
	}
	if r, err = Get(ctx, tx, number, ""); err != nil {
		return r, err
	}
	return r, announce(ctx, tx, r, "", VerbRelease, c)
}

// replace voids the release of a produsen that waits to be taken.
func replace(ctx context.Context, tx *postgres.Tx, open Release, ids []string, c request.Change) error {
	had, err := lineIDs(ctx, tx, open.ID)
	if err != nil {
		return err
	}
	if !open.KeyRevoked && slices.Equal(slices.Sorted(slices.Values(had)), slices.Sorted(slices.Values(ids))) {
		return ErrSame
	}
	return step(ctx, tx, open, VerbVoid, c, "")
}

func lineIDs(ctx context.Context, rd postgres.Reader, id string) ([]string, error) {
	var ids []string
	if err := rd.Select(ctx, &ids, `SELECT activation_id FROM manifest_release_line WHERE release_id = $1 ORDER BY ordinal`, id); err != nil {
		return nil, fmt.Errorf("release: lines: %w", err)
	}
	return ids, nil
}

// step moves a release by compare-and-set; set adds columns, whose arguments count from $5.
func step(ctx context.Context, tx *postgres.Tx, r Release, verb machine.Verb, c request.Change, set string, args ...any) error {
	s, err := Machine.Step(r.State, verb, c.Actor.Role)
	if err != nil {
		return err
	}
	if set != "" {
		set = ", " + set
	}
	n, err := tx.Exec(ctx, `UPDATE manifest_release SET state = $4, version = version + 1`+set+` WHERE id = $1 AND state = $2 AND version = $3`,
		append([]any{r.ID, string(r.State), r.Version, string(s.To)}, args...)...)
	if err != nil {
		return fmt.Errorf("release: %s: %w", verb, err)
	}
	if n != 1 {
		return fmt.Errorf("release: %s: %w", verb, postgres.ErrStale)
	}
	from := r.State
	r.Version++
	return announce(ctx, tx, r, from, verb, c)
}

// announce writes the timeline of a step that was taken, and rings.
func announce(ctx context.Context, tx *postgres.Tx, r Release, from machine.State, verb machine.Verb, c request.Change) error {
	s, err := Machine.Find(from, verb)
	if err != nil {
		return err
	}
	if err := Machine.Write(ctx, tx, machine.Record{
		Subject: r.ID, Ticket: r.Number, Version: r.Version, Step: s, Actor: c.Actor, Reason: c.Reason, Detail: c.Detail, OfficeAt: c.OfficeAt,
	}); err != nil || s.Message == "" {
		return err
	}
	return outbox.Put(ctx, tx, outbox.Message{Type: s.Message, Subject: r.ID, Version: r.Version})
}

// Receive records that a person of the produsen takes the bundle of a release: its lines
// are delivered. Errors: ErrNotFound, ErrChanged, *machine.RoleError,
// *machine.IllegalError, postgres.ErrStale.
func Receive(ctx context.Context, tx *postgres.Tx, number, produsenID string, receiver, post string, c request.Change) (Release, error) {
	r, err := one(ctx, tx, selectRelease+`WHERE r.number = $1 AND ($2 = '' OR r.produsen_id::text = $2) FOR UPDATE OF r`, number, produsenID)
	if err != nil {
		return r, err
	}
	if err := Machine.May(r.State, VerbDeliver, c.Actor.Role); err != nil {
		return r, err
	}
	ids, err := lineIDs(ctx, tx, r.ID)
	if err != nil {
		return r, err
	}
	ready, err := activation.Ready(ctx, tx, r.ProdusenID)
	if err != nil {
		return r, err
	}
	var of []activation.Activation
	for _, d := range ready {
		if slices.Contains(ids, d.ID) {
			of = append(of, d.Activation)
		}
	}
	if len(of) != len(ids) || r.KeyRevoked {
		return r, ErrChanged
	}
	d, err := activation.Deliver(ctx, tx, r.ProdusenID, of, activation.Receipt{
		Receiver: receiver, ReceiverPost: post, On: clock.DateOf(c.OfficeAt), BundleBlob: *r.Bundle,
	}, c)
	if err != nil {
		return r, err
	}
	if err := step(ctx, tx, r, VerbDeliver, c, "delivery_id = $5::uuid", d.ID); err != nil {
		if postgres.IsCheck(err, "manifest_release_believed") { // a key was revoked since Ready looked
			err = ErrChanged
		}
		return r, err
	}
	return Get(ctx, tx, number, produsenID)
}

// SkipNumbers leaves out the next n numbers of releases: after a restore they may have been
// given already. It returns the first and last one left out, and wants the owner of the
// schema. No list is published until the transaction ends.
func SkipNumbers(ctx context.Context, tx *postgres.Tx, n int64) (from, to int64, err error) {
	if err := lockLists(ctx, tx); err != nil {
		return 0, 0, err
	}
	if err := tx.Get(ctx, &from, `SELECT nextval('manifest_release_number')`); err != nil {
		return 0, 0, fmt.Errorf("release: numbers: %w", err)
	}
	to = from + n - 1
	if _, err := tx.Exec(ctx, `SELECT setval('manifest_release_number', $1)`, to); err != nil {
		return 0, 0, fmt.Errorf("release: numbers: %w", err)
	}
	return from, to, nil
}
