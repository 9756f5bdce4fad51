package ceremony

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"

	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// ErrOtherParts says that two parts make another key than the escrow key that they were
// to make.
var ErrOtherParts = errors.New("kedua bagian yang diketik bukan bagian kunci escrow ini; tidak ada yang dibuka")

// Escrow is what two people do with the escrow key, each alone at the terminal with a
// part that nobody else sees. Neither part alone says anything about the key.
type Escrow struct {
	Terminal Terminal
	Roles    [2]string
}

// Made is what may be told of a new escrow key.
type Made struct {
	Recipient string    // the public key
	Checks    [2]string // check values of the parts
}

// parts are what must be wiped when it is over.
type parts struct {
	Escrow
	part [2]cardsecret.Part
}

func (p *parts) wipe() {
	clear(p.part[0][:])
	clear(p.part[1][:])
}

// Make draws a new escrow key in two parts. Each custodian copies his own to paper and
// types it back; then both agree. Nothing of the private half stays on the computer.
func (e Escrow) Make(ctx context.Context) (Made, error) {
	if err := e.two(); err != nil {
		return Made{}, err
	}
	w := &parts{Escrow: e}
	defer w.wipe()
	var made Made
	var err error
	if w.part[0], w.part[1], made.Recipient, err = cardsecret.NewParts(); err != nil {
		return Made{}, err
	}
	for i := range w.part {
		made.Checks[i] = w.part[i].Check()
		if err := w.give(ctx, i); err != nil {
			return Made{}, err
		}
	}
	e.Terminal.Say("Kedua kustodian melihat: kunci publik escrow\n\n%s\n\nsidik %s", made.Recipient, cardsecret.Spell(cardsecret.Fingerprint(made.Recipient)))
	answer, err := w.ask(ctx, "Pakai kunci ini? (ya/batal)")
	if err == nil && !strings.EqualFold(answer, yes) {
		err = ErrGivenUp
	}
	return made, err
}

func (e Escrow) two() error {
	if a, b := strings.TrimSpace(e.Roles[0]), strings.TrimSpace(e.Roles[1]); a == "" || b == "" || strings.EqualFold(a, b) {
		return errors.New("kunci escrow dipegang dua orang; sebut masing-masing dengan -custodian yang berbeda")
	}
	return nil
}

// turn leaves one custodian alone at the terminal.
func (p *parts) turn(ctx context.Context, i int) error {
	p.Terminal.Clear()
	p.Terminal.Say("Kunci escrow, bagian %d dari 2: %s.", i+1, p.Roles[i])
	p.Terminal.Say("Hanya kustodian ini yang duduk di depan layar; yang lain menjauh.")
	_, err := p.ask(ctx, "Tekan Enter bila siap, atau ketik batal:")
	return err
}

// give shows a custodian his part and reads it back from his paper.
func (p *parts) give(ctx context.Context, i int) error {
	if err := p.turn(ctx, i); err != nil {
		return err
	}
	defer p.Terminal.Clear()
	for {
		p.Terminal.Say("Tulis bagian ini dan nilai ujinya di kertas Anda:\n\n%s\nNilai uji: %s\n", spell(p.part[i][:]), p.part[i].Check())
		if _, err := p.ask(ctx, "Sudah ditulis? Tekan Enter; layar dihapus."); err != nil {
			return err
		}
		p.Terminal.Clear()
		back, err := p.typed(ctx, "Ketik kembali bagian dari kertas Anda:")
		if err != nil {
			return err
		}
		same := bytes.Equal(back[:], p.part[i][:])
		clear(back[:])
		if same {
			_, err := p.ask(ctx, "Sama. Simpan kertas Anda dalam amplop tersegel. Tekan Enter; layar dihapus.")
			return err
		}
		p.Terminal.Say("Berbeda dari yang ditampilkan. Periksa tulisan Anda.")
	}
}

// Open has the two people type their parts, each with a name for the record, and joins
// them. Errors: ErrGivenUp, ErrOtherParts.
func (e Escrow) Open(ctx context.Context, recipient string) (id *age.X25519Identity, people [2]string, err error) {
	if err := e.two(); err != nil {
		return nil, people, err
	}
	w := &parts{Escrow: e}
	defer w.wipe()
	for i := range w.part {
		if people[i], err = w.take(ctx, i); err != nil {
			return nil, people, err
		}
		if i == 1 && strings.EqualFold(people[0], people[1]) {
			return nil, people, cardsecret.ErrPeople
		}
	}
	id, err = cardsecret.Join(&w.part[0], &w.part[1])
	if err != nil || id.Recipient().String() != recipient {
		return nil, people, ErrOtherParts
	}
	return id, people, nil
}

// take reads a name, a check value and a part, until the two fit.
func (p *parts) take(ctx context.Context, i int) (name string, err error) {
	if err := p.turn(ctx, i); err != nil {
		return "", err
	}
	defer p.Terminal.Clear()
	for name == "" {
		if name, err = p.ask(ctx, "Nama lengkap Anda, untuk catatan audit:"); err != nil {
			return "", err
		}
	}
	for {
		paper, err := p.ask(ctx, "Nilai uji di kertas Anda (6 digit):")
		if err != nil {
			return "", err
		}
		if paper, err = checkValue(paper); err != nil {
			p.Terminal.Say("%s", strings.Replace(err.Error(), "KCV", "Nilai uji", 1))
			continue
		}
		part, err := p.typed(ctx, "Bagian:")
		if err != nil {
			return "", err
		}
		p.part[i] = part
		clear(part[:])
		if p.part[i].Check() == paper {
			return name, nil
		}
		p.Terminal.Say("Nilai uji yang diketik %s; berbeda dari kertas Anda (%s). Ketik sekali lagi, atau batal.", p.part[i].Check(), paper)
	}
}

// typed reads a part without echo until it has the right form.
func (p *parts) typed(ctx context.Context, prompt string) (part cardsecret.Part, err error) {
	for {
		line, err := p.Terminal.Secret(ctx, fmt.Sprintf("%s (%d digit, tidak tampak)", prompt, 2*cardsecret.PartBytes))
		if err != nil {
			return part, err
		}
		if strings.EqualFold(strings.TrimSpace(string(line[:min(len(line), len(giveUp))])), giveUp) && len(line) <= len(giveUp)+1 {
			return part, ErrGivenUp
		}
		value, err := parse(line, cardsecret.PartBytes)
		if wrong := errTyped(""); errors.As(err, &wrong) {
			p.Terminal.Say("%s Ketik sekali lagi, atau batal.", wrong)
			continue
		}
		if err != nil {
			return part, err
		}
		copy(part[:], value)
		pkcs11.Zeroise(value)
		return part, nil
	}
}

// ask is Terminal.Ask; "batal" ends the ceremony.
func (p *parts) ask(ctx context.Context, prompt string) (string, error) {
	answer, err := p.Terminal.Ask(ctx, prompt)
	if err == nil && strings.EqualFold(answer, giveUp) {
		err = ErrGivenUp
	}
	return answer, err
}
