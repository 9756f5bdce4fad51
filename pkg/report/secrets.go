package report

import (
	"context"

	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// SecretKey is the key of an applicant for the secrets of its cards, as far as it has one.
type SecretKey struct {
	State       string `json:"state"`       // confirmed, offered, or empty for none
	Fingerprint string `json:"fingerprint"` // in groups of four; of a confirmed one
}

func secretKey(ctx context.Context, rd postgres.Reader, institutionID string) (k SecretKey, err error) {
	keys, err := cardsecret.Keys(ctx, rd, institutionID)
	for _, one := range keys {
		switch one.State {
		case cardsecret.Confirmed:
			return SecretKey{one.State, cardsecret.Spell(one.Fingerprint)}, err
		case cardsecret.Offered:
			k.State = one.State
		}
	}
	return k, err
}

// Secrets are the files by which the produsen uses the cards of a handover, and who took
// them. What is in them nobody here knows.
type Secrets struct {
	Files     int                   `json:"files"` // cards by hand have none
	Keys      []SecretsKey          `json:"keys"`
	Downloads []cardsecret.Download `json:"downloads"`
}

// SecretsKey is a key that files are for.
type SecretsKey struct {
	Edition     int    `json:"edition"`
	Fingerprint string `json:"fingerprint"` // in groups of four
	Files       int    `json:"files"`
}

func secrets(ctx context.Context, rd postgres.Reader, handoverID string) (*Secrets, error) {
	entries, err := cardsecret.Entries(ctx, rd, handoverID)
	if err != nil {
		return nil, err
	}
	v := &Secrets{Files: len(entries), Keys: []SecretsKey{}}
	at := map[string]int{}
	for _, e := range entries {
		i, known := at[e.Fingerprint]
		if !known {
			i, at[e.Fingerprint] = len(v.Keys), len(v.Keys)
			v.Keys = append(v.Keys, SecretsKey{Edition: e.KeyEdition, Fingerprint: cardsecret.Spell(e.Fingerprint)})
		}
		v.Keys[i].Files++
	}
	v.Downloads, err = cardsecret.Downloads(ctx, rd, handoverID)
	return v, err
}
