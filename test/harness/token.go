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

// Token is a SoftHSM token of one test.
type Token struct {
	Module  string // PKCS#11 library
	Config  string // SOFTHSM2_CONF, set in this process; child processes need it too
	Label   string
	PIN     string
	PINFile string
}

// HSM creates a fresh token. All tests of one process share one SoftHSM
// configuration, since the library reads it once per process.
func HSM(t testing.TB) Token {
	t.Helper()
	store := tokenStore(t)
	store.Label = freshName()
	pin := randomPIN()
	if err := store.InitToken(context.Background(), randomPIN(), pin); err != nil {
		t.Fatalf("creating a token for the test: %v", err)
	}
	pinFile := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pinFile, []byte(pin), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd := exec.Command("softhsm2-util", "--delete-token", "--token", store.Label) //nolint:gosec // fixed program
		cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+store.Config)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("removing the token of the test: %v: %s", err, out)
		}
	})
	return Token{Module: store.Module, Config: store.Config, Label: store.Label, PIN: pin, PINFile: pinFile}
}

var (
	tokenMutex sync.Mutex
	tokens     local.HSM
)

// tokenStore makes the token directory of this process and removes those of
// processes that are gone.
func tokenStore(t testing.TB) local.HSM {
	t.Helper()
	tokenMutex.Lock()
	defer tokenMutex.Unlock()
	if tokens.Config != "" {
		return tokens
	}
	base := filepath.Join(Services(t).Data, "test-hsm")
	if entries, err := os.ReadDir(base); err == nil {
		for _, e := range entries {
			if orphan(e.Name()) {
				_ = os.RemoveAll(filepath.Join(base, e.Name()))
			}
		}
	}
	store, err := local.NewTokenStore(filepath.Join(base, "t_"+owner()))
	if err == nil {
		err = os.Setenv("SOFTHSM2_CONF", store.Config)
	}
	if err != nil {
		t.Fatalf("SoftHSM for the test: %v", err)
	}
	tokens = store
	return tokens
}

func randomPIN() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}
