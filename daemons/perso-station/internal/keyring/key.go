package keyring

import (
	"context"
	"io"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
)

// key is a card key in the token whose failures are ErrUnavailable: the token
// did not do its part, which says nothing about the card.
type key struct {
	inner globalplatform.Key
	ring  *Ring
}

func (r *Ring) guarded(k globalplatform.StaticKeys) globalplatform.StaticKeys {
	return globalplatform.StaticKeys{ENC: key{k.ENC, r}, MAC: key{k.MAC, r}, DEK: key{k.DEK, r}}
}

// Algorithm implements globalplatform.Key.
func (k key) Algorithm() globalplatform.Algorithm { return k.inner.Algorithm() }

// Size implements globalplatform.Key.
func (k key) Size() int { return k.inner.Size() }

// CMAC implements globalplatform.Key.
func (k key) CMAC(ctx context.Context, data []byte) ([]byte, error) {
	out, err := k.inner.CMAC(ctx, data)
	return out, k.ring.failed(err)
}

// EncryptCBC implements globalplatform.Key.
func (k key) EncryptCBC(ctx context.Context, plain []byte) ([]byte, error) {
	out, err := k.inner.EncryptCBC(ctx, plain)
	return out, k.ring.failed(err)
}

// EncryptData implements globalplatform.Key.
func (k key) EncryptData(ctx context.Context, plain []byte) ([]byte, error) {
	out, err := k.inner.EncryptData(ctx, plain)
	return out, k.ring.failed(err)
}

// Derive implements globalplatform.Key.
func (k key) Derive(ctx context.Context, data []byte) (globalplatform.Key, error) {
	out, err := k.inner.Derive(ctx, data)
	if err != nil {
		return nil, k.ring.failed(err)
	}
	return key{out, k.ring}, nil
}

// Close destroys a key that Derive has made.
func (k key) Close() error {
	if c, ok := k.inner.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Wrap implements globalplatform.Key for another key of a Source.
func (k key) Wrap(ctx context.Context, other globalplatform.Key) ([]byte, error) {
	if o, ok := other.(key); ok {
		other = o.inner
	}
	out, err := k.inner.Wrap(ctx, other)
	return out, k.ring.failed(err)
}

// KCV implements globalplatform.Key.
func (k key) KCV(ctx context.Context) ([]byte, error) {
	out, err := k.inner.KCV(ctx)
	return out, k.ring.failed(err)
}
