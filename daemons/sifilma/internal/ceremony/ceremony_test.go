package ceremony_test

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

type outcome struct {
	key ceremony.Key
	err error
}

// hold runs a ceremony beside the people at the desk.
func hold(ctx context.Context, c *ceremony.Custodians) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		k, err := c.Run(ctx)
		done <- outcome{k, err}
	}()
	return done
}

func ended(t *testing.T, done <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-done:
		return o
	case <-time.After(20 * time.Second):
		require.FailNow(t, "the ceremony goes on")
		return outcome{}
	}
}

func papers(t *testing.T, kind string, values ...string) (parts []paper, whole paper) {
	t.Helper()
	var sum []byte
	for _, v := range values {
		b, err := hex.DecodeString(v)
		require.NoError(t, err)
		parts = append(parts, of(t, kind, b))
		if sum == nil {
			sum = make([]byte, len(b))
		}
		subtle.XORBytes(sum, sum, b)
	}
	return parts, of(t, kind, sum)
}

var (
	half1 = strings.Repeat("0123456789ABCDEF", 4)
	half2 = strings.Repeat("8F1E2D3C4B5A6978", 3) + "00112233445566FF"
)

// Two custodians bring a key on paper. Each mistake has its word and its second try;
// no digit of a component is ever on the screen; the token keeps the key.
func TestTwoCustodiansBringAKey(t *testing.T) {
	t.Parallel()
	at, d := token(t), newDesk(t)
	one, whole := papers(t, "aes256", half1, half2)
	c := &ceremony.Custodians{
		Terminal: d.tty(), Token: at, Label: "sam-transport-master", Kind: ceremony.Kinds["aes256"], Roles: []string{"Kustodian I", "Kustodian II"},
	}
	done := hold(t.Context(), c)
	d.sees("komponen 1 dari 2: Kustodian I.")
	slip := paper{bytes.Clone(one[0].value), one[0].kcv}
	slip.value[31] ^= 0x10
	d.answers("Tekan Enter bila siap", "", "KCV komponen di kertas", "12345")
	d.sees("6 digit 0-9")
	d.answers("KCV komponen di kertas", one[0].kcv)
	d.sees("64 digit, tidak tampak")
	require.False(t, d.echoes())
	d.types(one[0].text() + "AB")
	d.sees("Terbaca 66 digit; seharusnya 64.")
	d.answers("tidak tampak", "bukan digit")
	d.sees("bukan digit 0-9")
	d.answers("tidak tampak", slip.text())
	d.sees("Berbeda dari kertas Anda (" + one[0].kcv + ")")
	d.answers("KCV komponen di kertas", one[0].kcv, "tidak tampak", strings.ToLower(one[0].text()))
	d.answers("Sama dengan kertas Anda", "")
	before := d.sees("komponen 2 dari 2: Kustodian II.")
	require.Contains(t, before, "\x1b[3J", "the first custodian's screen is wiped")
	d.answers("Tekan Enter bila siap", "", "KCV komponen di kertas", one[1].kcv, "tidak tampak", one[1].text(), "Sama dengan kertas Anda", "")
	d.sees("KCV kunci utuh " + whole.kcv)
	d.answers("atau Enter bila kunci ini baru", "000000", "mengetik ulang (1-2)", "7", "mengetik ulang (1-2)", "2")
	d.answers("Tekan Enter bila siap", "", "KCV komponen di kertas", one[1].kcv, "tidak tampak", one[1].text(), "Sama dengan kertas Anda", "")
	d.answers("atau Enter bila kunci ini baru", whole.kcv, "Simpan kunci dengan KCV "+whole.kcv, "ya")
	got := ended(t, done)
	require.NoError(t, got.err)
	require.Equal(t, ceremony.Key{
		Label: "sam-transport-master", Kind: ceremony.Kinds["aes256"], KCV: whole.kcv, Made: true, Origin: keybook.Components, Custodians: c.Roles,
	}, got.key)
	require.True(t, d.echoes())
	screen := regexp.MustCompile(`[^0-9A-F]`).ReplaceAllString(strings.ToUpper(d.screen()), "")
	for _, p := range append(one, whole, slip) {
		digits := strings.ToUpper(hex.EncodeToString(p.value))
		for i := 0; i+12 <= len(digits); i += 12 {
			require.NotContains(t, screen, digits[i:i+12])
		}
	}
	key, err := at.FindKey(t.Context(), "sam-transport-master")
	require.NoError(t, err)
	mac, err := key.CMAC(t.Context(), []byte("x"))
	require.NoError(t, err)
	direct, err := at.TransientAES(t.Context(), whole.value, pkcs11.UseMAC)
	require.NoError(t, err)
	want, err := direct.CMAC(t.Context(), []byte("x"))
	require.NoError(t, err)
	require.NoError(t, direct.Close())
	require.Equal(t, want, mac)

	// Held once more, as after a cut: the same key is recognised, another one refused.
	done = hold(t.Context(), c)
	for _, p := range one {
		d.answers("Tekan Enter bila siap", "", "KCV komponen di kertas", p.kcv, "tidak tampak", p.text(), "Sama dengan kertas Anda", "")
	}
	got = ended(t, done)
	require.NoError(t, got.err)
	require.False(t, got.key.Made)
	other, _ := papers(t, "aes256", half1, strings.Repeat("77", 32))
	done = hold(t.Context(), c)
	for _, p := range other {
		d.answers("Tekan Enter bila siap", "", "KCV komponen di kertas", p.kcv, "tidak tampak", p.text(), "Sama dengan kertas Anda", "")
	}
	d.sees("sudah memegang kunci dengan label ini")
	d.answers("mengetik ulang", "batal")
	require.ErrorIs(t, ended(t, done).err, ceremony.ErrGivenUp)
}

// Three custodians copy what the token draws, and load the same key into a spare token
// from their papers. A challenge shows that both hold it; another key is found out.
func TestDrawnComponentsMakeASpare(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"3tdea", "2tdea", "aes128"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			main, spare, d := token(t), token(t), newDesk(t)
			c := &ceremony.Custodians{
				Terminal: d.tty(), Token: main, Label: "sam-final-master.v2", Kind: ceremony.Kinds[kind], Roles: []string{"I", "II", "III"}, Draw: true,
			}
			done := hold(t.Context(), c)
			var written []paper
			for i := range c.Roles {
				d.answers("Tekan Enter bila siap", "")
				d.sees("Tulis komponen ini dan KCV-nya di kertas Anda:")
				digits := regexp.MustCompile(`\s`).ReplaceAllString(d.sees("KCV komponen: "), "")
				value, err := hex.DecodeString(digits)
				require.NoError(t, err)
				p := of(t, kind, value)
				d.sees(p.kcv)
				d.answers("Sudah ditulis?", "")
				if i == 1 { // copied badly
					bad := bytes.Clone(value)
					bad[0] ^= 0x80
					d.answers("Ketik kembali", of(t, kind, bad).text())
					d.sees("Berbeda dari yang ditampilkan")
					d.answers("Sudah ditulis?", "")
				}
				d.answers("Ketik kembali", p.text(), "amplop tersegel", "")
				written = append(written, p)
			}
			d.answers("Simpan kunci dengan KCV", "ya")
			got := ended(t, done)
			require.NoError(t, got.err)

			c.Token, c.Draw, c.Expect = spare, false, got.key.KCV
			done = hold(t.Context(), c)
			for _, p := range written {
				d.answers("Tekan Enter bila siap", "", "KCV komponen di kertas", p.kcv, "tidak tampak", p.text(), "Sama dengan kertas Anda", "")
			}
			d.answers("Simpan kunci dengan KCV "+got.key.KCV, "YA")
			copied := ended(t, done)
			require.NoError(t, copied.err)
			require.Equal(t, got.key.KCV, copied.key.KCV)

			same := func() (lines []ceremony.Compared, ok bool) {
				challenge, err := ceremony.NewChallenge(t.Context(), main)
				require.NoError(t, err)
				one, err := ceremony.Prove(t.Context(), main, challenge)
				require.NoError(t, err)
				body, err := json.Marshal(one)
				require.NoError(t, err)
				one, challenge, err = ceremony.ReadProof(bytes.NewReader(body)) // as it is carried about
				require.NoError(t, err)
				two, err := ceremony.Prove(t.Context(), spare, challenge)
				require.NoError(t, err)
				lines, ok, err = ceremony.Compare(one, two)
				require.NoError(t, err)
				return lines, ok
			}
			lines, ok := same()
			require.True(t, ok)
			require.Len(t, lines, 1)
			require.Equal(t, ceremony.Same, lines[0].Says)
			for _, at := range []*pkcs11.Token{main, spare} {
				_, err := ceremony.GenerateOne(t.Context(), at, "sam-secret-wrap", ceremony.Kinds["aes256"])
				require.NoError(t, err)
			}
			_, err := ceremony.GenerateOne(t.Context(), main, "only-here", ceremony.Kinds["aes256"])
			require.NoError(t, err)
			for _, at := range []*pkcs11.Token{main, spare} {
				_, err = at.ImportAES(t.Context(), "mac-only", bytes.Repeat([]byte{7}, 16), pkcs11.UseMAC)
				require.NoError(t, err)
			}
			lines, ok = same()
			require.False(t, ok)
			says := map[string]ceremony.Difference{}
			for _, l := range lines {
				says[l.Label] = l.Says
			}
			require.Equal(t, map[string]ceremony.Difference{
				"sam-final-master.v2": ceremony.Same, "sam-secret-wrap": ceremony.Another, "only-here": ceremony.Missing,
				"mac-only": ceremony.Unchecked,
			}, says)
		})
	}
}

// Six digits can agree by chance: the challenge decides.
func TestTheSameCheckValueIsNotTheSameKey(t *testing.T) {
	t.Parallel()
	one := ceremony.Proof{Challenge: "AB", Keys: map[string]ceremony.Answer{"k": {Kind: "AES-256", KCV: "A1B2C3", Answer: "00"}}}
	two := ceremony.Proof{Challenge: "AB", Keys: map[string]ceremony.Answer{"k": {Kind: "AES-256", KCV: "A1B2C3", Answer: "01"}}}
	lines, ok, err := ceremony.Compare(one, two)
	require.NoError(t, err)
	require.False(t, ok)
	require.Equal(t, ceremony.Another, lines[0].Says)
	_, ok, err = ceremony.Compare(ceremony.Proof{Challenge: "AB"}, two)
	require.NoError(t, err)
	require.False(t, ok, "a main token with no keys proves nothing")
	two.Challenge = "CD"
	_, _, err = ceremony.Compare(one, two)
	require.Error(t, err)
}

// What would not be a secret of all custodians together is not stored.
func TestWeakComponentsAreRefused(t *testing.T) {
	t.Parallel()
	at := token(t)
	for name, c := range map[string]struct {
		kind   string
		values []string
		says   string
	}{
		"zero":        {"aes128", []string{strings.Repeat("00", 16), strings.Repeat("12", 16)}, "komponen 1 seluruhnya nol"},
		"the same":    {"aes128", []string{strings.Repeat("12", 16), strings.Repeat("12", 16)}, "komponen 1 dan 2 sama"},
		"single DES":  {"2tdea", []string{strings.Repeat("0123456789ABCDEF", 2), strings.Repeat("F1E2D3C4B5A69788", 2)}, "dua bagian kunci DES sama"},
		"parity only": {"2tdea", []string{"0123456789ABCDEF0022446688AACCEE", "F1E2D3C4B5A69788F1E3D2C5B4A79689"}, "dua bagian kunci DES sama"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			label := "weak " + name
			done := hold(t.Context(), &ceremony.Custodians{
				Terminal: d.tty(), Token: at, Label: label, Kind: ceremony.Kinds[c.kind], Roles: []string{"I", "II"},
			})
			for _, v := range c.values {
				b, err := hex.DecodeString(v)
				require.NoError(t, err)
				p := of(t, c.kind, b)
				d.answers("Tekan Enter bila siap", "", "KCV komponen di kertas", p.kcv, "tidak tampak", p.text(), "Sama dengan kertas Anda", "")
			}
			d.sees(c.says)
			d.answers("mengetik ulang", "batal")
			require.ErrorIs(t, ended(t, done).err, ceremony.ErrGivenUp)
			_, err := at.FindKey(t.Context(), label)
			require.ErrorIs(t, err, pkcs11.ErrKeyNotFound)
		})
	}
}

// A ceremony that is stopped while a component is typed leaves no key, and a terminal
// that shows what is typed.
func TestStoppedCeremony(t *testing.T) {
	t.Parallel()
	at, d := token(t), newDesk(t)
	one, _ := papers(t, "aes256", half1, half2)
	for name, stop := range map[string]func(cancel func()){
		"Ctrl-C": func(cancel func()) { cancel() },
		"batal":  func(func()) { d.types("batal") },
		"closed": func(func()) { d.types("\x04") }, // end of file
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := hold(ctx, &ceremony.Custodians{
			Terminal: d.tty(), Token: at, Label: "never", Kind: ceremony.Kinds["aes256"], Roles: []string{"I", "II"},
		})
		d.answers("Tekan Enter bila siap", "", "KCV komponen di kertas", one[0].kcv)
		d.sees("tidak tampak)")
		require.False(t, d.echoes())
		stop(cancel)
		err := ended(t, done).err
		require.Error(t, err, name)
		require.True(t, d.echoes(), name)
		cancel()
	}
	_, err := at.FindKey(t.Context(), "never")
	require.ErrorIs(t, err, pkcs11.ErrKeyNotFound)
	_, err = (&ceremony.Custodians{Token: at, Roles: []string{"I"}}).Run(t.Context())
	require.ErrorContains(t, err, "dua atau tiga kustodian")
	_, err = (&ceremony.Custodians{Token: at, Roles: []string{"I", "I"}}).Run(t.Context())
	require.ErrorContains(t, err, "nama yang berbeda")
	_, err = ceremony.OpenTTY(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, ceremony.ErrNoTerminal)
	_, err = ceremony.OpenTTY("/dev/null")
	require.ErrorIs(t, err, ceremony.ErrNoTerminal)
}
