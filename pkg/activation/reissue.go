package activation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// SigningKey is the name of the key pairs in the key book that sign manifests.
const SigningKey = "manifest-signing"

var (
	// ErrKeyInUse says that a signing key was not given up: what it signed stays as it is.
	ErrKeyInUse = errors.New("activation: the signing key is in use")
	// ErrNoSigningKey says that no signing key is in force: what would be revoked now could
	// not be replaced.
	ErrNoSigningKey = errors.New("activation: no signing key is in force")
	// ErrNothingDue says that no manifest of a key is left that can be re-issued.
	ErrNothingDue = errors.New("activation: nothing is left to re-issue")
)

// KeyInForce is the key pair that signs manifests now.
type KeyInForce struct {
	Label string `json:"label"`
	KeyID string `json:"key_id"`
}

// GivenUpKey is a signing key that was given up, with how many readers rest on manifests that
// it signed.
type GivenUpKey struct {
	Label     string    `json:"label"`
	KeyID     string    `json:"key_id"`  // as the manifests name it, see sealed.KeyID
	Revoked   bool      `json:"revoked"` // nobody may rely on what it signed; then the next four tell of that
	GivenUpAt time.Time `json:"given_up_at"`
	GivenUpBy string    `json:"given_up_by"`
	With      string    `json:"given_up_with,omitempty"` // the second person who revoked it
	Reason    string    `json:"reason"`
	Due       int       `json:"due"`       // readers whose manifests Reissue replaces
	Letters   int       `json:"letters"`   // whose readers those are: each gets a reply
	Held      int       `json:"held"`      // readers of lembaga without a PKS in force, which are left as they are
	Suspended int       `json:"suspended"` // readers that are due, or held, once they are resumed
}

// SigningKeys are the key pairs that sign manifests, or did.
type SigningKeys struct {
	InForce *KeyInForce  `json:"in_force"` // nil: nothing can be signed
	GivenUp []GivenUpKey `json:"given_up"` // newest version first
}

// Find returns the given-up key with this id. Error: ErrNotFound.
func (k SigningKeys) Find(keyID string) (GivenUpKey, error) {
	i := slices.IndexFunc(k.GivenUp, func(g GivenUpKey) bool { return g.KeyID == keyID })
	if i < 0 {
		return GivenUpKey{}, ErrNotFound
	}
	return k.GivenUp[i], nil
}

// Lost is how many readers rest on keys that were revoked, so that nobody may rely on their
// manifests: those whose manifests Reissue replaces, and those of lembaga without a PKS in
// force.
func (k SigningKeys) Lost() (due, held int) {
	for _, g := range k.GivenUp {
		if g.Revoked {
			due, held = due+g.Due, held+g.Held
		}
	}
	return due, held
}

// Keys tells of the signing keys, and what rests on those that were given up, on a day.
func Keys(ctx context.Context, rd postgres.Reader, day clock.Date) (k SigningKeys, err error) {
	k.GivenUp = []GivenUpKey{}
	entries, err := keybook.Signing(ctx, rd, SigningKey)
	if err != nil {
		return k, err
	}
	if e, ok := keybook.InForce(entries); ok {
		id, err := e.KeyID()
		if err != nil {
			return k, err
		}
		k.InForce = &KeyInForce{e.Label, id}
	}
	var ids []string
	for _, e := range slices.Backward(entries) {
		if !e.Retired() {
			continue
		}
		id, err := e.KeyID()
		if err != nil {
			return k, err
		}
		ids = append(ids, id)
		g := GivenUpKey{Label: e.Label, KeyID: id, GivenUpAt: *e.RetiredAt, GivenUpBy: *e.RetiredBy, Reason: *e.RetiredReason}
		if e.Revoked() {
			g.Revoked, g.GivenUpAt, g.GivenUpBy, g.With, g.Reason = true, *e.RevokedAt, *e.RevokedBy, *e.RevokedWith, *e.RevokedReason
		}
		k.GivenUp = append(k.GivenUp, g)
	}
	if len(ids) == 0 {
		return k, nil
	}
	return k, k.count(ctx, rd, ids, day)
}

// count adds how many readers rest on the keys with these ids.
func (k SigningKeys) count(ctx context.Context, rd postgres.Reader, ids []string, day clock.Date) error {
	var rows []struct {
		KeyID     string `db:"key_id"`
		LembagaID string `db:"lembaga_id"`
		Counting  int    `db:"counting"`
		Letters   int    `db:"letters"`
		Suspended int    `db:"suspended"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT m.key_id, t.lembaga_id, count(*) FILTER (WHERE a.state <> 'suspended') AS counting,
		       count(DISTINCT a.letter_id) FILTER (WHERE a.state <> 'suspended') AS letters, count(*) FILTER (WHERE a.state = 'suspended') AS suspended
		FROM activation_manifest m JOIN activation a ON a.id = m.activation_id JOIN activation_letter t ON t.id = a.letter_id
		WHERE m.key_id = ANY ($1) AND a.state IN ('manifest_ready', 'delivered', 'active', 'suspended') GROUP BY 1, 2`, pq.Array(ids)); err != nil {
		return fmt.Errorf("activation: what rests on signing keys: %w", err)
	}
	var lembaga []string
	for _, r := range rows {
		lembaga = append(lembaga, r.LembagaID)
	}
	covered, err := institution.Covered(ctx, rd, lembaga, day)
	if err != nil {
		return err
	}
	for _, r := range rows {
		g := &k.GivenUp[slices.Index(ids, r.KeyID)]
		g.Suspended += r.Suspended
		if covered[r.LembagaID] {
			g.Due, g.Letters = g.Due+r.Counting, g.Letters+r.Letters
		} else {
			g.Held += r.Counting
		}
	}
	return nil
}

// Reissued is what one Reissue did.
type Reissued struct {
	Label   string `json:"label"`  // of the key that was given up
	KeyID   string `json:"key_id"` // its id
	Readers int    `json:"readers"`
	Letters int    `json:"letters"`
	Held    int    `json:"held"` // readers that were left as they are: no PKS of their lembaga is in force
}

// Reissue revokes all manifests that count and were signed by a key that was given up, and
// accepts in the place of each a line of the same letter for the same reader and card, which
// gets a manifest under the key in force: it is signed, released and installed as every
// other, and each letter gets one reply that tells of it. seen is how many whoever decides
// has seen. Readers of a lembaga without a PKS in force stay as they are, and so do suspended
// ones: both are due once that is over. The pairs of readers and cards stay as they are, and
// nobody else can claim them meanwhile: to others a living activation has them all the time.
//
// It takes as many statements for many lines as for one. Errors: ErrNotFound for a key that
// is not in the book, ErrKeyInUse, ErrNoSigningKey, ErrNothingDue, ErrReasonMissing,
// *machine.RoleError, postgres.ErrStale when there are not seen lines now.
func Reissue(ctx context.Context, tx *postgres.Tx, keyID string, seen int, c request.Change) (r Reissued, err error) {
	if err := Machine.MayEver(VerbReissue, c.Actor.Role); err != nil {
		return r, err
	}
	if c.Reason == "" {
		return r, ErrReasonMissing
	}
	if r.Label, err = replaceable(ctx, tx, keyID); err != nil {
		return r, err
	}
	r.KeyID = keyID
	// Whatever is done to a line takes its letter first. One that comes under the key behind
	// this is for the next time.
	var letters []string
	if err := tx.Select(ctx, &letters, `
		SELECT DISTINCT a.letter_id FROM activation_manifest m JOIN activation a ON a.id = m.activation_id WHERE m.key_id = $1 AND a.state IN `+counting, keyID); err != nil {
		return r, fmt.Errorf("activation: letters of a signing key: %w", err)
	}
	if err := lockLetters(ctx, tx, letters); err != nil {
		return r, err
	}
	all, err := due(ctx, tx, `a.letter_id = ANY ($2::uuid[]) AND a.state IN `+counting+`
		AND EXISTS (SELECT FROM activation_manifest m WHERE m.activation_id = a.id AND m.key_id = $1) ORDER BY a.letter_id, a.line`, keyID, pq.Array(letters))
	if err != nil {
		return r, err
	}
	chosen, err := underPKS(ctx, tx, all, clock.DateOf(c.OfficeAt))
	switch {
	case err != nil:
		return r, err
	case len(chosen) == 0:
		return r, ErrNothingDue
	case len(chosen) != seen:
		return r, fmt.Errorf("activation: %d manifests of key %s are due: %w", len(chosen), keyID, postgres.ErrStale)
	}
	c.Detail = map[string]any{"key": r.Label, "key_id": keyID}
	if err := take(ctx, tx, chosen, VerbReissue, c, "cause = $5", CauseSigningKey); err != nil {
		return r, err
	}
	heirs, of := make([]heir, len(chosen)), map[string]bool{}
	for i, a := range chosen {
		heirs[i], of[a.LetterID] = heir{a, a.Reader, a.Address, a.Region}, true
	}
	if _, err := succeed(ctx, tx, heirs, VerbReissue, c); err != nil {
		return r, err
	}
	r.Readers, r.Letters, r.Held = len(chosen), len(of), len(all)-len(chosen)
	return r, nil
}

// counting are the states in which a manifest counts.
const counting = `('manifest_ready', 'delivered', 'active')`

// replaceable is the label of a signing key whose manifests can be re-issued. Errors: those
// of Reissue about the key.
func replaceable(ctx context.Context, rd postgres.Reader, keyID string) (label string, err error) {
	entries, err := keybook.Signing(ctx, rd, SigningKey)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		id, err := e.KeyID()
		if err != nil {
			return "", err
		}
		if id != keyID {
			continue
		}
		if !e.Retired() {
			return "", ErrKeyInUse
		}
		if _, ok := keybook.InForce(entries); !ok {
			return "", ErrNoSigningKey
		}
		return e.Label, nil
	}
	return "", ErrNotFound
}

// underPKS are those of the lines whose lembaga has a PKS in force on the day, which is held
// so until the transaction ends.
func underPKS(ctx context.Context, tx *postgres.Tx, all []Due, day clock.Date) ([]Activation, error) {
	names := map[string]string{}
	for _, d := range all {
		names[d.LembagaID] = d.Lembaga
	}
	var ids []string
	for id := range names {
		ids = append(ids, id)
	}
	in, err := institution.Covered(ctx, tx, ids, day)
	if err != nil {
		return nil, err
	}
	var held []string
	for id := range in {
		held = append(held, names[id])
	}
	err = institution.HoldLembaga(ctx, tx, held, day)
	if lapsed := (*institution.NotInForceError)(nil); errors.As(err, &lapsed) { // at this moment
		return nil, fmt.Errorf("activation: PKS of %s: %w", lapsed.Lembaga, postgres.ErrStale)
	}
	if err != nil {
		return nil, err
	}
	var chosen []Activation
	for _, d := range all {
		if in[d.LembagaID] {
			chosen = append(chosen, d.Activation)
		}
	}
	return chosen, nil
}
