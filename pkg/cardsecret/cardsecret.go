// Package cardsecret keeps what a produsen needs to use its cards: one age file
// (https://age-encryption.org/v1) for each card, made when the card is written, for the
// key of the institution that the cards are handed over to and for the office's escrow
// key (card-perso.md A3: the hand-back of one secret file per SAM). The office cannot
// open them: it has public keys only. It writes the tables secret_recipient, escrow_key,
// card_secret, secret_recovery and secret_download.
//
// A card of the station has its file in the transaction that commits the intent, before
// the first byte goes to it: no card gets clear without one, whichever way it gets so
// (at once, resumed, or by a late proof), since all of them finish that attempt. A card
// by hand has none; its secret never was in this system (features.md F12).
//
// A request without a produsen, a dinas' SAM Rekam Cetak (features.md N11), has its files
// for the dinas: whoever is handed the cards has to open them.
package cardsecret

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"filippo.io/age"

	"dukcapil.go.id/sifilma/pkg/form"
)

var (
	// ErrNotFound says that there is no such row.
	ErrNotFound = errors.New("cardsecret: not found")
	// ErrNoKey says that an institution has no confirmed key: its cards cannot be
	// written, for nobody could use them.
	ErrNoKey = errors.New("cardsecret: the institution has no confirmed key")
	// ErrNoEscrow says that the office has no escrow key.
	ErrNoEscrow = errors.New("cardsecret: the office has no escrow key")
)

// Fingerprint is what two people compare by another way than the one that the key came:
// 128 bits of the SHA-256 of its text, as 32 hexadecimal digits.
func Fingerprint(recipient string) string {
	sum := sha256.Sum256([]byte(recipient))
	return strings.ToUpper(hex.EncodeToString(sum[:16]))
}

// Spell writes a fingerprint for people, in groups of four.
func Spell(fingerprint string) string {
	var b strings.Builder
	for i, c := range fingerprint {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// heard reads a fingerprint as somebody typed it.
func heard(typed string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n-:.", r) {
			return -1
		}
		return r
	}, typed))
}

// Private says whether a text has the private half of an age key in it, also one that was
// broken over lines or written in another case.
func Private(text string) bool {
	joined := strings.ToUpper(strings.Join(strings.Fields(text), ""))
	return strings.Contains(joined, "AGE-SECRET-KEY-") || strings.Contains(joined, "AGE-PLUGIN-")
}

const privateText = "Yang ditempel adalah kunci PRIVAT. Tidak ada yang disimpan, tetapi kunci itu sudah keluar dari tempatnya: " +
	"jangan pakai lagi. Buat pasangan kunci baru, lalu daftarkan kunci publiknya saja, yang diawali age1."

// longestTyped is more than a public key with its comment has.
const longestTyped = 4096

// parse reads a public key as it was typed. Errors: form.Faults, which never hold any of
// what was typed.
func parse(typed string) (*age.X25519Recipient, error) {
	refuse := func(code, detail string) (*age.X25519Recipient, error) {
		return nil, form.One("/recipient", code, detail)
	}
	text := strings.ToLower(strings.TrimSpace(typed))
	switch {
	case Private(typed):
		return refuse("private_key", privateText)
	case text == "":
		return refuse("missing", "Kunci publik wajib diisi.")
	case len(typed) > longestTyped:
		return refuse("too_long", "Isian terlalu panjang. Tempel satu kunci publik saja, yang diawali age1.")
	}
	key, err := age.ParseX25519Recipient(text)
	if err != nil {
		return refuse("wrong_form", "Ini bukan kunci publik age. Kunci publik diawali age1 dan panjangnya 62 karakter; salin seluruhnya.")
	}
	// A key that nothing can be encrypted to would be noticed at the first card.
	if _, err := age.Encrypt(nothing{}, key); err != nil {
		return refuse("wrong_form", "Kunci publik ini tidak dapat dipakai untuk mengenkripsi. Buat pasangan kunci baru dengan age-keygen.")
	}
	return key, nil
}

// nothing takes what is written to it.
type nothing struct{}

// Write implements io.Writer.
func (nothing) Write(p []byte) (int, error) { return len(p), nil }
