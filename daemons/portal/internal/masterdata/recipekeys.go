package masterdata

import (
	"context"

	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// NamedKey is a master key that a Kode Kunci names, so that whoever approves it can see
// which one stands under the label.
type NamedKey struct {
	Use   string // in Indonesian
	Label string
	Entry *keybook.Entry // nil when it is not in the book of keys
}

// namedKeys are the keys of a Kode Kunci; none for other kinds.
func namedKeys(ctx context.Context, rd postgres.Reader, r recipe.Recipe) ([]NamedKey, error) {
	if r.Kind != recipe.KeyCode {
		return nil, nil
	}
	k, err := profile.ParseKeyCode(r.Content)
	if err != nil {
		return nil, err
	}
	all := []NamedKey{
		{Use: "Kunci kartu baru", Label: k.Transport.Master}, {Use: "Kunci kartu jadi", Label: k.Final.Master}, {Use: "Penyegel rahasia kartu", Label: k.SecretWrap},
	}
	book, err := keybook.Book{DB: rd}.Entries(ctx, k.Transport.Master, k.Final.Master, k.SecretWrap)
	if err != nil {
		return nil, err
	}
	for i, n := range all {
		if e, ok := book[n.Label]; ok {
			all[i].Entry = &e
		}
	}
	return all, nil
}
