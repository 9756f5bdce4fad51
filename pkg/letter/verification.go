package letter

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// A verification token is 128 random bits in 26 characters of Crockford's base 32,
// which has neither i, l, o nor u: it is read from paper.
var (
	tokenEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	tokenPattern  = regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{26}$`)
	tokenReader   = strings.NewReplacer("o", "0", "i", "1", "l", "1", "-", "", " ", "")
)

func newToken() (string, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("letter: random: %w", err)
	}
	return tokenEncoding.EncodeToString(random), nil
}

// VerificationPath is where the portal answers for a paper, before its token.
const VerificationPath = "/verifikasi/"

// ParseToken reads a verification token as somebody typed it: in capitals, in groups,
// with the letters that look like digits, or the whole address.
func ParseToken(typed string) (token string, ok bool) {
	token = strings.ToLower(strings.TrimSpace(typed))
	token = token[strings.LastIndex(token, "/")+1:]
	token = tokenReader.Replace(token)
	return token, tokenPattern.MatchString(token)
}

// ByToken returns the paper that carries a verification token, as ParseToken reads
// it. Error: ErrNotFound.
func ByToken(ctx context.Context, rd postgres.Reader, token string) (Document, error) {
	return one(ctx, rd, selectDocument+`WHERE verification_token = $1`, token)
}

// Signature is what a paper says of somebody who signs it. An empty name is to be
// written by hand.
type Signature struct {
	Name string `json:"name"`
	Post string `json:"post"`
}
