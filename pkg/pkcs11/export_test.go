package pkcs11

import (
	"context"

	p11 "github.com/miekg/pkcs11"
)

// OddParity is for tests.
var OddParity = oddParity

// DeriveWithout is DeriveCBC on a token that lacks the mechanism for it.
func (k *Key) DeriveWithout(ctx context.Context, data []byte, usage Usage) (*Key, error) {
	return k.derive(ctx, p11.CKM_XOR_BASE_AND_DATA, nil, data, usage, k.EncryptCBC)
}

// MayLogIn is for tests.
var MayLogIn = mayLogIn

// Initialised is how often the library was initialised.
func (t *Token) Initialised() uint64 {
	t.module.mu.RLock()
	defer t.module.mu.RUnlock()
	return t.module.life
}
