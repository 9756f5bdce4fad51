package main

import (
	"bytes"
	"context"
	"crypto/des" //nolint:gosec // triple DES is what the cards use
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// keyDesk runs `sifilma keys` as people do.
type keyDesk struct {
	t      *testing.T
	db     *postgres.DB
	dbArgs []string
}

func of(h harness.Token) []string {
	return []string{"-module", h.Module, "-token", h.Label, "-pin-file", h.PINFile}
}

func (d keyDesk) command(args ...[]string) *exec.Cmd { return d.commandOf("keys", args...) }

func (d keyDesk) commandOf(name string, args ...[]string) *exec.Cmd {
	all := []string{name}
	for _, a := range args {
		all = append(all, a...)
	}
	return sifilma(d.t, all...)
}

// run returns what the command says on both ways out, and whether it succeeded.
func (d keyDesk) run(args ...[]string) (says string, ok bool) {
	d.t.Helper()
	out, err := d.command(args...).CombinedOutput()
	return string(out), err == nil
}

func (d keyDesk) good(args ...[]string) string {
	d.t.Helper()
	says, ok := d.run(args...)
	require.True(d.t, ok, says)
	return says
}

func (d keyDesk) bad(says string, args ...[]string) {
	d.t.Helper()
	got, ok := d.run(args...)
	require.False(d.t, ok, got)
	require.Contains(d.t, got, says)
}

// seated runs the command on a terminal of its own and answers its prompts.
func (d keyDesk) seated(answers []string, args ...[]string) (screen, says string) {
	d.t.Helper()
	return d.at("keys", answers, args...)
}

// at is seated for any command; the answer typedBack is what the screen has shown.
func (d keyDesk) at(name string, answers []string, args ...[]string) (screen, says string) {
	d.t.Helper()
	screen, says, err := d.try(name, answers, args...)
	require.NoError(d.t, err, "%s\n%s", screen, says)
	return screen, says
}

// try is at for a command that may fail.
func (d keyDesk) try(name string, answers []string, args ...[]string) (screen, says string, err error) {
	d.t.Helper()
	host, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(d.t, err)
	defer func() { _ = host.Close() }()
	raw, err := host.SyscallConn()
	require.NoError(d.t, err)
	path := ""
	require.NoError(d.t, raw.Control(func(fd uintptr) {
		n, err := unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		require.NoError(d.t, err)
		require.NoError(d.t, unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0))
		path = "/dev/pts/" + strconv.Itoa(n)
	}))
	seat, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(d.t, err)
	cmd := d.commandOf(name, args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = seat, &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(d.t, cmd.Start())
	_ = seat.Close()
	require.NoError(d.t, host.SetReadDeadline(time.Now().Add(30*time.Second)))
	var seen, since bytes.Buffer
	buf := make([]byte, 4096)
	for {
		n, err := host.Read(buf)
		seen.Write(buf[:n])
		since.Write(buf[:n])
		for len(answers) > 0 && strings.Contains(since.String(), answers[0]) {
			since.Reset()
			answer := answers[1]
			if answer == typedBack {
				answer = lastPart(seen.String())
			}
			_, werr := host.WriteString(answer + "\n")
			require.NoError(d.t, werr)
			answers = answers[2:]
		}
		if err != nil { // EIO: the other side is closed
			break
		}
	}
	err = cmd.Wait()
	require.Empty(d.t, answers)
	return seen.String(), out.String(), err
}

// occupied is a file that is there.
func (d keyDesk) occupied(dir string) string {
	path := filepath.Join(dir, "sudah.docx")
	require.NoError(d.t, os.WriteFile(path, nil, 0o600))
	return path
}

// What an operator does with keys in a year: the first keys, a ceremony, a spare token,
// the next version of a key, the end of an old one.
func TestKeysCommand(t *testing.T) {
	t.Parallel()
	main, spare := harness.HSM(t), harness.HSM(t)
	o := persotest.New(t, 1, 1)
	config := o.Database.Config(t, "")
	d := keyDesk{t, o.DB, []string{"-url", config.URL, "-password-file", config.PasswordFile}}
	dir := t.TempDir()

	d.bad("tindakan \"buat\" tidak dikenal", []string{"buat"})
	d.bad("pilihan -module wajib diisi untuk keys generate", []string{"generate"})
	require.Contains(t, d.good([]string{"-h"}), "check     membuktikan")

	// What is wrong is said before the token makes anything that it keeps for ever.
	labelled := []string{"generate", "-label"}
	d.bad("label \"Kunci Baru!\" tidak dapat dipakai", append(labelled, "Kunci Baru!"), of(main), d.dbArgs)
	d.bad("harus berakhiran .docx atau .pdf", append(labelled, "coba"), of(main), d.dbArgs, []string{"-paper", filepath.Join(dir, "ba.txt")})
	d.bad("tidak dapat ditulis ke folder", append(labelled, "coba"), of(main), d.dbArgs, []string{"-paper", filepath.Join(dir, "tidak-ada", "ba.docx")})
	d.bad("sudah ada dan tidak ditimpa", append(labelled, "coba"), of(main), d.dbArgs, []string{"-paper", d.occupied(dir)})
	d.bad("berkas "+dir+"/pin tidak ada", append(labelled, "coba"), d.dbArgs, []string{"-module", main.Module, "-token", main.Label, "-pin-file", dir + "/pin"})
	d.bad("berkas "+dir+"/pustaka.so tidak ada", append(labelled, "coba"), d.dbArgs, []string{"-module", dir + "/pustaka.so", "-token", main.Label, "-pin-file", main.PINFile})
	d.bad("tidak dapat dihubungi", []string{"list", "-url", "postgres://pemilik@127.0.0.1:1/sifilma?sslmode=disable"})
	d.bad("tidak memakai TLS", []string{"list"}, d.dbArgs[2:], []string{"-url", strings.Replace(config.URL, "sslmode=disable", "sslmode=require", 1)})
	d.bad("token \"cadangan-lain\" tidak ditemukan", []string{"check"}, of(main), []string{"-spare-token", "cadangan-lain", "-spare-pin-file", main.PINFile})
	require.NotContains(t, d.good([]string{"proof"}, of(main)), "\"kcv\"", "nothing was made")

	// The first keys, as of old, and into the book.
	says := d.good([]string{"generate"}, of(main))
	require.Contains(t, says, "Belum tercatat")
	says = d.good([]string{"generate"}, of(main), d.dbArgs, []string{"-paper", filepath.Join(dir, "pertama.docx"), "-by", "Operator KI", "-witness", "Saksi"})
	require.Contains(t, says, "Tercatat dalam buku kunci.")
	word, err := os.ReadFile(filepath.Join(dir, "pertama.docx"))
	require.NoError(t, err)
	text, err := docx.Text(word)
	require.NoError(t, err)
	require.Contains(t, text, "sam-secret-wrap")
	require.Contains(t, text, "Pelaksana: Operator KI")
	d.bad("tidak ditemukan", []string{"list"}, d.dbArgs, []string{"-module", main.Module, "-token", "tidak-ada", "-pin-file", main.PINFile})

	// A ceremony needs people at a terminal.
	bring := []string{"ceremony", "-label", "sam-data-master", "-kind", "3tdea", "-custodian", "Kustodian I", "-custodian", "Kustodian II"}
	cmd := d.command(bring, of(main), d.dbArgs)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "dikerjakan di terminal")
	one, two := make([]byte, 24), make([]byte, 24)
	for i := range one {
		one[i], two[i] = byte(7*i+3), byte(11*i*i+5)
	}
	first, second := fmt.Sprintf("%X", one), fmt.Sprintf("%X", two)
	kcv := map[string]string{first: kcvDES(t, one), second: kcvDES(t, two)}
	turn := func(component string) []string {
		return []string{"bila siap", "", "KCV komponen di kertas", kcv[component], "tidak tampak)", component, "layar dihapus.", ""}
	}
	paper := []string{"-paper", filepath.Join(dir, "kedua.docx")}
	screen, says := d.seated(append(append(turn(first), turn(second)...), "bila kunci ini baru:", "", "(ya/batal)", "ya"), bring, of(main), d.dbArgs, paper)
	require.Contains(t, says, "sam-data-master          3TDEA    KCV ")
	for _, digits := range []string{first, second} {
		require.NotContains(t, screen+says, digits[:12])
	}
	whole := make([]byte, 24)
	for i := range whole {
		whole[i] = one[i] ^ two[i]
	}
	e, err := keybook.Get(t.Context(), d.db, "sam-data-master")
	require.NoError(t, err)
	require.Equal(t, kcvDES(t, whole), e.KCV)
	require.EqualValues(t, []string{"Kustodian I", "Kustodian II"}, e.Custodians)

	// The same into the spare token, by the same papers; its other keys are its own.
	_, says = d.seated(append(append(turn(first), turn(second)...), "(ya/batal)", "ya"), bring, of(spare), d.dbArgs, []string{"-paper", filepath.Join(dir, "cadangan.docx")})
	require.Contains(t, says, "Tercatat")
	var copied int
	require.NoError(t, d.db.Get(t.Context(), &copied, `SELECT count(*) FROM audit WHERE action = 'key.copied'`))
	require.Equal(t, 1, copied)
	sparing := []string{"-spare-token", spare.Label, "-spare-pin-file", spare.PINFile}
	d.bad("TIDAK memegang semua kunci", []string{"check"}, of(main), d.dbArgs, sparing)
	d.bad("ini token yang sama", []string{"check"}, of(main), []string{"-spare-token", main.Label, "-spare-pin-file", main.PINFile})
	says, ok := d.run([]string{"check"}, of(main), sparing)
	require.False(t, ok)
	require.Regexp(t, `sam-data-master .* sama`, says)
	require.Regexp(t, `sam-final-master .* TIDAK ADA`, says)
	d.good([]string{"record", "-label", "sam-data-master"}, of(main), d.dbArgs, []string{"-paper", filepath.Join(dir, "lagi.pdf")})

	// Rotation: next version, draft, two people; cut off and run again it is the same.
	d.bad("berjenis AES-256", []string{"rotate", "-name", "sam-final-master", "-kind", "3tdea"}, of(main), d.dbArgs)
	says = d.good([]string{"rotate", "-name", "sam-final-master"}, of(main), d.dbArgs)
	require.Contains(t, says, "Konsep Kode Kunci ktpel/2 memakai sam-final-master.v2")
	again := d.good([]string{"rotate", "-name", "sam-final-master"}, of(main), d.dbArgs)
	require.Contains(t, again, "sam-final-master.v2")
	require.Contains(t, again, "ktpel/2 memakai")
	d.bad("Kode Kunci yang berlaku atau menunggu persetujuan: ktpel/1",
		[]string{"retire", "-label", "sam-final-master", "-by", "Operator KI", "-reason", "diganti"}, d.dbArgs)
	d.approve("ktpel", 2)
	k, err := recipe.InForce(t.Context(), d.db, recipe.KeyCode, "ktpel")
	require.NoError(t, err)
	require.Contains(t, string(k.Content), `"final": { "version": "32", "master": "sam-final-master.v2" }`)
	require.Contains(t, d.good([]string{"rotate", "-name", "sam-final-master", "-kvn", "40"}, of(main), d.dbArgs), "ktpel/3 memakai sam-final-master.v3")
	d.bad("tidak dipakai oleh Kode Kunci", []string{"rotate", "-name", "sam-lain"}, of(main), d.dbArgs)
	says = d.good([]string{"list"}, d.dbArgs, of(main))
	require.Regexp(t, `sam-final-master +versi 1 .*tidak diperlukan`, says)
	require.Regexp(t, `sam-final-master\.v2 +versi 2 .*dipakai`, says)
	d.good([]string{"retire", "-label", "sam-final-master", "-by", "Operator KI", "-reason", "diganti"}, d.dbArgs)
	d.bad("sudah dihentikan", []string{"record", "-label", "sam-final-master"}, of(main), d.dbArgs)
	d.bad("tidak ada dalam buku kunci", []string{"retire", "-label", "sam-lain", "-by", "Operator KI", "-reason", "diganti"}, d.dbArgs)
	d.bad("bukan kunci yang tercatat", []string{"list"}, d.dbArgs, of(made(t, d, spare)))

	// Wrong PIN: said, and tried once.
	wrong := filepath.Join(dir, "pin")
	require.NoError(t, os.WriteFile(wrong, []byte("salah-sekali"), 0o600))
	d.bad("tidak dicoba lagi", []string{"proof"}, []string{"-module", main.Module, "-token", main.Label, "-pin-file", wrong})
}

// made puts a key of its own under a label of the book into the spare token.
func made(t *testing.T, d keyDesk, spare harness.Token) harness.Token {
	t.Helper()
	d.good([]string{"generate", "-label", "sam-secret-wrap"}, of(spare))
	return spare
}

// approve has two people put a draft in force.
func (d keyDesk) approve(code string, edition int) {
	d.t.Helper()
	all, err := recipe.Editions(d.t.Context(), d.db, recipe.KeyCode, code)
	require.NoError(d.t, err)
	require.Equal(d.t, edition, all[0].Edition)
	r := all[0]
	require.Equal(d.t, recipe.Draft, r.State)
	require.NoError(d.t, d.db.InTx(d.t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		if r, err = recipe.Propose(ctx, tx, recipe.Seen{ID: r.ID, Version: r.Version}, persotest.Person("operator", "operator", "uji")); err != nil {
			return err
		}
		_, err = recipe.Approve(ctx, tx, recipe.Seen{ID: r.ID, Version: r.Version}, persotest.Person("kasubdit", "kasubdit", "uji"))
		return err
	}))
}

// A spare token behind another configuration, and one that is far away and gets a proof
// as a file, are compared too.
func TestSpareTokensElsewhere(t *testing.T) {
	t.Parallel()
	main := harness.HSM(t)
	d := keyDesk{t: t}
	d.good([]string{"generate"}, of(main))
	dir := t.TempDir()
	store, err := local.NewTokenStore(filepath.Join(dir, "lain"))
	require.NoError(t, err)
	store.Label, store.PINFile = "cadangan", filepath.Join(dir, "pin")
	require.NoError(t, os.WriteFile(store.PINFile, []byte("12345678"), 0o600))
	require.NoError(t, store.InitToken(t.Context(), "87654321", "12345678"))
	spare := []string{"-spare-token", "cadangan", "-spare-pin-file", store.PINFile, "-spare-softhsm-conf", store.Config}
	says, ok := d.run([]string{"check"}, of(main), spare)
	require.False(t, ok)
	require.Equal(t, 3, strings.Count(says, "TIDAK ADA di token cadangan"), says)

	// The main token's own copy of its files holds the same keys, as a backup of them does.
	copied := filepath.Join(dir, "salinan")
	saved, err := local.NewTokenStore(copied)
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(filepath.Join(copied, "tokens", "x"), os.DirFS(main.Dir)))
	says, _ = d.run([]string{"check"}, of(main), []string{"-spare-token", main.Label, "-spare-pin-file", main.PINFile, "-spare-softhsm-conf", saved.Config})
	require.Equal(t, 3, strings.Count(says, "  sama"), says)

	// Carried as a file.
	proof, err := d.command([]string{"proof"}, of(main)).Output()
	require.NoError(t, err)
	require.NotContains(t, string(proof), strings.TrimSpace(main.PIN))
	file := filepath.Join(dir, "bukti.json")
	require.NoError(t, os.WriteFile(file, proof, 0o600))
	cmd := d.command([]string{"check", "-proof", file, "-module", main.Module, "-token", "cadangan", "-pin-file", store.PINFile})
	cmd.Env = append(cmd.Env, "SOFTHSM2_CONF="+store.Config)
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "TIDAK memegang semua kunci")
	require.NoError(t, os.WriteFile(file, []byte(`{"challenge": "00"}`), 0o600))
	d.bad("berkas bukti tidak terbaca", []string{"check", "-proof", file}, of(main))
}

// kcvDES is the check value as another program computes it.
func kcvDES(t *testing.T, key []byte) string {
	t.Helper()
	c, err := des.NewTripleDESCipher(key) //nolint:gosec // as above
	require.NoError(t, err)
	out := make([]byte, des.BlockSize)
	c.Encrypt(out, out)
	return fmt.Sprintf("%X", out[:3])
}
