package cardsecret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
)

// PartBytes is how long a part of the escrow key is.
const PartBytes = 32

// Part is what one of two people has of the private half of an escrow key: the exclusive
// or of both is the X25519 secret, and one alone says nothing about it.
type Part [PartBytes]byte

// Check is what tells a mistyped part, and nothing about the part: three bytes of a hash,
// as six hexadecimal digits.
func (p *Part) Check() string {
	hash := sha256.New()
	hash.Write([]byte("sifilma escrow part\x00"))
	hash.Write(p[:])
	return fmt.Sprintf("%X", hash.Sum(nil)[:3])
}

// NewParts draws an escrow key in two parts. The caller clears them.
func NewParts() (first, second Part, recipient string, err error) {
	for _, p := range []*Part{&first, &second} {
		if _, err := rand.Read(p[:]); err != nil {
			return first, second, "", fmt.Errorf("cardsecret: drawing: %w", err)
		}
	}
	id, err := Join(&first, &second)
	if err != nil {
		return first, second, "", err
	}
	return first, second, id.Recipient().String(), nil
}

// errParts refuses two parts that are one.
var errParts = errors.New("cardsecret: both parts are the same")

// Join makes the private half of an escrow key of its two parts. age keeps it in memory
// that cannot be cleared: whoever joins parts is a process of its own that ends soon.
func Join(first, second *Part) (*age.X25519Identity, error) {
	var whole Part
	defer clear(whole[:])
	subtle.XORBytes(whole[:], first[:], second[:])
	if whole == (Part{}) {
		return nil, errParts
	}
	text := bech32("AGE-SECRET-KEY-", whole[:])
	id, err := age.ParseX25519Identity(text)
	if err != nil {
		return nil, errors.New("cardsecret: the parts make no key") // the cause may quote it
	}
	return id, nil
}

const bech32Digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// bech32 encodes bytes as age writes its keys (BIP 173), in upper case; age has its own
// and gives it to nobody.
func bech32(prefix string, data []byte) string {
	lower := strings.ToLower(prefix)
	var values []byte // of five bits each
	acc, bits := uint32(0), uint(0)
	for _, b := range data {
		acc, bits = acc<<8|uint32(b), bits+8
		for bits >= 5 {
			bits -= 5
			values = append(values, byte(acc>>bits)&31)
		}
	}
	if bits > 0 {
		values = append(values, byte(acc<<(5-bits))&31)
	}
	var spread []byte
	for _, c := range []byte(lower) {
		spread = append(spread, c>>5)
	}
	spread = append(spread, 0)
	for _, c := range []byte(lower) {
		spread = append(spread, c&31)
	}
	sum := polymod(append(append(spread, values...), 0, 0, 0, 0, 0, 0)) ^ 1
	for i := range 6 {
		values = append(values, byte(sum>>(5*(5-i)))&31)
	}
	var out strings.Builder
	out.WriteString(lower + "1")
	for _, v := range values {
		out.WriteByte(bech32Digits[v])
	}
	clear(values)
	return strings.ToUpper(out.String())
}

func polymod(values []byte) uint32 {
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum
}
