package pkcs11_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	p11 "github.com/miekg/pkcs11"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/harness"
)

func open(t *testing.T, h harness.Token, sessions int) *pkcs11.Token {
	t.Helper()
	token, err := pkcs11.Open(pkcs11.Config{Module: h.Module, TokenLabel: h.Label, PINFile: h.PINFile, Sessions: sessions})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, token.Close()) })
	return token
}

func TestOpenNeedsWholeConfiguration(t *testing.T) {
	t.Parallel()
	whole := pkcs11.Config{Module: "m", TokenLabel: "l", PINFile: "p"}
	for name, damage := range map[string]func(*pkcs11.Config){
		"module":      func(c *pkcs11.Config) { c.Module = "" },
		"token_label": func(c *pkcs11.Config) { c.TokenLabel = "" },
		"pin_file":    func(c *pkcs11.Config) { c.PINFile = "" },
		"sessions":    func(c *pkcs11.Config) { c.Sessions = -1 },
	} {
		c := whole
		damage(&c)
		_, err := pkcs11.Open(c)
		require.ErrorIs(t, err, pkcs11.ErrConfig)
		require.ErrorContains(t, err, name)
	}
}

func TestOpenDoesNotTouchTheModule(t *testing.T) {
	t.Parallel()
	token, err := pkcs11.Open(pkcs11.Config{Module: filepath.Join(t.TempDir(), "none.so"), TokenLabel: "l", PINFile: "p"})
	require.NoError(t, err)
	require.ErrorIs(t, token.Check(t.Context()), pkcs11.ErrTokenGone)
	require.NoError(t, token.Close())
	require.ErrorIs(t, token.Check(t.Context()), pkcs11.ErrClosed)
}

// The next three are not parallel: SoftHSM is initialised anew in them, and
// transient keys of other tests would delay that; a refused PIN needs a process
// that is not logged in to the token.
func TestTokenGoesAndReturns(t *testing.T) {
	ctx := t.Context()
	h := harness.HSM(t)
	token := open(t, h, 2)
	home := h.Dir
	away := filepath.Join(t.TempDir(), "away")

	// Not there at first use.
	require.NoError(t, os.Rename(home, away))
	require.ErrorIs(t, token.Check(ctx), pkcs11.ErrTokenGone)
	require.NoError(t, os.Rename(away, home))
	require.NoError(t, token.Check(ctx), "found without Reopen")

	stored, err := token.GenerateAES(ctx, "stored", 256, pkcs11.UseMAC|pkcs11.UseEncrypt)
	require.NoError(t, err)
	transient, err := token.TransientAES(ctx, make([]byte, 16), pkcs11.UseMAC)
	require.NoError(t, err)
	before, err := stored.CMAC(ctx, []byte("same"))
	require.NoError(t, err)

	// Gone while in use: every way in says so.
	require.NoError(t, os.Rename(home, away))
	_, err = stored.CMAC(ctx, []byte("same"))
	require.ErrorIs(t, err, pkcs11.ErrTokenGone)
	_, err = token.FindKey(ctx, "stored")
	require.ErrorIs(t, err, pkcs11.ErrTokenGone)
	require.ErrorIs(t, token.Check(ctx), pkcs11.ErrTokenGone)
	require.ErrorIs(t, token.Reopen(ctx), pkcs11.ErrTokenGone)

	// Back: stored keys work through the same handle, transient keys are lost.
	require.NoError(t, os.Rename(away, home))
	require.NoError(t, token.Reopen(ctx))
	require.NoError(t, token.Check(ctx))
	after, err := stored.CMAC(ctx, []byte("same"))
	require.NoError(t, err)
	require.Equal(t, before, after)
	_, err = transient.CMAC(ctx, nil)
	require.ErrorIs(t, err, pkcs11.ErrTokenGone)
	require.NoError(t, transient.Close())
	require.NoError(t, token.Check(ctx), "a lost transient key does not cost the connection for long")
}

// A transient key of one Token must not be lost because another Token looks
// for a token that is not there.
func TestSearchingTokenSparesTransientKeysOfOthers(t *testing.T) {
	h := harness.HSM(t)
	token := open(t, h, 1)
	key, err := token.TransientAES(t.Context(), make([]byte, 16), pkcs11.UseMAC)
	require.NoError(t, err)
	other, err := pkcs11.Open(pkcs11.Config{Module: h.Module, TokenLabel: "no such token", PINFile: h.PINFile})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	searched := make(chan error, 1)
	go func() { searched <- other.Check(ctx) }()
	_, err = key.CMAC(t.Context(), []byte("alive"))
	require.NoError(t, err)
	cancel()
	err = <-searched
	require.Error(t, err)
	_, err = key.CMAC(t.Context(), []byte("alive"))
	require.NoError(t, err)
	require.NoError(t, key.Close())
	require.ErrorIs(t, other.Check(t.Context()), pkcs11.ErrTokenGone)
	require.NoError(t, token.Check(t.Context()), "the login comes back by itself after the library was restarted")
	require.NoError(t, other.Close())
}

func TestRefusedPINIsNotTriedAgain(t *testing.T) {
	h := harness.HSM(t)
	right := h.PIN
	h.PINFile = filepath.Join(t.TempDir(), "pin")
	require.NoError(t, os.WriteFile(h.PINFile, []byte("wrong-pin"), 0o600))
	token := open(t, h, 1)
	err := token.Check(t.Context())
	require.ErrorIs(t, err, pkcs11.ErrPIN)
	require.NotContains(t, err.Error(), "wrong-pin")
	require.NotContains(t, err.Error(), "not tried again")
	require.ErrorContains(t, token.Check(t.Context()), "not tried again")
	require.NoError(t, os.WriteFile(h.PINFile, []byte(right+"\n"), 0o600))
	require.NoError(t, token.Check(t.Context()))
}

// The last try is never taken, and a locked token is not asked at all.
func TestTheLastTryBelongsToAPerson(t *testing.T) {
	t.Parallel()
	require.NoError(t, pkcs11.MayLogIn(p11.CKF_TOKEN_INITIALIZED|p11.CKF_USER_PIN_COUNT_LOW))
	require.ErrorIs(t, pkcs11.MayLogIn(p11.CKF_USER_PIN_COUNT_LOW|p11.CKF_USER_PIN_FINAL_TRY), pkcs11.ErrPIN)
	err := pkcs11.MayLogIn(p11.CKF_USER_PIN_LOCKED)
	require.ErrorIs(t, err, pkcs11.ErrPIN)
	require.ErrorContains(t, err, "locked")
}

// Sixteen workers find the token gone at one time: nobody waits for long, and the
// library is not initialised sixteen times over. When it is back all go on.
func TestManyWorkersFindTheTokenGoneOnce(t *testing.T) {
	ctx := t.Context()
	h := harness.HSM(t)
	token := open(t, h, 16)
	stored, err := token.GenerateAES(ctx, "stored", 256, pkcs11.UseMAC|pkcs11.UseEncrypt)
	require.NoError(t, err)
	for range 16 {
		key, err := token.TransientAES(ctx, make([]byte, 16), pkcs11.UseMAC)
		require.NoError(t, err)
		defer func() { require.NoError(t, key.Close()) }()
	}
	home := h.Dir
	away := filepath.Join(t.TempDir(), "away")
	require.NoError(t, os.Rename(home, away))
	require.ErrorIs(t, token.Check(ctx), pkcs11.ErrTokenGone)
	before := token.Initialised()
	together := func(check func(error)) {
		start := make(chan struct{})
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				<-start
				_, err := stored.CMAC(ctx, []byte("x"))
				check(err)
			})
		}
		close(start)
		all.Wait()
	}
	together(func(err error) {
		if !errors.Is(err, pkcs11.ErrTokenGone) {
			t.Errorf("a worker at a token that is gone: %v", err)
		}
	})
	require.Less(t, token.Initialised()-before, uint64(16), "whoever waited takes what the other found")
	require.NoError(t, os.Rename(away, home))
	require.NoError(t, token.Check(ctx))
	before = token.Initialised()
	together(func(err error) {
		if err != nil {
			t.Errorf("a worker at a token that is back: %v", err)
		}
	})
	require.Equal(t, before, token.Initialised())
}

func namesOfTokenAndKeys(t *testing.T, token *pkcs11.Token) {
	ctx := t.Context()
	info, err := token.Info(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, info.Serial)
	require.Contains(t, info.Manufacturer, "SoftHSM")
	key, err := token.ImportAES(ctx, "named", make([]byte, 16), pkcs11.UseMAC)
	require.NoError(t, err)
	labels, err := token.Labels(ctx)
	require.NoError(t, err)
	require.Contains(t, labels, "named")
	kept, err := key.Kept(ctx)
	require.NoError(t, err)
	require.True(t, kept)
	loose, err := token.TransientAES(ctx, make([]byte, 16), pkcs11.UseMAC)
	require.NoError(t, err)
	kept, err = loose.Kept(ctx)
	require.NoError(t, err)
	require.False(t, kept, "a card's key may be wrapped")
	require.NoError(t, loose.Close())
}

func manyUsersShareFewSessions(t *testing.T, token *pkcs11.Token) {
	key, err := token.GenerateAES(t.Context(), "shared", 128, pkcs11.UseMAC)
	require.NoError(t, err)
	want, err := key.CMAC(t.Context(), []byte("text"))
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 20 {
				got, err := key.CMAC(t.Context(), []byte("text"))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("CMAC among others: %v", err)
					return
				}
				k, err := token.TransientAES(t.Context(), want, pkcs11.UseMAC)
				if err != nil {
					t.Errorf("transient key among others: %v", err)
					return
				}
				if err := k.Close(); err != nil {
					t.Errorf("closing a transient key: %v", err)
				}
			}
		})
	}
	all.Wait()
}

func cancelledCallDoesNothing(t *testing.T, token *pkcs11.Token) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := token.GenerateAES(ctx, "never", 128, pkcs11.UseMAC)
	require.ErrorIs(t, err, context.Canceled)
	_, err = token.FindKey(t.Context(), "never")
	require.ErrorIs(t, err, pkcs11.ErrKeyNotFound)
}

func closedTokenAndKey(t *testing.T, token *pkcs11.Token) {
	key, err := token.TransientAES(t.Context(), make([]byte, 32), pkcs11.UseMAC)
	require.NoError(t, err)
	require.NoError(t, key.Close())
	require.NoError(t, key.Close())
	_, err = key.CMAC(t.Context(), nil)
	require.ErrorIs(t, err, pkcs11.ErrClosed)
	require.NoError(t, token.Close())
	_, err = token.Random(t.Context(), 1)
	require.ErrorIs(t, err, pkcs11.ErrClosed)
}
