package ceremony

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

var (
	// ErrGivenUp says that the people at the terminal ended the ceremony; nothing was
	// stored.
	ErrGivenUp = errors.New("upacara dibatalkan; tidak ada kunci yang disimpan")
	// ErrOther says that the token has another key under the label.
	ErrOther = errors.New("token sudah memegang kunci lain dengan label ini; tidak ada yang diubah")
)

// What people type instead of an answer.
const (
	giveUp = "batal"
	yes    = "ya"
)

// Custodians is a ceremony in which each custodian types a component that nobody else
// sees. The components are combined in memory and go into the token as a key that never
// leaves it.
type Custodians struct {
	Terminal Terminal
	Token    *pkcs11.Token
	Label    string
	Kind     Kind
	Roles    []string // two or three
	// Draw has the token make the components: each custodian copies his own and types it
	// back. Without it they bring components on paper, with check values.
	Draw bool
	// Expect is the check value that the key must have, where it is known already, such as
	// from the book of keys; "" otherwise.
	Expect string
}

// work is what must be wiped when it is over.
type work struct {
	*Custodians
	components [][]byte
}

func (w *work) wipe() {
	for _, c := range w.components {
		pkcs11.Zeroise(c)
	}
}

// Run holds the ceremony. A key that is in the token already is only accepted when it is
// the one that was typed: so a ceremony that was cut off, after the key was stored and
// before that was written down, is finished by holding it once more.
func (c *Custodians) Run(ctx context.Context) (Key, error) {
	if n := len(c.Roles); n < 2 || n > 3 {
		return Key{}, errors.New("upacara memerlukan dua atau tiga kustodian; ulangi -custodian untuk masing-masing")
	}
	for i, role := range c.Roles {
		if strings.TrimSpace(role) == "" || slices.Contains(c.Roles[:i], role) {
			return Key{}, errors.New("tiap kustodian punya peran sendiri; sebut masing-masing dengan nama yang berbeda")
		}
	}
	there, err := c.Token.FindKey(ctx, c.Label)
	if err != nil && !errors.Is(err, pkcs11.ErrKeyNotFound) {
		return Key{}, err
	}
	if there != nil && (c.Draw || Kind{there.Algorithm(), 8 * there.Size()} != c.Kind) {
		return Key{}, ErrOther
	}
	w := &work{c, make([][]byte, len(c.Roles))}
	defer w.wipe()
	for i := range c.Roles {
		if err := w.turn(ctx, i); err != nil {
			return Key{}, err
		}
	}
	for {
		again, err := w.finish(ctx, there)
		if err == nil {
			break
		}
		if again < 0 {
			return Key{}, err
		}
		if err := w.turn(ctx, again); err != nil {
			return Key{}, err
		}
	}
	out, err := Look(ctx, c.Token, c.Label)
	out.Made, out.Origin, out.Custodians = there == nil, keybook.Components, slices.Clone(c.Roles)
	return out, err
}

// turn is one custodian alone at the terminal.
func (w *work) turn(ctx context.Context, i int) error {
	t := w.Terminal
	t.Clear()
	t.Say("Kunci %s (%s), komponen %d dari %d: %s.", w.Label, w.Kind, i+1, len(w.Roles), w.Roles[i])
	t.Say("Hanya kustodian ini yang duduk di depan layar; yang lain menjauh.")
	if _, err := w.ask(ctx, "Tekan Enter bila siap, atau ketik batal:"); err != nil {
		return err
	}
	pkcs11.Zeroise(w.components[i])
	var component []byte
	var err error
	if w.Draw {
		component, err = w.drawn(ctx)
	} else {
		component, err = w.brought(ctx)
	}
	w.components[i] = component
	t.Clear()
	return err
}

// brought reads a component and its check value from a custodian's paper, until they
// fit.
func (w *work) brought(ctx context.Context) ([]byte, error) {
	t := w.Terminal
	for {
		paper, err := w.ask(ctx, "KCV komponen di kertas Anda (6 digit):")
		if err != nil {
			return nil, err
		}
		if paper, err = checkValue(paper); err != nil {
			t.Say("%s", err)
			continue
		}
		component, err := w.typed(ctx, "Komponen:")
		if err != nil {
			return nil, err
		}
		kcv, err := w.Kind.check(ctx, w.Token, component)
		if err != nil {
			pkcs11.Zeroise(component)
			return nil, err
		}
		t.Say("KCV komponen yang diketik: %s", kcv)
		if kcv == paper {
			_, err := w.ask(ctx, "Sama dengan kertas Anda. Tekan Enter; layar dihapus.")
			return component, err
		}
		pkcs11.Zeroise(component)
		t.Say("Berbeda dari kertas Anda (%s). Ketik sekali lagi, atau batal.", paper)
	}
}

// drawn has the token make a component, shows it, and reads it back from the paper.
func (w *work) drawn(ctx context.Context) ([]byte, error) {
	t := w.Terminal
	component, err := w.Token.Random(ctx, w.Kind.Bits/8)
	if err != nil {
		return nil, err
	}
	kcv, err := w.Kind.check(ctx, w.Token, component)
	for err == nil {
		t.Say("Tulis komponen ini dan KCV-nya di kertas Anda:\n\n%s\nKCV komponen: %s\n", spell(component), kcv)
		if _, err = w.ask(ctx, "Sudah ditulis? Tekan Enter; layar dihapus."); err != nil {
			break
		}
		t.Clear()
		var back []byte
		if back, err = w.typed(ctx, "Ketik kembali komponen dari kertas Anda:"); err != nil {
			break
		}
		same := string(back) == string(component)
		pkcs11.Zeroise(back)
		if same {
			_, err = w.ask(ctx, "Sama. Simpan kertas Anda dalam amplop tersegel. Tekan Enter; layar dihapus.")
			if err != nil {
				break
			}
			return component, nil
		}
		t.Say("Berbeda dari yang ditampilkan. Periksa tulisan Anda.")
	}
	pkcs11.Zeroise(component)
	return nil, err
}

// typed reads a component without echo until it has the right form.
func (w *work) typed(ctx context.Context, prompt string) ([]byte, error) {
	for {
		line, err := w.Terminal.Secret(ctx, fmt.Sprintf("%s (%d digit, tidak tampak)", prompt, w.Kind.Bits/4))
		if err != nil {
			return nil, err
		}
		if strings.EqualFold(strings.TrimSpace(string(line[:min(len(line), len(giveUp))])), giveUp) && len(line) <= len(giveUp)+1 {
			return nil, ErrGivenUp
		}
		component, err := parse(line, w.Kind.Bits/8)
		if wrong := errTyped(""); errors.As(err, &wrong) {
			w.Terminal.Say("%s Ketik sekali lagi, atau batal.", wrong)
			continue
		}
		return component, err
	}
}

// finish combines the components, compares, and stores. When people say that one was
// mistyped it returns whose, with an error; -1 when it cannot be mended so.
func (w *work) finish(ctx context.Context, there *pkcs11.Key) (again int, err error) {
	t := w.Terminal
	whole, err := combine(w.Kind.Algorithm, w.components)
	if errors.Is(err, errWeak) {
		t.Say("%s.", err)
		return w.mistyped(ctx, err)
	}
	if err != nil {
		return -1, err
	}
	defer pkcs11.Zeroise(whole)
	kcv, err := w.Kind.check(ctx, w.Token, whole)
	if err != nil {
		return -1, err
	}
	t.Say("Semua kustodian melihat: kunci %s (%s), KCV kunci utuh %s.", w.Label, w.Kind, kcv)
	if there != nil {
		stored, err := look(ctx, there)
		if err != nil || stored.KCV == kcv {
			return -1, err
		}
		t.Say("Token sudah memegang kunci dengan label ini, KCV %s.", stored.KCV)
		return w.mistyped(ctx, ErrOther)
	}
	switch {
	case w.Expect != "" && w.Expect != kcv:
		t.Say("Kunci ini tercatat dengan KCV %s; yang diketik kunci lain dan tidak disimpan.", w.Expect)
		return w.mistyped(ctx, ErrGivenUp)
	case w.Expect == "" && !w.Draw:
		paper, err := w.whole(ctx)
		if err != nil {
			return -1, err
		}
		if paper != "" && paper != kcv {
			t.Say("Berbeda dari kertas (%s); kunci tidak disimpan.", paper)
			return w.mistyped(ctx, ErrGivenUp)
		}
	}
	answer, err := w.ask(ctx, fmt.Sprintf("Simpan kunci dengan KCV %s di dalam token? (ya/batal)", kcv))
	if err != nil {
		return -1, err
	}
	if !strings.EqualFold(answer, yes) {
		return -1, ErrGivenUp
	}
	_, err = w.Kind.store(ctx, w.Token, w.Label, whole)
	return -1, err
}

// whole asks for the check value of the whole key, as whoever made it gave it.
func (w *work) whole(ctx context.Context) (string, error) {
	for {
		paper, err := w.ask(ctx, "KCV kunci utuh di kertas (6 digit), atau Enter bila kunci ini baru:")
		if err != nil || paper == "" {
			return "", err
		}
		paper, err = checkValue(paper)
		if err == nil {
			return paper, nil
		}
		w.Terminal.Say("%s", err)
	}
}

// mistyped asks who types once more. Its error is why, unless people gave up.
func (w *work) mistyped(ctx context.Context, why error) (int, error) {
	for {
		answer, err := w.ask(ctx, fmt.Sprintf("Nomor kustodian yang mengetik ulang (1-%d), atau batal:", len(w.Roles)))
		if err != nil {
			return -1, err
		}
		if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(w.Roles) {
			return n - 1, why
		}
	}
}

// ask is Terminal.Ask; "batal" ends the ceremony.
func (w *work) ask(ctx context.Context, prompt string) (string, error) {
	answer, err := w.Terminal.Ask(ctx, prompt)
	if err == nil && strings.EqualFold(answer, giveUp) {
		err = ErrGivenUp
	}
	return answer, err
}

// checkValue reads six hexadecimal digits.
func checkValue(text string) (string, error) {
	text = strings.ToUpper(strings.ReplaceAll(text, " ", ""))
	if len(text) == 6 && strings.Trim(text, "0123456789ABCDEF") == "" {
		return text, nil
	}
	return "", errTyped("KCV terdiri atas 6 digit 0-9 atau A-F.")
}
