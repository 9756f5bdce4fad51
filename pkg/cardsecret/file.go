package cardsecret

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Content is what a produsen needs to use a card, and nothing else: what the card is, and
// what OPEN SAM wants, PCID and CONF (card-perso.md A4). No key of the office is in it.
type Content struct {
	Serial     string // printed
	ChipID     string
	PCID       string // 32 hexadecimal digits
	ManifestNo string
	Secret     []byte // CONF; the caller clears it
}

// Format names the text inside the files.
const Format = "sifilma-card-secret-1"

// public is what of a file is not secret, in the order of its text.
type public struct {
	Format     string `json:"format"`
	Serial     string `json:"serial"`
	ChipID     string `json:"chip_id"`
	ManifestNo string `json:"manifest_no"`
	PCID       string `json:"pcid"`
}

// text is the JSON of a file, in one buffer that the caller clears.
func (c Content) text() ([]byte, error) {
	head, err := json.Marshal(public{Format, c.Serial, c.ChipID, c.ManifestNo, c.PCID})
	if err != nil {
		return nil, fmt.Errorf("cardsecret: encoding: %w", err)
	}
	const before, after = `,"conf":"`, "\"}\n"
	size := len(head) + len(before) + 2*len(c.Secret) + len(after)
	text := make([]byte, 0, padded(size)) // it must not move while it grows
	text = append(text, head[:len(head)-1]...)
	text = append(text, before...)
	text = hex.AppendEncode(text, c.Secret)
	upper := text[len(text)-2*len(c.Secret):]
	for i, b := range upper {
		if b >= 'a' {
			upper[i] = b - 'a' + 'A'
		}
	}
	text = append(text, after...)
	for len(text) < cap(text) {
		text = append(text, ' ')
	}
	return text, nil
}

// tag is what age adds to a text, and smallest and longest bound what a text is padded to.
const (
	tag      = 16
	smallest = 512
	longest  = 4096
)

// padded is the length that a text of n bytes gets with its tag: the same for all usual
// cards, so that a file tells nothing by its length; and the room that age's own copy of
// it has, so that it is encrypted where it lies and not left behind when it moves.
func padded(n int) int {
	room := smallest
	for room < n+tag && room < longest {
		room *= 2
	}
	return max(n, room-tag)
}

// seal encrypts a text for two keys.
func seal(text []byte, recipients ...string) ([]byte, error) {
	keys := make([]age.Recipient, len(recipients))
	for i, r := range recipients {
		key, err := age.ParseX25519Recipient(r)
		if err != nil {
			return nil, fmt.Errorf("cardsecret: recorded key: %w", err)
		}
		keys[i] = key
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, keys...)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("cardsecret: encrypting: %w", err)
	}
	return out.Bytes(), nil
}

// Target is the attempt on a card that a file is of.
type Target struct {
	RequestID, CardID, AttemptID string
}

// Kept is what may be told of a file.
type Kept struct {
	SHA256      string // of the file
	Fingerprint string // of the key that it is for
	Escrow      string // likewise, of the office
}

// Ready says that cards of a request can be written: whom they are for has a confirmed
// key, and the office an escrow key. Errors: ErrNoKey, ErrNoEscrow.
func Ready(ctx context.Context, rd postgres.Reader, requestID string) error {
	_, _, err := readers(ctx, rd, requestID)
	return err
}

// readers are the keys that a card of a request is written for at this moment.
func readers(ctx context.Context, rd postgres.Reader, requestID string) (Key, Escrow, error) {
	key, err := oneKey(ctx, rd, ErrNoKey, `JOIN request r ON r.institution_id = k.institution_id WHERE r.id = $1 AND k.state = 'confirmed'`, requestID)
	if err != nil {
		return key, Escrow{}, err
	}
	escrow, err := EscrowInForce(ctx, rd)
	return key, escrow, err
}

// Keep makes the file of an attempt and writes it, for the keys of this moment: in the
// transaction that commits the intent to write the card. Errors: ErrNoKey, ErrNoEscrow.
func Keep(ctx context.Context, tx *postgres.Tx, of Target, c Content) (Kept, error) {
	key, escrow, err := readers(ctx, tx, of.RequestID)
	if err != nil {
		return Kept{}, err
	}
	if len(c.Secret) == 0 || c.PCID == "" {
		return Kept{}, errors.New("cardsecret: a card without PCID or CONF")
	}
	text, err := c.text()
	defer clear(text)
	if err != nil {
		return Kept{}, err
	}
	body, err := seal(text, key.Recipient, escrow.Recipient)
	if err != nil {
		return Kept{}, err
	}
	sum := sha256.Sum256(body)
	if err := tx.ExecOne(ctx, `
		INSERT INTO card_secret (attempt_id, edition, card_id, recipient_id, escrow_id, body, sha256) VALUES ($1, 1, $2, $3, $4, $5, $6)`,
		of.AttemptID, of.CardID, key.ID, escrow.ID, body, sum[:]); err != nil {
		return Kept{}, fmt.Errorf("cardsecret: keeping: %w", err)
	}
	return Kept{SHA256: hex.EncodeToString(sum[:]), Fingerprint: key.Fingerprint, Escrow: escrow.Fingerprint}, nil
}

// Open reads a file with the private half of one of its keys. The caller clears the
// secret.
func Open(body []byte, id age.Identity) (Content, error) {
	text, err := decrypt(body, id)
	defer clear(text)
	if err != nil {
		return Content{}, err
	}
	return read(text)
}

// decrypt returns the text of a file, also beside an error; the caller clears it.
func decrypt(body []byte, id age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(body), id)
	if err != nil {
		return nil, fmt.Errorf("cardsecret: opening: %w", err)
	}
	text := make([]byte, longest)
	n, err := io.ReadFull(r, text)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		return text, fmt.Errorf("cardsecret: opening: %w", errors.Join(errFormat, err))
	}
	return text[:n], nil
}

var errFormat = errors.New("not the file of a card")

// read parses the text of a file without a copy of its secret but the one it returns.
func read(text []byte) (c Content, err error) {
	var whole struct {
		public
		Conf hexBytes `json:"conf"`
	}
	if err := json.Unmarshal(text, &whole); err != nil || whole.Format != Format {
		clear(whole.Conf)
		return c, fmt.Errorf("cardsecret: %w", errFormat) // the cause may quote the text
	}
	return Content{Serial: whole.Serial, ChipID: whole.ChipID, PCID: whole.PCID, ManifestNo: whole.ManifestNo, Secret: whole.Conf}, nil
}

// hexBytes are bytes that a JSON text has as hexadecimal digits.
type hexBytes []byte

// UnmarshalJSON implements json.Unmarshaler.
func (h *hexBytes) UnmarshalJSON(text []byte) error {
	if len(text) < 2 || text[0] != '"' {
		return errFormat
	}
	digits := text[1 : len(text)-1]
	out := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(out, digits); err != nil {
		clear(out)
		return errFormat
	}
	*h = out
	return nil
}
