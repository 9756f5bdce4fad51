package ceremony

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// errTyped says in words for the custodian what is wrong with what was typed. It never
// holds any of it.
type errTyped string

func (e errTyped) Error() string { return string(e) }

// parse reads a component of n bytes as hexadecimal digits; spaces are ignored. It
// zeroises what was typed.
func parse(typed []byte, n int) ([]byte, error) {
	defer pkcs11.Zeroise(typed)
	out := make([]byte, n)
	digits := 0
	for _, c := range typed {
		v, ok := digit(c)
		switch {
		case c == ' ' || c == '\t' || c == '-' || c == '\r':
			continue
		case !ok:
			pkcs11.Zeroise(out)
			return nil, errTyped(fmt.Sprintf("Karakter ke-%d bukan digit 0-9 atau A-F.", digits+1))
		}
		if digits < 2*n {
			out[digits/2] |= v << (4 * uint(1-digits%2))
		}
		digits++
	}
	if digits != 2*n {
		pkcs11.Zeroise(out)
		return nil, errTyped(fmt.Sprintf("Terbaca %d digit; seharusnya %d.", digits, 2*n))
	}
	return out, nil
}

func digit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// spell writes a component for a custodian to copy: lines of 16 digits in groups of
// four. The caller shows it to nobody else.
func spell(component []byte) string {
	var b strings.Builder
	for i, v := range component {
		fmt.Fprintf(&b, "%02X", v)
		switch {
		case i%8 == 7:
			b.WriteByte('\n')
		case i%2 == 1:
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// errWeak refuses components that do not keep the key secret from one custodian, or a
// key that is weaker than it is long.
var errWeak = errors.New("komponen ini tidak menghasilkan kunci yang aman")

// combine is the exclusive or of the components: whoever lacks one knows nothing of the
// whole. The caller zeroises it.
func combine(algorithm pkcs11.Algorithm, components [][]byte) ([]byte, error) {
	whole := make([]byte, len(components[0]))
	zero := make([]byte, len(whole))
	for i, c := range components {
		if bytes.Equal(c, zero) {
			return nil, fmt.Errorf("%w: komponen %d seluruhnya nol", errWeak, i+1)
		}
		for j := range i {
			if bytes.Equal(c, components[j]) {
				return nil, fmt.Errorf("%w: komponen %d dan %d sama", errWeak, j+1, i+1)
			}
		}
		subtle.XORBytes(whole, whole, c)
	}
	if err := strong(algorithm, whole); err != nil {
		pkcs11.Zeroise(whole)
		return nil, err
	}
	return whole, nil
}

// part is one DES key, in bytes.
const part = 8

// strong refuses a triple DES key with two equal parts (SP 800-67 section 3.2): it would
// be single DES, or have fewer keys than it seems. Parity bits are not compared.
func strong(algorithm pkcs11.Algorithm, key []byte) error {
	if algorithm == pkcs11.AES {
		if bytes.Equal(key, make([]byte, len(key))) {
			return fmt.Errorf("%w: kunci seluruhnya nol", errWeak)
		}
		return nil
	}
	same := func(a, b int) bool {
		for i := range part {
			if (key[a*part+i]^key[b*part+i])&0xFE != 0 {
				return false
			}
		}
		return true
	}
	parts := len(key) / part
	for i := range parts {
		for j := range i {
			if same(i, j) {
				return fmt.Errorf("%w: dua bagian kunci DES sama", errWeak)
			}
		}
	}
	return nil
}
