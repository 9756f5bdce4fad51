package setup

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// scramIterations is PostgreSQL's own default.
const scramIterations = 4096

// scramVerifier is what PostgreSQL stores for a password (RFC 5803). Sent in
// the password's place it keeps the password out of statements and server logs.
func scramVerifier(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}

// AllowLogin gives a daemon's role a password, so that it may log in.
func AllowLogin(ctx context.Context, owner postgres.Config, role, password string) error {
	known := false
	for _, r := range Roles {
		known = known || r == role
	}
	if !known {
		return fmt.Errorf("setup: %q is not a daemon's role", role)
	}
	verifier, err := scramVerifier(password)
	if err != nil {
		return fmt.Errorf("setup: verifier: %w", err)
	}
	db, err := postgres.Open(owner)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		// A utility statement takes no parameters: role is one of ours, and a
		// verifier is base64, digits, '$' and ':'.
		_, err := tx.Exec(ctx, `ALTER ROLE `+role+` LOGIN PASSWORD '`+verifier+`'`)
		return err
	})
}
