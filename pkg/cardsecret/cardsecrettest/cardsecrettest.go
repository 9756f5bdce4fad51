// Package cardsecrettest gives institutions and the office of tests their keys.
package cardsecrettest

import (
	"context"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// New draws a pair of keys.
func New(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return id
}

// Register puts a new key of an institution in force, as two people do.
func Register(t testing.TB, db *postgres.DB, institutionID string, at time.Time) *age.X25519Identity {
	t.Helper()
	id := New(t)
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		k, err := cardsecret.Offer(ctx, tx, institutionID, id.Recipient().String(), cardsecret.Who{Name: "pic", At: at})
		if err != nil {
			return err
		}
		_, err = cardsecret.Confirm(ctx, tx, k.ID, k.Fingerprint, cardsecret.Who{Name: "operator", At: at})
		return err
	}))
	return id
}

// Escrow puts a new escrow key in force.
func Escrow(t testing.TB, db *postgres.DB, at time.Time) *age.X25519Identity {
	t.Helper()
	id := New(t)
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := cardsecret.RecordEscrow(ctx, tx, cardsecret.Escrow{
			Recipient: id.Recipient().String(), Custodians: []string{"Kustodian 1", "Kustodian 2"}, Place: "uji", RecordedBy: "uji", OfficeAt: at,
		})
		return err
	}))
	return id
}
