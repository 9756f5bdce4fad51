package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/setup"
	"dukcapil.go.id/sifilma/daemons/sifilma/internal/up"
	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/config"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/schema"
)

func runUp(ctx context.Context, args []string) error {
	var o up.Options
	fs := flag.NewFlagSet("up", flag.ContinueOnError)
	fs.StringVar(&o.Dir, "dir", "", "folder kerja (bawaan: SIFILMA_RUN_DIR, lalu .run)")
	fs.IntVar(&o.Readers, "readers", 2, "jumlah pembaca kartu maya")
	fs.StringVar(&o.Play, "play", "", "`program` yang memerankan orang-orang kantor setelah semua siap; - mencetak naskahnya saja")
	fs.IntVar(&o.Copies, "copies", 1, "jumlah proses tiap daemon")
	fs.StringVar(&o.Ways, "ways", "", "`berkas` JSON: alamat layanan menurut nama proses, bila lewat perantara")
	fs.BoolVar(&o.Once, "once", false, "berhenti setelah program -play selesai, dengan kodenya")
	if err := fs.Parse(args); err != nil {
		return err
	}
	code, err := up.Run(ctx, o)
	if err == nil && code != 0 {
		return exitError{code}
	}
	return err
}

func owner(fs *flag.FlagSet) *postgres.Config {
	c := &postgres.Config{}
	fs.StringVar(&c.URL, "url", "", "`alamat` PostgreSQL pemilik skema, seperti postgres://pemilik@server:5432/sifilma")
	fs.StringVar(&c.PasswordFile, "password-file", "", "`berkas` berisi kata sandi pemilik")
	return c
}

func runMigrate(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("migrate", flag.ContinueOnError)
	db := owner(fs)
	secrets := fs.String("secrets", "", "`folder` berkas postgres-<daemon> berisi kata sandi peran masing-masing")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := setup.Migrate(ctx, *db); err != nil {
		return err
	}
	fmt.Printf("Skema versi %d siap.\n", schema.Version())
	if *secrets == "" {
		return nil
	}
	for daemon, role := range setup.Roles {
		password, err := config.Secret(*secrets + "/postgres-" + daemon)
		if err != nil {
			return err
		}
		if err := setup.AllowLogin(ctx, *db, role, password); err != nil {
			return err
		}
	}
	fmt.Println("Peran daemon boleh masuk.")
	return nil
}

func runUser(ctx context.Context, args []string) error { return setUser(ctx, args, os.Stdin) }

// setUser reads the password from in: on the command line others would see it.
func setUser(ctx context.Context, args []string, in io.Reader) error {
	fs := flag.NewFlagSet("user", flag.ContinueOnError)
	dbc := owner(fs)
	var a identity.Account
	fs.StringVar(&a.Username, "username", "", "nama pengguna")
	fs.StringVar(&a.Name, "name", "", "nama atau jabatan yang ditampilkan")
	role := fs.String("role", "", "peran: produsen, lembaga, dinas, persuratan, dirjen, direktur, kasubdit, operator")
	org := fs.String("institution", "", "nama lembaga, untuk peran produsen, lembaga, dan dinas")
	kept := fs.Bool("no-change", false, "kata sandi ini tidak perlu diganti saat pertama masuk; untuk akun peraga dan uji")
	if err := fs.Parse(args); err != nil {
		return err
	}
	a.MustChange = !*kept
	if a.Username == "" || *role == "" {
		return errors.New("-username dan -role wajib diisi")
	}
	a.Role = machine.Role(*role)
	fmt.Fprintln(os.Stderr, "Ketik kata sandi baru, lalu Enter:")
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	password := strings.TrimRight(line, "\r\n")
	if len(password) < 12 {
		return errors.New("kata sandi sekurangnya 12 karakter")
	}
	db, err := postgres.Open(*dbc)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if *org != "" {
		found, err := institution.ByName(ctx, db, *org)
		if err != nil {
			return fmt.Errorf("lembaga %q: %w", *org, err)
		}
		a.InstitutionID = &found.ID
	}
	by := "sifilma@" + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		by = "sifilma@" + u.Username
	}
	err = identity.SetAccountBy(ctx, db, a, password, by)
	var faults form.Faults
	if errors.As(err, &faults) {
		texts := make([]string, len(faults))
		for i, f := range faults {
			texts[i] = f.Detail
		}
		return errors.New(strings.Join(texts, " "))
	}
	return err
}

// Marks in README.md between which the diagrams stand.
const (
	statesBegin = "<!-- states -->"
	statesEnd   = "<!-- /states -->"
)

// states draws every state machine of the office.
func states() string {
	var b strings.Builder
	for _, m := range setup.Machines() {
		fmt.Fprintf(&b, "\n### %s\n\n```mermaid\n%s```\n", m.Name, m.Mermaid())
	}
	return b.String()
}

// withStates puts the diagrams between the marks of a text.
func withStates(text string) (string, error) {
	return between(text, statesBegin, statesEnd, states())
}

// between puts what a program wrote between two marks of a text.
func between(text, begin, end, content string) (string, error) {
	before, rest, ok := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("tanda %s dan %s tidak ditemukan", begin, end)
	}
	return before + begin + "\n" + content + "\n" + end + after, nil
}

func runStates(_ context.Context, args []string) error {
	fs := flag.NewFlagSet("states", flag.ContinueOnError)
	path := fs.String("write", "", "tulis diagram ke `berkas` di antara kedua tandanya")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *path == "" {
		fmt.Print(states())
		return nil
	}
	return rewrite(*path, withStates)
}

// rewrite puts into a document what change makes of it.
func rewrite(path string, change func(text string) (string, error)) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed, err := change(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(changed), 0o644) //nolint:gosec // a document for everybody
}

// runSweep waits until its parent, which holds the other end of standard
// input, is gone, and then ends whatever the parent left running. The parent
// says "done" when it has stopped everything by itself.
func runSweep(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("sweep", flag.ContinueOnError)
	dir := fs.String("dir", "", "folder kerja")
	if err := fs.Parse(args); err != nil {
		return err
	}
	word, _ := io.ReadAll(os.Stdin)
	if strings.TrimSpace(string(word)) == "done" {
		return nil
	}
	return local.StopDir(context.WithoutCancel(ctx), *dir)
}
