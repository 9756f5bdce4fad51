package keyring

import (
	"context"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// failed notes that the token did not do its part.
func (r *Ring) failed(err error) error {
	if err != nil {
		r.mu.Lock()
		r.able = false
		r.mu.Unlock()
	}
	return unavailable(err)
}

// rehearse has the token do for nobody what it does for a card. A master may be there
// and not be allowed its work, or the token be full: a chip is to hear of an
// authentication only from a token that could do its part, since a try that breaks off
// in the middle is not counted. It is done before the first card, and again after each
// failure.
func (r *Ring) rehearse(ctx context.Context) error {
	r.mu.Lock()
	able := r.able
	r.mu.Unlock()
	if able {
		return nil
	}
	if err := r.rehearseKeys(ctx); err != nil {
		return err
	}
	secret, err := r.NewSecret(ctx)
	if err != nil {
		return err
	}
	defer clear(secret)
	sealed, err := r.Seal(ctx, secret, "", "")
	if err != nil {
		return err
	}
	opened, err := r.Unseal(ctx, sealed, "", "")
	clear(opened)
	if err != nil {
		return unavailable(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.able = true
	return nil
}

// rehearseKeys goes through what a session needs of the keysets: session keys, a
// secret under the DEK, and the final keyset under it.
func (r *Ring) rehearseKeys(ctx context.Context) error {
	if r.profile.Plain() {
		return nil
	}
	source := r.Source()
	defer source.Close()
	nobody := make([]byte, 10)
	final, err := source.KeysFor(ctx, nobody, byte(r.profile.Keys.Final.Version))
	if err != nil {
		return err
	}
	transport, err := source.KeysFor(ctx, nobody, byte(r.profile.Keys.Transport.Version))
	if err != nil {
		return err
	}
	block, dek := make([]byte, 16), transport.DEK
	if dek.Algorithm() == globalplatform.DES { // SCP02 has a DEK of the session
		if dek, err = dek.Derive(ctx, block); err != nil {
			return err
		}
		defer func() { _ = dek.(key).Close() }()
		_, err = transport.ENC.EncryptCBC(ctx, block)
	} else {
		_, err = transport.ENC.CMAC(ctx, block)
	}
	if err != nil {
		return err
	}
	out, err := dek.EncryptData(ctx, make([]byte, r.profile.SecretBytes))
	pkcs11.Zeroise(out)
	if err != nil {
		return err
	}
	out, err = dek.Wrap(ctx, final.ENC)
	pkcs11.Zeroise(out)
	return err
}
