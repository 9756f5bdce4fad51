package seal

import (
	"errors"
	"time"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// Config says with which key manifests are signed, and for how long they hold.
type Config struct {
	// Token is a token of its own that holds the signing key and nothing else: the PIN of
	// this process opens no key of cards. Without a module nothing is signed here.
	Token pkcs11.Config `yaml:"token"`
	// Key is the name of the signing key in the key book; its newest version signs.
	Key string `yaml:"key"`
	// ValidYears is how long a manifest may be used, from the day on which it is made.
	ValidYears int `yaml:"valid_years"`
	// ListValidity is how long a revocation list may be used; a new one is made when half
	// of it is over, or when something changes.
	ListValidity time.Duration `yaml:"list_validity"`
	// Look is how often everything is looked through for what is to be signed.
	Look time.Duration `yaml:"look"`
	// Batch bounds the manifests of one transaction.
	Batch int `yaml:"batch"`
}

// Defaults sign nothing.
func Defaults() Config {
	return Config{Key: "manifest-signing", ValidYears: 5, ListValidity: 30 * 24 * time.Hour, Look: 15 * time.Second, Batch: 250}
}

// Enabled says whether this process signs.
func (c Config) Enabled() bool { return c.Token.Module != "" }

// Validate checks the section.
func (c Config) Validate() error {
	switch {
	case !c.Enabled():
		return nil
	case c.Token.TokenLabel == "" || c.Token.PINFile == "":
		return errors.New("token: token_label and pin_file are needed with a module")
	case c.Token.Sessions < 0:
		return errors.New("token.sessions is negative")
	case c.Key == "":
		return errors.New("key is missing")
	case c.ValidYears < 1 || c.ValidYears > 50:
		return errors.New("valid_years must be 1 to 50")
	case c.ListValidity < time.Hour:
		return errors.New("list_validity must be at least 1h")
	case c.Look < time.Second:
		return errors.New("look must be at least 1s")
	case c.Batch < 1 || c.Batch > 2000:
		return errors.New("batch must be 1 to 2000")
	}
	return nil
}

// sessions are those that sign at the same time.
func (c Config) sessions() int {
	if c.Token.Sessions > 0 {
		return c.Token.Sessions
	}
	return 4
}
