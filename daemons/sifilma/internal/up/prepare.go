package up

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/daemons/sifilma/internal/setup"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/config"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

const (
	database = "sifilma"
	vhost    = "sifilma"
)

// ownerConfig reaches a database as the owner of the schema.
func (of *office) ownerConfig(name string) postgres.Config {
	p := of.services.Postgres
	return postgres.Config{URL: p.RoleURL(name, p.User, ""), PasswordFile: p.PasswordFile, MaxOpen: 4}
}

// prepare makes database, virtual host, roles, keys, clock and accounts.
func (of *office) prepare(ctx context.Context) error {
	if err := of.services.Postgres.EnsureDatabase(ctx, database); err != nil {
		return fmt.Errorf("membuat basis data: %w", err)
	}
	if err := of.services.Rabbit.API(ctx, http.MethodPut, "/vhosts/"+vhost, map[string]any{}, nil); err != nil {
		return fmt.Errorf("membuat virtual host: %w", err)
	}
	permissions := map[string]string{"configure": ".*", "write": ".*", "read": ".*"}
	if err := of.services.Rabbit.API(ctx, http.MethodPut, "/permissions/"+vhost+"/"+url.PathEscape(of.services.Rabbit.User), permissions, nil); err != nil {
		return fmt.Errorf("hak virtual host: %w", err)
	}
	owner := of.ownerConfig(database)
	if err := setup.Migrate(ctx, owner); err != nil {
		return fmt.Errorf("menyiapkan skema: %w", err)
	}
	for daemon, role := range setup.Roles {
		path, password, err := of.secret("postgres-" + daemon)
		if err != nil {
			return err
		}
		of.secrets[daemon] = path
		if err := setup.AllowLogin(ctx, owner, role, password); err != nil {
			return err
		}
	}
	if err := of.makeKeys(ctx); err != nil {
		return err
	}
	if err := of.startClock(); err != nil {
		return err
	}
	var err error
	if of.ports, err = of.choosePorts(); err != nil {
		return err
	}
	of.cast, err = invite(ctx, owner, of.Dir)
	return err
}

// secret returns a password of this run directory and the file that keeps it,
// made at the first call.
func (of *office) secret(name string) (path, password string, err error) {
	dir := filepath.Join(of.Dir, "secrets")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, name)
	password, err = config.Secret(path)
	if err == nil && password != "" {
		return path, password, nil
	}
	if password, err = newPassword(); err != nil {
		return "", "", err
	}
	if err := os.WriteFile(path+".new", []byte(password+"\n"), 0o600); err != nil {
		return "", "", err
	}
	return path, password, os.Rename(path+".new", path)
}

// newPassword is 120 random bits that a person can type.
func newPassword() (string, error) {
	b := make([]byte, 15)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	s := strings.ToLower(base32.StdEncoding.EncodeToString(b))
	return s[:6] + "-" + s[6:12] + "-" + s[12:18] + "-" + s[18:], nil
}

func (of *office) tokenConfig() pkcs11.Config {
	h := of.services.HSM
	return pkcs11.Config{Module: h.Module, TokenLabel: h.Label, PINFile: h.PINFile}
}

func (of *office) makeKeys(ctx context.Context) error {
	if err := os.Setenv("SOFTHSM2_CONF", of.services.HSM.Config); err != nil { // the module reads the process's environment
		return err
	}
	token, err := pkcs11.Open(of.tokenConfig())
	if err != nil {
		return err
	}
	record, err := ceremony.Generate(ctx, token)
	if err == nil { // in production a token of its own holds it
		var signing ceremony.Key
		signing, err = ceremony.GenerateOne(ctx, token, ceremony.ManifestSigning, ceremony.Kinds["p256"])
		record = append(record, signing)
	}
	if err == nil {
		err = of.recordKeys(ctx, token, record)
	}
	if err != nil {
		return errors.Join(err, token.Close())
	}
	for _, k := range record {
		if k.Made {
			say("  HSM: kunci " + k.Label + " dibuat, KCV " + k.KCV)
		}
	}
	return token.Close()
}

// recordKeys writes the keys into the book; those that stand in it already stay so.
func (of *office) recordKeys(ctx context.Context, token *pkcs11.Token, record []ceremony.Key) error {
	info, err := token.Info(ctx)
	if err != nil {
		return err
	}
	db, err := postgres.Open(of.ownerConfig(database))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if record, err = notGivenUp(ctx, db, record); err != nil {
		return err
	}
	return ceremony.Keep(ctx, db, ceremony.Act{By: "sifilma up", Place: "komputer ini", At: time.Now(), Token: info}, record...)
}

// notGivenUp leaves out the keys that people have given up: the token still has them.
func notGivenUp(ctx context.Context, rd postgres.Reader, record []ceremony.Key) (kept []ceremony.Key, err error) {
	for _, k := range record {
		e, err := keybook.Get(ctx, rd, k.Label)
		if err != nil && !errors.Is(err, keybook.ErrNotFound) {
			return nil, err
		}
		if err != nil || !e.Retired() {
			kept = append(kept, k)
		}
	}
	return kept, nil
}

// clockPath is the office clock's file; the play steps it.
func (of *office) clockPath() string { return filepath.Join(of.Dir, "office-clock") }

// startClock sets the office clock to now at the first run; later runs go on
// where it stood.
func (of *office) startClock() error {
	if _, err := os.Stat(of.clockPath()); err == nil {
		return nil
	}
	return clock.StepOffice(of.clockPath(), time.Now())
}

// script is what the play reads on its standard input.
func (of *office) script() (*strings.Reader, error) {
	readers := []string{}
	for _, r := range of.services.PCSC.Primary() {
		readers = append(readers, r.Name)
	}
	addresses := map[string][]string{} // of all copies, by daemon
	for _, in := range of.instances() {
		addresses[in.daemon] = append(addresses[in.daemon], of.address(in.name))
	}
	body, err := json.Marshal(map[string]any{
		"addresses": addresses,
		"dir":       of.Dir, "began": of.began, "once": of.Once, "office_clock": of.clockPath(),
		"portal": of.address("portal"), "intake": of.address("intake"), "station": of.address("perso-station"),
		"virtual_sam": of.controlPath(), "readers": readers,
		"token": map[string]string{"module": of.services.HSM.Module, "label": of.services.HSM.Label, "pin_file": of.services.HSM.PINFile},
		"cast":  of.cast,
	})
	if err != nil {
		return nil, err
	}
	return strings.NewReader(string(body)), nil
}
