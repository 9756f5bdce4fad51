package ceremony

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Act is who held a ceremony, where and when.
type Act struct {
	By    string
	Place string
	At    time.Time
	Token pkcs11.Info
}

// Keep writes keys of a token into the book, in one transaction. A key that stands in
// it already, from another token, is noted as a copy. Errors as of keybook.Record.
func Keep(ctx context.Context, db *postgres.DB, a Act, keys ...Key) error {
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		for _, k := range keys {
			if err := keep(ctx, tx, a, k); err != nil {
				return err
			}
		}
		return nil
	})
}

func keep(ctx context.Context, tx *postgres.Tx, a Act, k Key) error {
	e := keybook.Entry{
		Label: k.Label, Algorithm: k.Kind.Algorithm.String(), Bits: k.Kind.Bits, KCV: k.KCV, Origin: k.Origin, Custodians: k.Custodians,
		TokenLabel: a.Token.Label, TokenSerial: a.Token.Serial, Place: a.Place, RecordedBy: a.By, OfficeAt: a.At,
		PublicKey: k.Public,
	}
	added, err := keybook.Record(ctx, tx, e)
	if err != nil || added {
		return err
	}
	have, err := keybook.Get(ctx, tx, k.Label)
	if err != nil || have.TokenSerial == a.Token.Serial {
		return err
	}
	return audit.Record(ctx, tx, audit.Entry{Actor: a.By, Action: "key.copied", Subject: k.Label, Detail: map[string]any{
		"kcv": k.KCV, "token_label": a.Token.Label, "token_serial": a.Token.Serial, "place": a.Place, "made": k.Made,
	}})
}

// Checked notes that a spare token was compared, and what came of it.
func Checked(ctx context.Context, db *postgres.DB, a Act, spare pkcs11.Info, lines []Compared, ok bool) error {
	found := map[string]string{}
	for _, l := range lines {
		found[l.Label] = string(l.Says)
	}
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return audit.Record(ctx, tx, audit.Entry{Actor: a.By, Action: "key.spare_checked", Subject: spare.Serial, Detail: map[string]any{
			"token_serial": a.Token.Serial, "spare_label": spare.Label, "same": ok, "keys": found,
		}})
	})
}

// inUse are the states of editions by which cards were or will be written.
var inUse = []machine.State{recipe.Proposed, recipe.Active, recipe.Superseded, recipe.Withdrawn}

// Rotation is the next version of a key, on its way into a Kode Kunci.
type Rotation struct {
	Old  string // label in force
	Next string // label of the next version
	// Draft is the edition that names Next and waits for people, if there is one.
	Draft *recipe.Recipe
}

// PlanRotation says which version comes next. A version that was made before and never
// came into use is taken again, so that a rotation that was cut off is finished and not
// begun anew. inToken are the labels of the token.
func PlanRotation(ctx context.Context, rd postgres.Reader, keyCode, name string, inToken []string) (r Rotation, err error) {
	now, err := recipe.InForce(ctx, rd, recipe.KeyCode, keyCode)
	if errors.Is(err, recipe.ErrNotFound) {
		return r, fmt.Errorf("tidak ada Kode Kunci %q yang berlaku", keyCode)
	}
	if err != nil {
		return r, err
	}
	content, err := profile.ParseKeyCode(now.Content)
	if err != nil {
		return r, err
	}
	for _, label := range labelsOf(content) {
		if of, _ := keybook.Split(label); of == name {
			r.Old = label
		}
	}
	if r.Old == "" {
		return r, fmt.Errorf("kunci %q tidak dipakai oleh Kode Kunci %s", name, now.Label())
	}
	newest := 1
	book, err := keybook.List(ctx, rd)
	if err != nil {
		return r, err
	}
	for _, e := range book {
		inToken = append(inToken, e.Label)
	}
	for _, label := range append(inToken, r.Old) {
		if of, version := keybook.Split(label); of == name {
			newest = max(newest, version)
		}
	}
	r.Next = keybook.Label(name, newest)
	all, err := recipe.List(ctx, rd)
	if err != nil {
		return r, err
	}
	used := newest == 1
	for _, e := range all {
		if e.Kind != recipe.KeyCode {
			continue
		}
		k, err := profile.ParseKeyCode(e.Content)
		if err != nil {
			return r, err
		}
		if !slices.Contains(labelsOf(k), r.Next) {
			continue
		}
		used = used || slices.Contains(inUse, e.State)
		if e.State == recipe.Draft && e.Code == keyCode {
			r.Draft = &e
		}
	}
	if used {
		r.Next, r.Draft = keybook.Label(name, newest+1), nil
	}
	return r, nil
}

func labelsOf(k profile.KeyCode) []string {
	return []string{k.Transport.Master, k.Final.Master, k.SecretWrap}
}

// DraftEdition writes the next edition of a Kode Kunci, with one key in its next version,
// for two people to approve. keyVersion is the key version number that cards show (GPC
// 2.3.1 section 11.8); 0 takes, for the final keys, the first one above all that were
// ever used, so that cards of both can be told apart, and leaves the others as they are.
func DraftEdition(ctx context.Context, tx *postgres.Tx, keyCode string, r Rotation, keyVersion byte, ch recipe.Change) (recipe.Recipe, error) {
	editions, err := recipe.Editions(ctx, tx, recipe.KeyCode, keyCode)
	if err != nil || len(editions) == 0 {
		return recipe.Recipe{}, fmt.Errorf("tidak ada Kode Kunci %q: %w", keyCode, errors.Join(err, recipe.ErrNotFound))
	}
	var now profile.KeyCode
	highest := byte(0)
	for _, e := range editions {
		k, err := profile.ParseKeyCode(e.Content)
		if err != nil {
			return recipe.Recipe{}, err
		}
		highest = max(highest, byte(k.Transport.Version), byte(k.Final.Version))
		if e.State == recipe.Active {
			now = k
		}
	}
	switch r.Old {
	case now.Transport.Master:
		now.Transport.Master = r.Next
		if keyVersion != 0 {
			now.Transport.Version = profile.Byte(keyVersion)
		}
	case now.Final.Master:
		now.Final.Master = r.Next
		if keyVersion == 0 {
			keyVersion = highest + 1
		}
		now.Final.Version = profile.Byte(keyVersion)
	case now.SecretWrap:
		now.SecretWrap = r.Next
	default:
		return recipe.Recipe{}, postgres.ErrStale // approved anew this moment
	}
	text := fmt.Sprintf(`{
  "code": %q,
  "version": %d,
  "name": %q,
  "transport": { "version": "%02X", "master": %q },
  "final": { "version": "%02X", "master": %q },
  "secret_wrap": %q
}
`, now.Code, editions[0].Edition+1, now.Name, byte(now.Transport.Version), now.Transport.Master, byte(now.Final.Version), now.Final.Master, now.SecretWrap)
	ch.Actor.Role = recipe.Command
	return recipe.Write(ctx, tx, recipe.KeyCode, []byte(text), ch)
}
