package cardsecret

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Entry is a file of a bundle.
type Entry struct {
	AttemptID   string `db:"attempt_id"`
	Edition     int    `db:"edition"`
	CardID      string `db:"card_id"`
	EscrowID    string `db:"escrow_id"`
	Serial      string `db:"serial"`
	PCID        string `db:"pcid"`
	ManifestNo  string `db:"manifest_no"`
	KeyEdition  int    `db:"key_edition"`
	Fingerprint string `db:"fingerprint"` // of the produsen's key that it is for
	SHA256      []byte `db:"sha256"`
}

// newest are the newest files of the attempts by which cards got clear.
const newest = `
	SELECT DISTINCT ON (l.row, c.id) s.attempt_id, s.edition, s.card_id, s.escrow_id, c.serial, c.pcid, c.manifest_no, k.edition AS key_edition, k.fingerprint, s.sha256
	FROM card c JOIN listed_card l ON l.id = c.id JOIN perso_attempt a ON a.card_id = c.id AND a.attempt = c.attempt
	JOIN card_secret s ON s.attempt_id = a.id JOIN secret_recipient k ON k.id = s.recipient_id `

// Entries returns the files of a handover's cards in the order of the card list. Cards
// that were written by hand have none.
func Entries(ctx context.Context, rd postgres.Reader, handoverID string) ([]Entry, error) {
	list := []Entry{}
	if err := rd.Select(ctx, &list, newest+`JOIN handover_card h ON h.card_id = c.id
		WHERE h.handover_id = $1 AND c.state = 'clear' ORDER BY l.row, c.id, s.edition DESC`, handoverID); err != nil {
		return nil, fmt.Errorf("cardsecret: files: %w", err)
	}
	return list, nil
}

// Bundle is the zip of a handover's files: the same files give the same bytes.
type Bundle struct {
	HandoverID string
	RequestID  string
	Name       string // of the zip
	Entries    []Entry
	Size       int64
	SHA256     [sha256.Size]byte

	rd   postgres.Reader
	made time.Time
}

// Pack reads what a handover's bundle is and weighs it; nothing is given out by it. name
// is what the zip is called, made what its files are dated. Error: ErrNotFound when no
// card of the handover has a file.
func Pack(ctx context.Context, rd postgres.Reader, handoverID, requestID, name string, made time.Time) (*Bundle, error) {
	b := &Bundle{HandoverID: handoverID, RequestID: requestID, Name: name, rd: rd, made: made}
	var err error
	if b.Entries, err = Entries(ctx, rd, handoverID); err != nil {
		return nil, err
	}
	if len(b.Entries) == 0 {
		return nil, ErrNotFound
	}
	sum := sha256.New()
	weigh := &counter{to: sum}
	if err := b.Write(ctx, weigh); err != nil {
		return nil, err
	}
	b.Size = weigh.n
	sum.Sum(b.SHA256[:0])
	return b, nil
}

type counter struct {
	to io.Writer
	n  int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

// readAtOnce is how many files are in memory while a bundle is written.
const readAtOnce = 100

// Write writes the zip, a few files at a time. The files never change.
func (b *Bundle) Write(ctx context.Context, to io.Writer) error {
	z := zip.NewWriter(to)
	if err := b.put(z, "BACA-SAYA.txt", []byte(readMe)); err != nil {
		return err
	}
	list, err := b.list()
	if err != nil {
		return err
	}
	if err := b.put(z, "daftar.csv", list); err != nil {
		return err
	}
	for from := 0; from < len(b.Entries); from += readAtOnce {
		part := b.Entries[from:min(from+readAtOnce, len(b.Entries))]
		bodies, err := bodies(ctx, b.rd, part)
		if err != nil {
			return err
		}
		for i, e := range part {
			if err := b.put(z, e.name(from+i+1), bodies[i]); err != nil {
				return err
			}
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("cardsecret: closing the bundle: %w", err)
	}
	return nil
}

// put adds a file as it is: what is encrypted does not get smaller.
func (b *Bundle) put(z *zip.Writer, name string, body []byte) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Modified: b.made.UTC()})
	if err == nil {
		_, err = w.Write(body)
	}
	if err != nil {
		return fmt.Errorf("cardsecret: packing: %w", err)
	}
	return nil
}

// name is a file's name in the bundle: its place in the list, and its serial as far as
// every system takes it in a name.
func (e Entry) name(place int) string {
	return fmt.Sprintf("kartu/%04d-%s.age", place, strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r == '-', r == '_':
			return r
		}
		return '_'
	}, e.Serial))
}

func (b *Bundle) list() ([]byte, error) {
	var text strings.Builder
	w := csv.NewWriter(&text)
	rows := [][]string{{"berkas", "nomor_seri", "nomor_manifest", "edisi_kunci", "sidik_kunci", "sha256"}}
	for i, e := range b.Entries {
		rows = append(rows, []string{e.name(i + 1), harmless(e.Serial), harmless(e.ManifestNo), strconv.Itoa(e.KeyEdition), e.Fingerprint, hex.EncodeToString(e.SHA256)})
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("cardsecret: list: %w", err)
	}
	return []byte(text.String()), nil
}

// harmless keeps a spreadsheet from taking a text for a formula (users.md F.3).
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}

const readMe = `RAHASIA KARTU SAM

Berkas .age dalam folder kartu memuat rahasia satu kartu: PCID, CONF, nomor seri, dan nomor manifest.
Tiap berkas hanya dapat dibuka dengan kunci privat yang kunci publiknya terdaftar saat kartu ditulis;
edisi dan sidik kuncinya ada dalam daftar.csv.

Cara membuka satu berkas, di komputer yang tidak terhubung ke jaringan umum:

    age --decrypt -i kunci-privat.txt kartu/0001-NOMORSERI.age

Hasilnya JSON dengan isian format, serial, chip_id, manifest_no, pcid, dan conf (64 digit heksadesimal).
OPEN SAM: 00 F0 00 00 20, lalu (PCID xor CONF[0..15]) dan (PCID xor CONF[16..31]).

Jangan menyimpan hasilnya dalam keadaan terbuka, dan jangan mengirimkannya. Kunci privat yang hilang atau
diketahui orang lain dilaporkan segera kepada Subdit Keamanan Informasi, Ditjen Dukcapil.
`

// bodies reads files in the order of their entries.
func bodies(ctx context.Context, rd postgres.Reader, of []Entry) ([][]byte, error) {
	attempts, editions := make([]string, len(of)), make([]int64, len(of))
	for i, e := range of {
		attempts[i], editions[i] = e.AttemptID, int64(e.Edition)
	}
	var out [][]byte
	if err := rd.Select(ctx, &out, `
		SELECT s.body FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS w (attempt_id, edition, place)
		JOIN card_secret s ON s.attempt_id = w.attempt_id AND s.edition = w.edition ORDER BY w.place`, pq.Array(attempts), pq.Array(editions)); err != nil {
		return nil, fmt.Errorf("cardsecret: reading files: %w", err)
	}
	if len(out) != len(of) {
		return nil, fmt.Errorf("cardsecret: %d of %d files", len(out), len(of))
	}
	return out, nil
}

// Download is that somebody of the produsen took a bundle.
type Download struct {
	ID         string    `db:"id" json:"id"`
	HandoverID string    `db:"handover_id" json:"-"`
	Username   string    `db:"username" json:"-"`
	Name       string    `db:"name" json:"name"`
	Files      int       `db:"files" json:"files"`
	Size       int64     `db:"size" json:"size"` // bytes
	SHA256     []byte    `db:"sha256" json:"-"`
	Hash       string    `db:"-" json:"sha256"` // of the zip, as hexadecimal digits
	OfficeAt   time.Time `db:"office_at" json:"at"`
}

// Downloads returns who took the bundle of a handover, the newest first.
func Downloads(ctx context.Context, rd postgres.Reader, handoverID string) ([]Download, error) {
	list := []Download{}
	if err := rd.Select(ctx, &list, `
		SELECT id, handover_id, username, name, files, size, sha256, office_at FROM secret_download WHERE handover_id = $1 ORDER BY id DESC`, handoverID); err != nil {
		return nil, fmt.Errorf("cardsecret: downloads: %w", err)
	}
	for i := range list {
		list[i].Hash = hex.EncodeToString(list[i].SHA256)
	}
	return list, nil
}

// Take notes that a named person takes a bundle, before the first byte of it goes out.
func (b *Bundle) Take(ctx context.Context, tx *postgres.Tx, name string, by Who) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("cardsecret: id: %w", err)
	}
	if err := tx.ExecOne(ctx, `
		INSERT INTO secret_download (id, handover_id, username, name, files, size, sha256, office_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		id.String(), b.HandoverID, by.Name, name, len(b.Entries), b.Size, b.SHA256[:], by.At.UTC()); err != nil {
		return fmt.Errorf("cardsecret: download: %w", err)
	}
	return audit.Record(ctx, tx, audit.Entry{Actor: by.Name, Action: "card_secret.download", Subject: b.HandoverID, Request: b.RequestID, Detail: map[string]any{
		"name": name, "files": len(b.Entries), "size": b.Size, "sha256": hex.EncodeToString(b.SHA256[:]),
	}})
}
