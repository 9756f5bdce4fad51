// Package ceremony makes the office's keys in the token.
package ceremony

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// Labels of the keys that the perso station uses.
const (
	TransportMaster = "sam-transport-master" // opens cards as the chip maker delivers them
	FinalMaster     = "sam-final-master"     // opens personalised cards
	SecretWrap      = "sam-secret-wrap"      // seals what is needed to resume a card
)

var keys = []struct {
	label string
	usage pkcs11.Usage
}{
	{TransportMaster, pkcs11.UseMAC | pkcs11.UseEncrypt},
	{FinalMaster, pkcs11.UseMAC | pkcs11.UseEncrypt},
	{SecretWrap, pkcs11.UseMAC | pkcs11.UseEncrypt},
}

// Key is a line of the ceremony's record: the check value identifies a key
// without telling it.
type Key struct {
	Label string
	KCV   string
	Made  bool // by this call
}

// Generate makes, inside the token, each key that is not there yet: AES-256,
// never to leave it.
func Generate(ctx context.Context, token *pkcs11.Token) ([]Key, error) {
	var record []Key
	for _, k := range keys {
		line := Key{Label: k.label}
		key, err := token.FindKey(ctx, k.label)
		if errors.Is(err, pkcs11.ErrKeyNotFound) {
			line.Made = true
			key, err = token.GenerateAES(ctx, k.label, 256, k.usage)
		}
		if err != nil {
			return nil, fmt.Errorf("ceremony: %s: %w", k.label, err)
		}
		kcv, err := key.KCV(ctx)
		if err != nil {
			return nil, fmt.Errorf("ceremony: check value of %s: %w", k.label, err)
		}
		line.KCV = strings.ToUpper(hex.EncodeToString(kcv))
		record = append(record, line)
	}
	return record, nil
}
