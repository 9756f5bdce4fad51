package leak

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
)

// AddChips adds what the virtual chips were told or made with their terminal: keysets,
// the keys of every session, CONFs, what opened them. It is the chips' own account, in
// which the office had no hand.
func (s *Secrets) AddChips(ctx context.Context, sam *client.Client) error {
	_, chips, err := sam.List(ctx)
	if err != nil {
		return err
	}
	for _, chip := range chips {
		told, err := sam.Secrets(ctx, chip.ID)
		if err != nil {
			return err
		}
		for _, one := range told {
			value, err := hex.DecodeString(string(one.Value))
			if err != nil {
				return fmt.Errorf("leak: %s of chip %s is not hex", one.Name, chip.ID)
			}
			if err := s.Add(one.Name+" of chip "+chip.ID, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// AddCards adds what the office itself knows of its cards: the transport and final keys
// of every chip that was ever bound, whether it came to hold them or not, and every
// CONF that was sealed, with what opens the card. It tells how many CONFs there were.
func (s *Secrets) AddCards(ctx context.Context, db *postgres.DB, token *pkcs11.Token) (confs int, err error) {
	var chips []string
	if err := db.Select(ctx, &chips, `SELECT chip_id FROM card WHERE chip_id IS NOT NULL UNION SELECT chip_id FROM perso_attempt ORDER BY 1`); err != nil {
		return 0, err
	}
	for _, label := range []string{"sam-transport-master", "sam-final-master"} {
		master, err := token.FindKey(ctx, label)
		if err != nil {
			return 0, err
		}
		for _, chip := range chips {
			id, err := hex.DecodeString(chip)
			if err != nil {
				return 0, err
			}
			for purpose, name := range map[byte]string{pkcs11.PurposeENC: "ENC", pkcs11.PurposeMAC: "MAC", pkcs11.PurposeDEK: "DEK"} {
				key, err := master.KDF3(ctx, purpose, id, 16)
				if err != nil {
					return 0, err
				}
				if err := s.Add(label+" "+name+" of "+chip, key); err != nil {
					return 0, err
				}
			}
		}
	}
	return s.addConfs(ctx, db, token)
}

func (s *Secrets) addConfs(ctx context.Context, db *postgres.DB, token *pkcs11.Token) (confs int, err error) {
	wrap, err := token.FindKey(ctx, "sam-secret-wrap")
	if err != nil {
		return 0, err
	}
	var attempts []struct {
		ID     string `db:"id"`
		Card   string `db:"card_id"`
		Sealed []byte `db:"sealed"`
		PCID   string `db:"pcid"`
	}
	if err := db.Select(ctx, &attempts, `
		SELECT a.id, a.card_id, a.sealed, c.pcid FROM perso_attempt a JOIN card c ON c.id = a.card_id WHERE a.sealed IS NOT NULL ORDER BY a.id`); err != nil {
		return 0, err
	}
	for _, a := range attempts {
		conf, err := wrap.OpenSecret(ctx, a.Sealed, pkcs11.Bind(a.Card, a.ID))
		if err != nil {
			return 0, err
		}
		pcid, err := hex.DecodeString(a.PCID)
		if err != nil || len(conf) != 2*len(pcid) {
			return 0, fmt.Errorf("leak: card %s has a CONF of %d bytes and a PCID of %d", a.Card, len(conf), len(pcid))
		}
		open := make([]byte, len(conf)) // card-perso.md A4: PCID xor each half
		subtle.XORBytes(open, conf, append(pcid, pcid...))
		if err := s.Add("CONF of "+a.Card, conf); err != nil {
			return 0, err
		}
		if err := s.Add("what opens "+a.Card, open); err != nil {
			return 0, err
		}
	}
	return len(attempts), nil
}

// AddFiles adds the text of each file of a directory that is made to hold passwords and
// PINs, one in each file. Empty files hold none.
func (s *Secrets) AddFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := s.AddFile(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// AddFile adds the password or PIN that a file holds.
func (s *Secrets) AddFile(path string) error {
	body, err := os.ReadFile(path)
	text := strings.TrimSpace(string(body))
	if err != nil || text == "" {
		return err
	}
	return s.AddText("text of "+path, text)
}
