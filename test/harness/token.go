package harness

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"dukcapil.go.id/sifilma/deploy/local"
)

// tokenBatch is how many tokens are made at once: SoftHSM looks for tokens when it
// is initialised, once per process, so that tokens made later are not seen until
// the code under test looks anew.
const tokenBatch = 8

// Token is a SoftHSM token of one test.
type Token struct {
	Module  string // PKCS#11 library
	Config  string // SOFTHSM2_CONF, set in this process; child processes need it too
	Label   string
	PIN     string
	PINFile string
}

// HSM gives a fresh token. All tests of one process share one SoftHSM
// configuration, since the library reads it once per process.
func HSM(t testing.TB) Token {
	t.Helper()
	s := Services(t)
	store, pin, err := spareTokens.take(t.Context(), s.Data)
	if err != nil {
		t.Fatalf("a token for the test: %v", err)
	}
	pinFile := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pinFile, []byte(pin), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd := exec.Command("softhsm2-util", "--delete-token", "--token", store.Label)
		cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+store.Config)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("removing the token of the test: %v: %s", err, out)
		}
	})
	return Token{Module: store.Module, Config: store.Config, Label: store.Label, PIN: pin, PINFile: pinFile}
}

// pool is the token directory of this process and the tokens in it that no test
// has taken.
type pool struct {
	mu    sync.Mutex
	store local.HSM
	spare []spareToken
}

type spareToken struct{ label, pin string }

var spareTokens pool

func (p *pool) take(ctx context.Context, runData string) (token local.HSM, pin string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.store.Config == "" {
		if err := p.open(filepath.Join(runData, "test-hsm")); err != nil {
			return local.HSM{}, "", err
		}
	}
	if len(p.spare) == 0 {
		if err := p.fill(ctx); err != nil {
			return local.HSM{}, "", err
		}
	}
	token, pin = p.store, p.spare[0].pin
	token.Label = p.spare[0].label
	p.spare = p.spare[1:]
	return token, pin, nil
}

// open makes the token directory and removes those of processes that are gone.
func (p *pool) open(base string) error {
	if entries, err := os.ReadDir(base); err == nil {
		for _, e := range entries {
			if orphan(e.Name()) {
				_ = os.RemoveAll(filepath.Join(base, e.Name()))
			}
		}
	}
	store, err := local.NewTokenStore(filepath.Join(base, "t_"+owner()))
	if err != nil {
		return err
	}
	if err := os.Setenv("SOFTHSM2_CONF", store.Config); err != nil {
		return err
	}
	p.store = store
	return nil
}

func (p *pool) fill(ctx context.Context) error {
	for range tokenBatch {
		next, made := p.store, spareToken{freshName(), randomPIN()}
		next.Label = made.label
		if err := next.InitToken(ctx, randomPIN(), made.pin); err != nil {
			return err
		}
		p.spare = append(p.spare, made)
	}
	return nil
}

func randomPIN() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}
