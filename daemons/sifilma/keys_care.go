package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// rotate makes the next version of a key, by the token or by custodians, and writes the
// edition of the Kode Kunci that names it as a draft.
func (k *keys) rotate(ctx context.Context) error {
	err := k.need(map[string]string{"name": k.name, "url": k.dbc.URL})
	if err != nil {
		return err
	}
	kvn := uint64(0)
	if k.kvn != "" {
		if kvn, err = strconv.ParseUint(k.kvn, 16, 8); err != nil || kvn < 1 || kvn > 0x7F {
			return errors.New("-kvn: dua digit heksadesimal antara 01 dan 7F")
		}
	}
	return k.with(ctx, func(ctx context.Context, a at) error {
		labels, err := a.token.Labels(ctx)
		if err != nil {
			return err
		}
		plan, err := ceremony.PlanRotation(ctx, a.db, k.keyCode, k.name, labels)
		if err != nil {
			return err
		}
		kind, err := a.sameKind(ctx, plan.Old)
		if err != nil {
			return err
		}
		var next ceremony.Key
		if len(k.custodians) > 0 {
			next, err = a.custody(ctx, plan.Next, kind)
		} else {
			next, err = ceremony.GenerateOne(ctx, a.token, plan.Next, kind)
		}
		if err != nil {
			return err
		}
		if !next.Made { // an earlier run made it; the book may know how
			if e, err := keybook.Get(ctx, a.db, plan.Next); err == nil {
				next.Origin, next.Custodians = e.Origin, e.Custodians
			}
		}
		if err := a.close(ctx, next); err != nil {
			return err
		}
		if plan.Draft == nil {
			if plan.Draft, err = a.draft(ctx, plan, byte(kvn)); err != nil {
				return err
			}
		}
		fmt.Printf("Konsep Kode Kunci %s memakai %s. Usulkan dan setujui di portal (Data induk, Personalisasi): dua orang,\n"+
			"salah satunya Kasubdit KI. Perintah kerja yang sudah dimulai tetap memakai %s.\n", plan.Draft.Label(), plan.Next, plan.Old)
		return nil
	})
}

// sameKind is the kind of a key whose next version is made: the profiles that use it are
// for one cipher and size.
func (a at) sameKind(ctx context.Context, old string) (ceremony.Kind, error) {
	now, err := ceremony.Look(ctx, a.token, old)
	if err != nil {
		return now.Kind, err
	}
	asked, err := a.ofKind(now.Kind)
	if err == nil && asked != now.Kind {
		err = fmt.Errorf("kunci %s berjenis %s; versi berikutnya harus sejenis", old, now.Kind)
	}
	return asked, err
}

func (a at) draft(ctx context.Context, plan ceremony.Rotation, kvn byte) (*recipe.Recipe, error) {
	var r recipe.Recipe
	err := a.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		r, err = ceremony.DraftEdition(ctx, tx, a.keyCode, plan, kvn,
			recipe.Change{Actor: machine.Actor{Name: a.act.By}, Reason: "versi kunci berikutnya: " + plan.Next, OfficeAt: a.act.At})
		return err
	})
	return &r, err
}

// record writes keys that are in the token into the book: after a ceremony that was cut
// off or held without a database, or to print its paper once more.
func (k *keys) record(ctx context.Context) error {
	if err := k.need(map[string]string{"label": k.label}); err != nil {
		return err
	}
	return k.with(ctx, func(ctx context.Context, a at) error {
		one, err := ceremony.Look(ctx, a.token, k.label)
		if err != nil {
			return err
		}
		one.Origin, one.Custodians = keybook.Origin(k.origin), k.custodians
		if a.db != nil {
			e, err := keybook.Get(ctx, a.db, k.label)
			if err == nil {
				one.Origin, one.Custodians = e.Origin, e.Custodians
			} else if !errors.Is(err, keybook.ErrNotFound) {
				return err
			}
		}
		switch {
		case one.Origin != keybook.Generated && one.Origin != keybook.Components:
			return errors.New("sebutkan asal kunci: -origin generated, atau -origin components dengan -custodian untuk masing-masing")
		case one.Origin == keybook.Components && len(one.Custodians) < 2:
			return errors.New("sebutkan peran kustodiannya: -custodian untuk masing-masing, sedikitnya dua")
		}
		return a.close(ctx, one)
	})
}

// list shows the book, and what the token has of it.
func (k *keys) list(ctx context.Context) error {
	if err := k.need(map[string]string{"url": k.dbc.URL}); err != nil {
		return err
	}
	db, err := k.book()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	all, err := keybook.List(ctx, db)
	if err != nil {
		return err
	}
	var token *pkcs11.Token
	if k.token.Module != "" {
		if token, err = k.open(); err != nil {
			return err
		}
		defer func() { _ = token.Close() }()
	}
	pairs, err := keybook.Signing(ctx, db, ceremony.ManifestSigning)
	if err != nil {
		return err
	}
	signs, _ := keybook.InForce(pairs)
	wrong := false
	for _, e := range all {
		state := "dipakai"
		needs, err := keybook.Needs(ctx, db, e.Label)
		switch {
		case err != nil:
			return err
		case e.Revoked():
			state = "DICABUT"
		case e.Retired():
			state = "dihentikan"
		case e.Label == signs.Label:
			state = "menandatangani"
		case len(needs) == 0:
			state = "tidak diperlukan"
		}
		found := ""
		if token != nil {
			if found, err = compared(ctx, token, e); err != nil {
				return err
			}
			wrong = wrong || found == string(ceremony.Another)
		}
		fmt.Printf("%-24s versi %-3d %-8s KCV %s  %-16s token %s  %s\n", e.Label, e.Version,
			ceremony.KindOf(e).String(), e.KCV, state, e.TokenSerial, found)
		for _, n := range needs {
			fmt.Printf("    %s: %s\n", keybook.NeedLabels[n.What], n.Which)
		}
	}
	if wrong {
		return errors.New("ada kunci di token yang bukan kunci yang tercatat; stasiun tidak akan memakainya")
	}
	return nil
}

func compared(ctx context.Context, token *pkcs11.Token, e keybook.Entry) (string, error) {
	have, err := ceremony.Look(ctx, token, e.Label)
	switch {
	case errors.Is(err, pkcs11.ErrKeyNotFound):
		return "tidak ada di token ini", nil
	case err != nil:
		return "", err
	case have.Kind != ceremony.KindOf(e) || have.KCV != e.KCV:
		return string(ceremony.Another), nil
	}
	return string(ceremony.Same), nil
}

func (k *keys) retire(ctx context.Context) error {
	if err := k.need(map[string]string{"url": k.dbc.URL, "label": k.label, "by": k.by, "reason": k.reason}); err != nil {
		return err
	}
	db, err := k.book()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Retire(ctx, tx, k.label, k.by, k.reason, time.Now())
	})
	if err == nil {
		fmt.Printf("Kunci %s dihentikan. Nilainya masih di dalam token sampai dihapus dengan alat HSM itu sendiri.\n", k.label)
	}
	return err
}

// prove prints a proof of the token's keys.
func (k *keys) prove(ctx context.Context) error {
	return k.with(ctx, func(ctx context.Context, a at) error {
		challenge, err := hex.DecodeString(k.challenge)
		if err != nil {
			return errors.New("-challenge bukan digit heksadesimal")
		}
		if len(challenge) == 0 {
			if challenge, err = ceremony.NewChallenge(ctx, a.token); err != nil {
				return err
			}
		}
		p, err := ceremony.Prove(ctx, a.token, challenge)
		if err != nil {
			return err
		}
		body, err := json.MarshalIndent(p, "", "  ")
		if err == nil {
			_, err = fmt.Println(string(body))
		}
		return err
	})
}

// check compares a spare token with the main one: both at hand, or the main one by a
// proof that was brought as a file.
func (k *keys) check(ctx context.Context) error {
	return k.with(ctx, func(ctx context.Context, a at) error {
		main, spare, err := a.proofs(ctx)
		if err != nil {
			return err
		}
		lines, ok, err := ceremony.Compare(main, spare)
		if err != nil {
			return err
		}
		fmt.Printf("Token utama    %s, nomor seri %s (%s)\nToken cadangan %s, nomor seri %s (%s)\n\n", main.Token.Label, main.Token.Serial, main.Token.Manufacturer,
			spare.Token.Label, spare.Token.Serial, spare.Token.Manufacturer)
		for _, l := range lines {
			fmt.Printf("%-24s utama %-8s %-6s  cadangan %-8s %-6s  %s\n", l.Label, l.Main.Kind, l.Main.KCV, l.Spare.Kind, l.Spare.KCV, l.Says)
		}
		if a.db != nil {
			if err := ceremony.Checked(ctx, a.db, a.act, spare.Token, lines, ok); err != nil {
				return err
			}
		}
		if main.Token.Serial == spare.Token.Serial {
			return errors.New("kedua token bernomor seri sama: ini token yang sama, bukan cadangan")
		}
		if !ok {
			return errors.New("token cadangan TIDAK memegang semua kunci token utama; jangan andalkan sebelum diperbaiki")
		}
		fmt.Println("\nToken cadangan memegang semua kunci token utama: KCV sama, dan tantangan dijawab sama.")
		return nil
	})
}

func (a at) proofs(ctx context.Context) (main, spare ceremony.Proof, err error) {
	if a.proof != "" {
		f, err := os.Open(a.proof)
		if err != nil {
			return main, spare, err
		}
		defer func() { _ = f.Close() }()
		main, challenge, err := ceremony.ReadProof(f)
		if err != nil {
			return main, spare, err
		}
		spare, err = ceremony.Prove(ctx, a.token, challenge)
		return main, spare, err
	}
	if a.spare.TokenLabel == "" || a.spare.PINFile == "" {
		return main, spare, errors.New("sebutkan token cadangan: -spare-token dan -spare-pin-file, atau -proof dengan bukti dari token utama")
	}
	if a.spare.Module == "" {
		a.spare.Module = a.keys.token.Module
	}
	challenge, err := ceremony.NewChallenge(ctx, a.token)
	if err != nil {
		return main, spare, err
	}
	if main, err = ceremony.Prove(ctx, a.token, challenge); err != nil {
		return main, spare, err
	}
	if a.spareConf != "" {
		spare, err = a.elsewhere(ctx, challenge)
		return main, spare, err
	}
	token, err := openToken(a.spare)
	if err != nil {
		return main, spare, a.keys.ofToken(a.spare, err)
	}
	defer func() { err = errors.Join(err, token.Close()) }()
	spare, err = ceremony.Prove(ctx, token, challenge)
	return main, spare, a.keys.ofToken(a.spare, err)
}

// elsewhere has a process of its own ask the spare token: SoftHSM reads its configuration
// once per process.
func (a at) elsewhere(ctx context.Context, challenge []byte) (p ceremony.Proof, err error) {
	self, err := os.Executable()
	if err != nil {
		return p, err
	}
	cmd := exec.CommandContext(ctx, self, "keys", "proof", "-challenge", hex.EncodeToString(challenge),
		"-module", a.spare.Module, "-token", a.spare.TokenLabel, "-pin-file", a.spare.PINFile)
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+a.spareConf)
	var says bytes.Buffer
	cmd.Stderr = &says
	out, err := cmd.Output()
	if err != nil {
		return p, fmt.Errorf("token cadangan: %s", strings.TrimSpace(says.String()))
	}
	p, _, err = ceremony.ReadProof(bytes.NewReader(out))
	return p, err
}

// plain says in Indonesian what people can do about an error of the keys.
func (k *keys) plain(err error) error {
	var needed *keybook.NeededError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &needed):
		var b strings.Builder
		fmt.Fprintf(&b, "kunci %s masih diperlukan:", needed.Label)
		for _, n := range needed.Needs {
			fmt.Fprintf(&b, "\n  %s: %s", keybook.NeedLabels[n.What], n.Which)
		}
		return errors.New(b.String())
	case errors.Is(err, context.Canceled):
		return ceremony.ErrGivenUp
	case errors.Is(err, keybook.ErrNotFound):
		return fmt.Errorf("kunci %s tidak ada dalam buku kunci; sifilma keys list menampilkan isinya", k.label)
	case errors.Is(err, keybook.ErrOtherKey):
		return fmt.Errorf("buku kunci mencatat kunci lain dengan label itu; tidak ada yang dicatat. Periksa token mana yang terpasang (%w)", err)
	case errors.Is(err, keybook.ErrTwice):
		return fmt.Errorf("kunci yang sama sudah tercatat dengan label lain; sifilma keys list menampilkannya (%w)", err)
	case errors.Is(err, keybook.ErrRevoked):
		return fmt.Errorf("kunci %s sudah dicabut; sifilma keys list menampilkan keadaan semua kunci", k.label)
	case errors.Is(err, keybook.ErrNotSigning):
		return fmt.Errorf("hanya kunci penanda tangan yang dicabut; kunci kartu dihentikan dengan sifilma keys retire")
	case errors.Is(err, keybook.ErrOnePerson):
		return errors.New("kunci dicabut oleh dua orang: pelaksana dengan -by, dan seorang lain dengan -witness")
	case errors.Is(err, keybook.ErrReasonLong):
		return errors.New("alasan paling panjang 128 huruf: ia tertulis pada daftar pencabutan")
	case errors.Is(err, keybook.ErrRetired):
		return fmt.Errorf("kunci itu sudah dihentikan dan tidak dipakai lagi (%w)", err)
	case errors.Is(err, pkcs11.ErrKeyNotFound):
		return fmt.Errorf("kunci %s tidak ada di token %q", k.label, k.token.TokenLabel)
	}
	err = k.ofToken(k.token, err)
	if plain := ofDatabase(err); plain != nil && !errors.As(err, new(saidOfToken)) {
		return plain
	}
	return err
}

// saidOfToken is an error that is in the words of people already.
type saidOfToken struct{ error }

func (e saidOfToken) Unwrap() error { return e.error }

// ofToken says what people can do about an error of this token, or of a file that it needs.
func (k *keys) ofToken(c pkcs11.Config, err error) error {
	switch {
	case err == nil, errors.As(err, new(saidOfToken)):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission): // of the PIN, the module, a proof
		return saidOfToken{plainFile(err)}
	case errors.Is(err, pkcs11.ErrPIN):
		return saidOfToken{fmt.Errorf("PIN pada %s tidak diterima token %q; tidak dicoba lagi. Periksa isinya sebelum mengulang, supaya token tidak terkunci (%w)",
			c.PINFile, c.TokenLabel, err)}
	case errors.Is(err, pkcs11.ErrTokenGone):
		return saidOfToken{fmt.Errorf("token %q tidak ditemukan. Periksa pustaka dan label tokennya, bahwa token terpasang, dan bagi SoftHSM bahwa SOFTHSM2_CONF menunjuk konfigurasinya (%w)",
			c.TokenLabel, err)}
	}
	return err
}
