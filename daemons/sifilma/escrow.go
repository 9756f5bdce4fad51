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

	"filippo.io/age"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

const escrowHelp = `Pemakaian: sifilma escrow TINDAKAN -url ALAMAT [pilihan]

Mengurus kunci escrow kantor. Rahasia tiap kartu dienkripsi untuk kunci produsennya dan untuk kunci escrow; bila produsen
kehilangan kunci privatnya, dua orang yang memegang bagian kunci escrow membuka berkasnya bagi kunci baru produsen itu.
Kunci privat escrow tidak disimpan di komputer mana pun, dan isi berkas tidak pernah tampak di layar.

  ceremony  membuat kunci escrow baru dalam dua bagian, masing-masing untuk satu kustodian, dan mendaftarkannya
  list      menampilkan kunci escrow
  recover   membuat ulang berkas satu serah terima atau satu kartu untuk kunci produsen yang berlaku sekarang;
            kedua kustodian mengetik bagiannya, dan alasannya tercatat dalam audit

`

// escrow is what all actions of `sifilma escrow` take.
type escrow struct {
	fs         *flag.FlagSet
	dbc        *postgres.Config
	by         string
	place      string
	paper      string
	terminal   string
	custodians []string
	witnesses  []string

	handover string
	card     string
	edition  int
	reason   string
}

var escrowActions = map[string]func(*escrow, context.Context, *postgres.DB) error{
	"ceremony": (*escrow).ceremony, "list": (*escrow).list, "recover": (*escrow).recover,
}

func runEscrow(ctx context.Context, args []string) error {
	e := &escrow{fs: flag.NewFlagSet("escrow", flag.ContinueOnError)}
	e.flags()
	action := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		action, args = args[0], args[1:]
	}
	if err := parse(e.fs, escrowHelp, args); err != nil {
		return err
	}
	do := escrowActions[action]
	if do == nil || e.fs.NArg() > 0 {
		return errors.New("sebutkan tindakannya: ceremony, list, atau recover; sifilma escrow -h menjelaskannya")
	}
	if err := ceremony.PaperMayBe(e.paper); err != nil {
		return err
	}
	db, err := openOwner(*e.dbc)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return plainEscrow(do(e, ctx, db))
}

func (e *escrow) flags() {
	e.dbc = owner(e.fs)
	e.fs.StringVar(&e.by, "by", "", "`nama` pelaksana; bawaan: pengguna sistem")
	e.fs.StringVar(&e.place, "place", "Jakarta", "`tempat` upacara")
	e.fs.StringVar(&e.paper, "paper", "", "`berkas` berita acara, .docx atau .pdf")
	e.fs.StringVar(&e.terminal, "terminal", "/dev/tty", "`terminal` tempat kustodian duduk")
	e.fs.Func("custodian", "`peran` seorang kustodian; dua kali, untuk masing-masing", list(&e.custodians))
	e.fs.Func("witness", "`peran` seorang saksi yang menandatangani berita acara; boleh diulang", list(&e.witnesses))
	e.fs.StringVar(&e.handover, "handover", "", "`id` serah terima, seperti pada alamat halamannya")
	e.fs.StringVar(&e.card, "card", "", "`nomor seri` satu kartu, sebagai ganti -handover")
	e.fs.IntVar(&e.edition, "edition", 0, "`edisi` kunci escrow yang membuka berkasnya; bawaan: yang berlaku")
	e.fs.StringVar(&e.reason, "reason", "", "`alasan` pemulihan")
}

func (e *escrow) who() string {
	if e.by != "" {
		return e.by
	}
	if u, err := user.Current(); err == nil {
		return "sifilma@" + u.Username
	}
	return "sifilma@" + strconv.Itoa(os.Getuid())
}

// desk is the terminal where the two people sit, in a process whose memory nobody looks
// into.
func (e *escrow) desk(roles []string, do func(ceremony.Escrow) error) error {
	if len(roles) != 2 {
		return errors.New("kunci escrow dipegang dua orang; sebut masing-masing dengan -custodian")
	}
	if err := daemon.Harden(); err != nil {
		return fmt.Errorf("ingatan proses ini tidak dapat dilindungi: %w", err)
	}
	tty, err := ceremony.OpenTTY(e.terminal)
	if err != nil {
		return err
	}
	defer func() { _ = tty.Close() }()
	return do(ceremony.Escrow{Terminal: tty, Roles: [2]string(roles)})
}

// ceremony makes an escrow key and registers its public half. A key whose registration
// did not come through is nobody's: the ceremony is held again, with a new one.
func (e *escrow) ceremony(ctx context.Context, db *postgres.DB) error {
	now := time.Now()
	if e.paper == "" {
		e.paper = "berita-acara-escrow-" + now.Format("20060102-150405") + ".docx"
		if err := ceremony.PaperMayBe(e.paper); err != nil {
			return err
		}
	}
	var made ceremony.Made
	if err := e.desk(e.custodians, func(d ceremony.Escrow) (err error) {
		made, err = d.Make(ctx)
		return err
	}); err != nil {
		return err
	}
	var kept cardsecret.Escrow
	if err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		kept, err = cardsecret.RecordEscrow(ctx, tx, cardsecret.Escrow{
			Recipient: made.Recipient, Custodians: e.custodians, Place: e.place, RecordedBy: e.who(), OfficeAt: now,
		})
		return err
	}); err != nil {
		return fmt.Errorf("kunci escrow tidak terdaftar; ulangi upacara, dan musnahkan kertas yang sekarang: %w", err)
	}
	fmt.Printf("Kunci escrow edisi %d berlaku.\nKunci publik: %s\nSidik: %s\n", kept.Edition, kept.Recipient, cardsecret.Spell(kept.Fingerprint))
	if kept.Edition > 1 {
		fmt.Printf("Berkas yang sudah dibuat tetap dibuka dengan edisi yang lama; simpan juga kertas edisi itu.\n")
	}
	if err := (ceremony.EscrowPaper{At: now, Key: kept, Checks: made.Checks, Roles: e.witnesses}).Write(ctx, e.paper); err != nil {
		return err
	}
	fmt.Println("Berita acara: " + e.paper)
	return nil
}

func (e *escrow) list(ctx context.Context, db *postgres.DB) error {
	all, err := cardsecret.Escrows(ctx, db)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Println("Belum ada kunci escrow; kartu tidak dapat ditulis. Buat dengan sifilma escrow ceremony.")
	}
	for _, k := range all {
		state := "berlaku"
		if k.EndedAt != nil {
			state = "berakhir " + k.EndedAt.Format("2006-01-02")
		}
		fmt.Printf("edisi %d  %s  %s  %s; %s\n", k.Edition, cardsecret.Spell(k.Fingerprint), state, k.Custodians[0], k.Custodians[1])
	}
	return nil
}

// recover makes files anew for the key that a produsen has now. What is to be done is
// looked up before two people begin to type.
func (e *escrow) recover(ctx context.Context, db *postgres.DB) error {
	switch {
	case (e.handover == "") == (e.card == ""):
		return errors.New("sebutkan -handover atau -card, salah satu")
	case e.handover != "" && uuid.Validate(e.handover) != nil:
		return cardsecret.ErrNotFound
	case strings.TrimSpace(e.reason) == "":
		return errors.New("pilihan -reason wajib diisi: mengapa berkas dibuka")
	}
	ask := cardsecret.Recovery{HandoverID: e.handover, Serial: e.card, Reason: e.reason}
	var err error
	if e.edition == 0 {
		ask.Escrow, err = cardsecret.EscrowInForce(ctx, db)
	} else {
		ask.Escrow, err = cardsecret.EscrowEdition(ctx, db, e.edition)
	}
	if err != nil {
		return err
	}
	due, key, err := ask.Due(ctx, db)
	if err != nil {
		return err
	}
	fmt.Printf("%d berkas dibuka dengan kunci escrow edisi %d dan dibuat ulang untuk %s, kunci edisi %d, sidik %s.\n",
		len(due), ask.Escrow.Edition, key.Institution, key.Edition, cardsecret.Spell(key.Fingerprint))
	err = e.desk(ask.Escrow.Custodians, func(d ceremony.Escrow) error {
		var id *age.X25519Identity
		if id, ask.People, err = d.Open(ctx, ask.Escrow.Recipient); err != nil {
			return err
		}
		ask.RecordedBy = cardsecret.Who{Name: e.who(), At: time.Now()}
		return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			done, err := cardsecret.Recover(ctx, tx, ask, id)
			if err == nil {
				ask.Files, ask.Fingerprint = done.Files, done.Fingerprint
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	fmt.Printf("%d berkas dibuat ulang untuk sidik %s, oleh %s dan %s. Produsen mengunduhnya dari halaman serah terimanya.\n",
		ask.Files, cardsecret.Spell(ask.Fingerprint), ask.People[0], ask.People[1])
	return nil
}

// plainEscrow says in Indonesian what people can do about an error.
func plainEscrow(err error) error {
	for is, plain := range map[error]string{
		cardsecret.ErrNotFound:    "tidak ada berkas rahasia untuk serah terima, kartu, atau edisi itu",
		cardsecret.ErrNoKey:       "produsennya belum punya kunci yang dipastikan; daftarkan dan pastikan kunci barunya dahulu",
		cardsecret.ErrNoEscrow:    "kantor belum punya kunci escrow",
		cardsecret.ErrSameKey:     "semua berkas sudah untuk kunci produsen yang berlaku; tidak ada yang perlu dipulihkan",
		cardsecret.ErrOtherEscrow: "berkasnya dibuat untuk edisi kunci escrow lain; sebutkan dengan -edition, dan untuk beberapa edisi pulihkan kartu demi kartu",
		cardsecret.ErrWrongEscrow: "kedua bagian bukan kunci escrow edisi itu; tidak ada yang dibuka",
		cardsecret.ErrPeople:      "pemulihan dikerjakan dua orang yang berbeda, dengan alasan; tidak ada yang dibuka",
	} {
		if errors.Is(err, is) {
			return errors.New(plain)
		}
	}
	return err
}
