package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

const keysHelp = `Pemakaian: sifilma keys TINDAKAN -module PUSTAKA -token LABEL -pin-file BERKAS [pilihan]

Mengurus kunci induk dan kunci penanda tangan manifest di dalam token HSM dan catatannya di basis data (buku kunci). Kunci tidak pernah keluar dari token;
yang dicatat dan dicetak hanya label, versi, algoritma, dan KCV (nilai uji kunci).

  generate  membuat kunci di dalam token: kunci pertama stasiun, atau satu kunci dengan -label
            (penanda tangan manifest: -label manifest-signing -kind p256, di token tersendiri)
  ceremony  memasukkan kunci dari komponen dua atau tiga kustodian, masing-masing sendiri di depan terminal
  rotate    membuat versi berikutnya dari satu kunci, dan konsep edisi Kode Kunci yang memakainya
  record    mencatat kunci yang sudah ada di token ke buku kunci, dan mencetak lagi berita acaranya
  list      menampilkan buku kunci, dibandingkan dengan token bila disebut
  retire    menghentikan satu versi kunci; ditolak selama masih diperlukan
  revoke    mencabut kunci penanda tangan yang mungkin dipegang orang lain (-by, -witness, -reason): semua yang pernah
            ditandatanganinya tidak berlaku lagi
  public    menulis kunci publik penanda tangan manifest (-out; -format jwk atau pem)
  proof     menulis bukti kunci apa saja yang dipegang token, tanpa membukanya
  check     membuktikan bahwa token cadangan memegang kunci yang sama

Tanpa -url tidak ada yang dicatat di basis data. Upacara ditutup dengan berita acara (-paper, .docx atau .pdf).

`

// keys is what all actions of `sifilma keys` take.
type keys struct {
	action     string
	fs         *flag.FlagSet
	token      pkcs11.Config
	dbc        *postgres.Config
	by         string
	place      string
	paper      string
	label      string
	kind       string
	origin     string
	custodians []string
	witnesses  []string
	draw       bool
	terminal   string

	name    string
	keyCode string
	kvn     string
	reason  string

	out    string
	format string

	challenge string
	proof     string
	spare     pkcs11.Config
	spareConf string
}

var keyActions = map[string]func(*keys, context.Context) error{
	"generate": (*keys).generate, "ceremony": (*keys).ceremony, "rotate": (*keys).rotate, "record": (*keys).record,
	"list": (*keys).list, "public": (*keys).public, "retire": (*keys).retire, "revoke": (*keys).revoke, "proof": (*keys).prove, "check": (*keys).check,
}

func runKeys(ctx context.Context, args []string) error {
	k := &keys{action: "generate"}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		k.action, args = args[0], args[1:]
	}
	do := keyActions[k.action]
	if do == nil {
		return fmt.Errorf("tindakan %q tidak dikenal; sifilma keys -h menyebut semuanya", k.action)
	}
	k.flags()
	if err := parse(k.fs, keysHelp, args); err != nil {
		return err
	}
	if k.fs.NArg() > 0 {
		return fmt.Errorf("%q tidak dikenal; sifilma keys -h menjelaskan pilihannya", k.fs.Arg(0))
	}
	return k.plain(do(k, ctx))
}

func (k *keys) flags() {
	fs := flag.NewFlagSet("keys", flag.ContinueOnError)
	k.fs, k.dbc = fs, owner(fs)
	fs.StringVar(&k.token.Module, "module", "", "`pustaka` PKCS#11")
	fs.StringVar(&k.token.TokenLabel, "token", "", "`label` token")
	fs.StringVar(&k.token.PINFile, "pin-file", "", "`berkas` PIN token")
	fs.StringVar(&k.by, "by", "", "`nama` pelaksana; bawaan: pengguna sistem")
	fs.StringVar(&k.place, "place", "Jakarta", "`tempat` upacara")
	fs.StringVar(&k.paper, "paper", "", "`berkas` berita acara, .docx atau .pdf")
	fs.StringVar(&k.label, "label", "", "`label` kunci di token; versi kedua dan seterusnya berakhiran .v2, .v3")
	fs.StringVar(&k.kind, "kind", "", "`jenis` kunci: aes128, aes192, aes256, 2tdea, 3tdea, p256; bawaan: aes256, dan pada rotasi jenis kunci yang diganti")
	fs.StringVar(&k.origin, "origin", "", "asal kunci yang dicatat: generated atau components")
	fs.Func("custodian", "`peran` seorang kustodian; diulang untuk masing-masing", list(&k.custodians))
	fs.Func("witness", "`peran` seorang saksi yang menandatangani berita acara; boleh diulang. Pada revoke: nama orang kedua, satu saja", list(&k.witnesses))
	fs.BoolVar(&k.draw, "draw", false, "komponen dibuat oleh token; tiap kustodian menyalin miliknya ke kertas")
	fs.StringVar(&k.terminal, "terminal", "/dev/tty", "`terminal` tempat kustodian duduk")
	fs.StringVar(&k.name, "name", "", "`nama` kunci yang diganti versinya, seperti sam-final-master")
	fs.StringVar(&k.keyCode, "key-code", "ktpel", "`Kode Kunci` yang memakai kunci itu")
	fs.StringVar(&k.kvn, "kvn", "", "nomor versi kunci pada kartu, dua digit heksadesimal; bawaan: nomor berikutnya untuk kunci akhir")
	fs.StringVar(&k.reason, "reason", "", "`alasan`")
	fs.StringVar(&k.out, "out", "", "`berkas` kunci publik; bawaan: layar")
	fs.StringVar(&k.format, "format", "jwk", "`bentuk` kunci publik: jwk (JWK Set, RFC 7517) atau pem")
	fs.StringVar(&k.challenge, "challenge", "", "tantangan 64 digit; bawaan: diundi oleh token")
	fs.StringVar(&k.proof, "proof", "", "`berkas` bukti dari token utama; token yang disebut -token dibandingkan dengannya")
	fs.StringVar(&k.spare.TokenLabel, "spare-token", "", "`label` token cadangan")
	fs.StringVar(&k.spare.PINFile, "spare-pin-file", "", "`berkas` PIN token cadangan")
	fs.StringVar(&k.spare.Module, "spare-module", "", "`pustaka` PKCS#11 token cadangan; bawaan: sama dengan -module")
	fs.StringVar(&k.spareConf, "spare-softhsm-conf", "", "`berkas` SOFTHSM2_CONF token cadangan, bila bukan yang sama")
}

// need says which option is missing.
func (k *keys) need(values map[string]string) error {
	for _, name := range []string{"module", "token", "pin-file", "url", "label", "name", "by", "reason"} {
		if value, wanted := values[name]; wanted && value == "" {
			return fmt.Errorf("pilihan -%s wajib diisi untuk keys %s", name, k.action)
		}
	}
	return nil
}

// labelled checks the label of a key before the token makes or takes one under it: what
// the token keeps for ever must be a label that the book takes.
func (k *keys) labelled() error {
	if k.label == "" || keybook.ValidLabel(k.label) {
		return nil
	}
	return fmt.Errorf("label %q tidak dapat dipakai: huruf kecil, angka, titik, garis bawah, dan tanda hubung, dimulai dengan huruf atau angka, paling panjang 64", k.label)
}

func (k *keys) open() (*pkcs11.Token, error) {
	if err := k.need(map[string]string{"module": k.token.Module, "token": k.token.TokenLabel, "pin-file": k.token.PINFile}); err != nil {
		return nil, err
	}
	return openToken(k.token)
}

func openToken(c pkcs11.Config) (*pkcs11.Token, error) {
	if _, err := os.Stat(c.Module); err != nil {
		return nil, err // the loader would only say that it does not load
	}
	return pkcs11.Open(c)
}

// book opens the database, nil when none was named.
func (k *keys) book() (*postgres.DB, error) {
	if k.dbc.URL == "" {
		return nil, nil //nolint:nilnil // no book is a way to work: a spare token far from the office
	}
	return openOwner(*k.dbc)
}

func (k *keys) who() string {
	if k.by != "" {
		return k.by
	}
	if u, err := user.Current(); err == nil {
		return "sifilma@" + u.Username
	}
	return "sifilma@" + strconv.Itoa(os.Getuid())
}

// at is a token, and the book if there is one, with who works with them.
type at struct {
	*keys
	token *pkcs11.Token
	db    *postgres.DB // nil for none
	act   ceremony.Act
}

// with opens what an action works with and closes it again.
func (k *keys) with(ctx context.Context, do func(ctx context.Context, a at) error) (err error) {
	if err := k.labelled(); err != nil {
		return err
	}
	if err := ceremony.PaperMayBe(k.paper); err != nil { // a key cannot be taken back when its paper cannot be written
		return err
	}
	token, err := k.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, token.Close()) }()
	db, err := k.book()
	if err != nil {
		return err
	}
	if db != nil {
		defer func() { _ = db.Close() }()
		if _, err := keybook.List(ctx, db); err != nil { // before people begin to type
			return err
		}
	}
	info, err := token.Info(ctx)
	if err != nil {
		return err
	}
	return do(ctx, at{k, token, db, ceremony.Act{By: k.who(), Place: k.place, At: time.Now(), Token: info}})
}

// close writes down what a ceremony came to: book, paper, and a line for each key.
func (a at) close(ctx context.Context, made ...ceremony.Key) error {
	for _, m := range made {
		note := "sudah ada"
		if m.Made {
			note = "dibuat"
		}
		fmt.Printf("%-24s %-8s KCV %s  %s\n", m.Label, m.Kind, m.KCV, note)
	}
	if a.db != nil {
		if err := ceremony.Keep(ctx, a.db, a.act, made...); err != nil {
			return err
		}
		fmt.Println("Tercatat dalam buku kunci.")
	} else {
		fmt.Println("Belum tercatat dalam buku kunci: tambahkan -url, atau jalankan sifilma keys record kemudian.")
	}
	if a.paper == "" {
		return nil
	}
	signers := append([]string(nil), a.custodians...)
	for _, m := range made {
		if len(a.custodians) == 0 {
			signers = append(signers, m.Custodians...)
		}
	}
	p := ceremony.Paper{At: a.act.At, Place: a.act.Place, Operator: a.act.By, Token: a.act.Token, Keys: made, Roles: append(signers, a.witnesses...)}
	if err := p.Write(ctx, a.paper); err != nil {
		return err
	}
	fmt.Println("Berita acara: " + a.paper)
	return nil
}

// ofKind is the kind that was asked for, usual where none was.
func (k *keys) ofKind(usual ceremony.Kind) (ceremony.Kind, error) {
	if k.kind == "" {
		return usual, nil
	}
	kind, ok := ceremony.Kinds[k.kind]
	if !ok {
		return kind, fmt.Errorf("jenis kunci %q tidak dikenal: aes128, aes192, aes256, 2tdea, 3tdea, atau p256", k.kind)
	}
	return kind, nil
}

func (k *keys) generate(ctx context.Context) error {
	kind, err := k.ofKind(ceremony.Kinds["aes256"])
	if err != nil {
		return err
	}
	return k.with(ctx, func(ctx context.Context, a at) error {
		if k.label != "" {
			one, err := ceremony.GenerateOne(ctx, a.token, k.label, kind)
			if err != nil {
				return err
			}
			return a.close(ctx, one)
		}
		all, err := ceremony.Generate(ctx, a.token)
		if err != nil {
			return err
		}
		return a.close(ctx, all...)
	})
}

func (k *keys) ceremony(ctx context.Context) error {
	kind, err := k.ofKind(ceremony.Kinds["aes256"])
	if err == nil {
		err = k.need(map[string]string{"label": k.label})
	}
	if err != nil {
		return err
	}
	if k.paper == "" {
		k.paper = fmt.Sprintf("berita-acara-%s-%s.docx", k.label, time.Now().Format("20060102-150405"))
	}
	return k.with(ctx, func(ctx context.Context, a at) error {
		one, err := a.custody(ctx, k.label, kind)
		if err != nil {
			return err
		}
		return a.close(ctx, one)
	})
}

// custody has the custodians bring a key to the terminal.
func (a at) custody(ctx context.Context, label string, kind ceremony.Kind) (ceremony.Key, error) {
	if kind.Algorithm == pkcs11.EC {
		return ceremony.Key{}, errors.New("kunci penanda tangan dibuat oleh token sendiri (keys generate), tidak dari komponen")
	}
	c := ceremony.Custodians{Token: a.token, Label: label, Kind: kind, Roles: a.custodians, Draw: a.draw}
	if a.db != nil {
		e, err := keybook.Get(ctx, a.db, label)
		switch {
		case err == nil && e.Retired():
			return ceremony.Key{}, fmt.Errorf("%w: %s", keybook.ErrRetired, label)
		case err == nil:
			c.Expect = e.KCV
		case !errors.Is(err, keybook.ErrNotFound):
			return ceremony.Key{}, err
		}
	}
	if c.Expect != "" && c.Draw {
		return ceremony.Key{}, errors.New("kunci ini sudah ada; komponennya ada pada kustodian. Ulangi tanpa -draw")
	}
	if err := daemon.Harden(); err != nil {
		return ceremony.Key{}, fmt.Errorf("ingatan proses ini tidak dapat dilindungi: %w", err)
	}
	tty, err := ceremony.OpenTTY(a.terminal)
	if err != nil {
		return ceremony.Key{}, err
	}
	defer func() { _ = tty.Close() }()
	c.Terminal = tty
	return c.Run(ctx)
}
