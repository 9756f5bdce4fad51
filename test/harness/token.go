package harness

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
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
	Dir     string // in which SoftHSM keeps it; moved away, the token is pulled
}

// HSM gives a fresh token. All tests of one process share one SoftHSM
// configuration, since the library reads it once per process.
func HSM(t testing.TB) Token {
	t.Helper()
	s := Services(t)
	store, own, err := spareTokens.take(t.Context(), s.Data)
	if err != nil {
		t.Fatalf("a token for the test: %v", err)
	}
	pinFile := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pinFile, []byte(own.pin), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := spareTokens.remove(own); err != nil {
			t.Errorf("removing the token of the test: %v", err)
		}
	})
	return Token{Module: store.Module, Config: store.Config, Label: own.label, PIN: own.pin, PINFile: pinFile, Dir: own.dir}
}

// Double makes another, empty token with the same label and PIN; meanwhile the first
// has to be elsewhere. It goes when the test ends.
func (own Token) Double(t testing.TB) Token {
	t.Helper()
	p := &spareTokens
	p.mu.Lock()
	defer p.mu.Unlock()
	made, err := p.make(t.Context(), own.Label, own.PIN)
	if err != nil {
		t.Fatalf("a second token labelled %s: %v", own.Label, err)
	}
	t.Cleanup(func() {
		if err := p.remove(made); err != nil && !os.IsNotExist(err) {
			t.Errorf("removing the second token of the test: %v", err)
		}
	})
	own.Dir = made.dir
	return own
}

// pool is the token directory of this process and the tokens in it that no test
// has taken.
type pool struct {
	mu    sync.Mutex
	store local.HSM
	spare []spareToken
}

type spareToken struct{ label, pin, dir string }

// remove moves the token out of the store, then deletes it. SoftHSM opens files
// in every token directory whenever a test of this process looks for tokens:
// one emptied where it lies could fill again before it is gone. No tokens are made
// meanwhile: the program that makes one asks all that it sees for their names, and
// fails when one of them has gone.
func (p *pool) remove(s spareToken) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	away := filepath.Join(filepath.Dir(filepath.Dir(s.dir)), "removed_"+filepath.Base(s.dir))
	if err := os.Rename(s.dir, away); err != nil {
		return err
	}
	return os.RemoveAll(away)
}

var spareTokens pool

func (p *pool) take(ctx context.Context, runData string) (local.HSM, spareToken, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.store.Config == "" {
		if err := p.open(filepath.Join(runData, "test-hsm")); err != nil {
			return local.HSM{}, spareToken{}, err
		}
	}
	if len(p.spare) == 0 {
		if err := p.fill(ctx); err != nil {
			return local.HSM{}, spareToken{}, err
		}
	}
	own := p.spare[0]
	p.spare = p.spare[1:]
	return p.store, own, nil
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
		made, err := p.make(ctx, freshName(), randomPIN())
		if err != nil {
			return err
		}
		p.spare = append(p.spare, made)
	}
	return nil
}

// make makes one token and finds its directory.
func (p *pool) make(ctx context.Context, label, pin string) (spareToken, error) {
	made := spareToken{label: label, pin: pin}
	known, err := p.names()
	if err != nil {
		return made, err
	}
	next := p.store
	next.Label = label
	if err := next.InitToken(ctx, randomPIN(), pin); err != nil {
		return made, err
	}
	now, err := p.names()
	if err != nil {
		return made, err
	}
	for _, name := range now {
		if !slices.Contains(known, name) {
			made.dir = filepath.Join(p.tokens(), name)
		}
	}
	return made, nil
}

// names lists the token directories, one per token, named by SoftHSM.
func (p *pool) names() ([]string, error) {
	entries, err := os.ReadDir(p.tokens())
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (p *pool) tokens() string { return filepath.Join(filepath.Dir(p.store.Config), "tokens") }

func randomPIN() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}
