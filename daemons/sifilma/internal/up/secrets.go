package up

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Files of the sample's keys, in the folder of secrets: what a real produsen and two real
// custodians would have, and the office never.
const (
	produsenKeyFile = "produsen-age.txt"
	escrowPartFile  = "escrow-bagian-%d.txt"
	// escrowChecksFile has the check values of both parts; a part's file is the part only,
	// so that a search for what leaked looks for just that.
	escrowChecksFile = "escrow-nilai-uji.txt"
)

// secretKeys gives the sample's produsen a key for the secrets of its cards, and the
// office an escrow key, where they have none. The private halves are written first: a key
// in force that nobody can open with would be worse than none.
func secretKeys(ctx context.Context, db *postgres.DB, dir, institutionID string) error {
	dir = filepath.Join(dir, "secrets")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	now := time.Now()
	_, err := cardsecret.EscrowInForce(ctx, db)
	if errors.Is(err, cardsecret.ErrNoEscrow) {
		err = escrowKey(ctx, db, dir, now)
	}
	if err != nil {
		return err
	}
	if _, err = cardsecret.KeyOf(ctx, db, institutionID); !errors.Is(err, cardsecret.ErrNoKey) {
		return err
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	if err := keep(dir, produsenKeyFile, id.String()+"\n"); err != nil {
		return err
	}
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		k, err := cardsecret.Offer(ctx, tx, institutionID, id.Recipient().String(), cardsecret.Who{Name: "pic-produsen", At: now})
		if err != nil {
			return err
		}
		_, err = cardsecret.Confirm(ctx, tx, k.ID, k.Fingerprint, cardsecret.Who{Name: "operator", At: now})
		return err
	})
}

func escrowKey(ctx context.Context, db *postgres.DB, dir string, now time.Time) error {
	first, second, recipient, err := cardsecret.NewParts()
	if err != nil {
		return err
	}
	for i, p := range []cardsecret.Part{first, second} {
		if err := keep(dir, fmt.Sprintf(escrowPartFile, i+1), hex.EncodeToString(p[:])+"\n"); err != nil {
			return err
		}
	}
	if err := keep(dir, escrowChecksFile, first.Check()+" "+second.Check()+"\n"); err != nil {
		return err
	}
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := cardsecret.RecordEscrow(ctx, tx, cardsecret.Escrow{
			Recipient: recipient, Custodians: []string{"Kustodian 1 (contoh)", "Kustodian 2 (contoh)"}, Place: "kantor satu komputer", RecordedBy: "sifilma", OfficeAt: now,
		})
		return err
	})
}

func keep(dir, name, text string) error {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
