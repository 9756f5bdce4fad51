// Package cardlist keeps the card list of a request: the rows that a produsen
// sent and the replacements that came later. It writes the tables listed_card,
// live_serial and live_reader; the latter two hold each serial number, of a card
// and of a reader, in one live request at most, and for ever in the request that
// personalised the card.
package cardlist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	// ErrSerialLive says that the serial number belongs to a live request, this
	// one included, or to a card that was personalised, here or before day one.
	ErrSerialLive = errors.New("cardlist: serial number is in use")
	// ErrSerialListed is ErrSerialLive: it stands in the same request's list.
	ErrSerialListed = fmt.Errorf("%w: in the same list", ErrSerialLive)
	// ErrSerialIssued is ErrSerialLive: the card was personalised, here or before day one.
	ErrSerialIssued = fmt.Errorf("%w: it was personalised", ErrSerialLive)
	// ErrSerialForm says that the serial number does not have the form that the
	// request's machine type demands.
	ErrSerialForm = errors.New("cardlist: serial number has the wrong form")
	// ErrUIDForm says that what was given as a chip's UID cannot be one.
	ErrUIDForm = errors.New("cardlist: UID has the wrong form")
	// ErrUIDMissing says that the list names chips, and the one of a replacement is missing.
	ErrUIDMissing = errors.New("cardlist: UID missing")
	// ErrReplaced says that the row has a replacement already.
	ErrReplaced = errors.New("cardlist: row is replaced already")
	// ErrNotFound says that the request has no such row.
	ErrNotFound = errors.New("cardlist: no such row")
)

// Row is one row of the list as it was sent. Serials are normalised.
type Row struct {
	Row          int    // 1 for the first card
	Serial       string // No. Seri Kartu SAM
	ReaderSerial string // No. Seri Reader; empty for rekam-cetak
	Kind         string // Jenis
	Remarks      string // Keterangan
	Line         int    // the request's line that the card is for
	UID          string // of the chip, as NormaliseUID has it; empty where the list does not say
}

// Card is a row as it is stored.
type Card struct {
	ID           string  `db:"id" json:"id"`
	Row          int     `db:"row" json:"row"`
	Serial       string  `db:"serial" json:"serial"`
	ReaderSerial string  `db:"reader_serial" json:"reader_serial"`
	Remarks      string  `db:"remarks" json:"remarks"`
	Line         int     `db:"line" json:"line"`
	Replaces     *string `db:"replaces" json:"replaces"` // id of the card it stands in for
}

// List returns the rows of a request in their order; replacements come last.
func List(ctx context.Context, r postgres.Reader, requestID string) ([]Card, error) {
	var cards []Card
	err := r.Select(ctx, &cards, `
		SELECT id, row, serial, reader_serial, remarks, line, replaces
		FROM listed_card WHERE request_id = $1 ORDER BY row`, requestID)
	if err != nil {
		return nil, fmt.Errorf("cardlist: reading: %w", err)
	}
	return cards, nil
}

// ListPart returns some rows of a request in their order, and how many there are with
// what is searched for, as Normalise has it, in one of their serials.
func ListPart(ctx context.Context, r postgres.Reader, requestID, search string, limit, offset int) (cards []Card, total int, err error) {
	const which = `FROM listed_card WHERE request_id = $1 AND ($2 = '' OR strpos(serial, $2) > 0 OR strpos(reader_serial, $2) > 0)`
	if err := r.Get(ctx, &total, `SELECT count(*) `+which, requestID, search); err != nil {
		return nil, 0, fmt.Errorf("cardlist: counting: %w", err)
	}
	if err := r.Select(ctx, &cards, `SELECT id, row, serial, reader_serial, remarks, line, replaces `+which+` ORDER BY row LIMIT $3 OFFSET $4`,
		requestID, search, limit, offset); err != nil {
		return nil, 0, fmt.Errorf("cardlist: reading: %w", err)
	}
	return cards, total, nil
}

// Taken is a number of a list that cannot be asked for again: the serial of a
// card or of a reader.
type Taken struct {
	Serial       string `db:"serial"`        // empty when it is the reader
	ReaderSerial string `db:"reader_serial"` // empty when it is the card
	// Personalised: the card is, or the reader has got its SAM card, here or before
	// day one; otherwise it is in a live request.
	Personalised bool `db:"personalised"`
	// Alike: it is a number of the old register, written with other separators.
	Alike bool `db:"-"`
}

// inUse compares serials ($3) and readers ($4) with those of requests other than $5,
// and their keys ($1 and $2) with the old register.
const inUse = registered + `
	UNION ALL
	SELECT l.serial, '', coalesce(c.state = 'clear', false), false
	FROM live_serial l LEFT JOIN card c ON c.id = l.card_id
	WHERE l.serial = ANY ($3) AND l.request_id <> $5
	UNION ALL
	SELECT '', l.reader_serial, coalesce(c.state = 'clear', false), false
	FROM live_reader l LEFT JOIN card c ON c.id = l.card_id
	WHERE l.reader_serial = ANY ($4) AND l.request_id <> $5`

// asked are the parameters of inUse.
func asked(requestID string, serials, readers []string) []any {
	return append(compared(serials, readers), pq.Array(serials), pq.Array(readers), requestID)
}

// InUse returns which of the serials, of cards and of readers, live requests other
// than this one have, or had when the cards were personalised, and which the old
// register has, also with other separators. Whose they are is not told.
func InUse(ctx context.Context, r postgres.Reader, requestID string, serials, readers []string) ([]Taken, error) {
	var matches []match
	if err := r.Select(ctx, &matches, inUse, asked(requestID, serials, readers)...); err != nil {
		return nil, fmt.Errorf("cardlist: comparing serials: %w", err)
	}
	return takenOf(matches, serials, readers), nil
}

// Store replaces the list of a request whose cards are not on the line yet, and
// takes its serials. What of the rows others have, or the old register has (also
// with other separators), is returned: the caller then returns the request and calls Free. Rows must not
// repeat a serial, of a card or of a reader.
func Store(ctx context.Context, tx *postgres.Tx, requestID string, rows []Row) (taken []Taken, err error) {
	// From here on no import of the old register comes in between: it waits for
	// those who write these tables, and they for it.
	if _, err := tx.Exec(ctx, `
		DELETE FROM listed_card l
		WHERE l.request_id = $1 AND NOT EXISTS (SELECT FROM card c WHERE c.id = l.id)`, requestID); err != nil {
		return nil, fmt.Errorf("cardlist: removing the earlier list: %w", err)
	}
	n := len(rows)
	ids, serials, readers, remarks, uids := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	numbers, lines := make([]int64, n), make([]int64, n)
	for i, row := range rows {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("cardlist: id: %w", err)
		}
		ids[i], serials[i], readers[i], remarks[i] = id.String(), row.Serial, row.ReaderSerial, row.Remarks
		uids[i] = row.UID
		numbers[i], lines[i] = int64(row.Row), int64(row.Line)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO listed_card (id, request_id, row, serial, reader_serial, remarks, line, uid)
		SELECT id, $1, row, serial, reader_serial, remarks, line, uid
		FROM unnest($2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[])
		     AS r (id, row, serial, reader_serial, remarks, line, uid)`,
		requestID, pq.Array(ids), pq.Array(numbers), pq.Array(serials), pq.Array(readers), pq.Array(remarks),
		pq.Array(lines), pq.Array(uids)); err != nil {
		return nil, fmt.Errorf("cardlist: writing: %w", err)
	}
	// In the order of the serials, so that two lists that overlap wait for each
	// other instead of deadlocking.
	if _, err := tx.Exec(ctx, `
		INSERT INTO live_serial (serial, request_id, card_id)
		SELECT serial, request_id, id FROM listed_card l
		WHERE request_id = $1 AND NOT EXISTS (SELECT FROM register_standing e WHERE e.serial = l.serial) ORDER BY serial
		ON CONFLICT (serial) DO NOTHING`, requestID); err != nil {
		return nil, fmt.Errorf("cardlist: taking serials: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO live_reader (reader_serial, request_id, card_id)
		SELECT reader_serial, request_id, id FROM listed_card l
		WHERE request_id = $1 AND reader_serial <> ''
		  AND NOT EXISTS (SELECT FROM register_standing e WHERE e.reader_serial = l.reader_serial) ORDER BY reader_serial
		ON CONFLICT (reader_serial) DO NOTHING`, requestID); err != nil {
		return nil, fmt.Errorf("cardlist: taking serials of readers: %w", err)
	}
	if err := tx.Select(ctx, &taken, `
		SELECT serial, reader_serial, personalised FROM (
			SELECT l.row, l.serial, '' AS reader_serial,
			       EXISTS (SELECT FROM register_standing e WHERE e.serial = l.serial) OR coalesce(c.state = 'clear', false) AS personalised
			FROM listed_card l LEFT JOIN live_serial own ON own.card_id = l.id
			LEFT JOIN live_serial other ON other.serial = l.serial LEFT JOIN card c ON c.id = other.card_id
			WHERE l.request_id = $1 AND own.serial IS NULL
			UNION ALL
			SELECT l.row, '', l.reader_serial,
			       EXISTS (SELECT FROM register_standing e WHERE e.reader_serial = l.reader_serial) OR coalesce(c.state = 'clear', false)
			FROM listed_card l LEFT JOIN live_reader own ON own.card_id = l.id
			LEFT JOIN live_reader other ON other.reader_serial = l.reader_serial LEFT JOIN card c ON c.id = other.card_id
			WHERE l.request_id = $1 AND l.reader_serial <> '' AND own.reader_serial IS NULL
		) AS t ORDER BY row, serial DESC`, requestID); err != nil {
		return nil, fmt.Errorf("cardlist: looking for duplicates: %w", err)
	}
	like, err := alikeOnes(ctx, tx, serials, readers)
	return append(taken, like...), err
}

// Free gives back the serials of a request that was returned, rejected or
// cancelled; the list itself stays to be read. Cards that reached the line keep
// theirs. It can be called again.
func Free(ctx context.Context, tx *postgres.Tx, requestID string) error {
	if _, err := tx.Exec(ctx, `
		DELETE FROM live_serial s
		WHERE s.request_id = $1 AND NOT EXISTS (SELECT FROM card c WHERE c.id = s.card_id)`, requestID); err != nil {
		return fmt.Errorf("cardlist: giving serials back: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		DELETE FROM live_reader s
		WHERE s.request_id = $1 AND NOT EXISTS (SELECT FROM card c WHERE c.id = s.card_id)`, requestID); err != nil {
		return fmt.Errorf("cardlist: giving serials of readers back: %w", err)
	}
	return nil
}

// FreeCards gives back what cards held that were taken off their request: the readers,
// and the serial of a card that was never presented. The serial of a card whose chip
// is known stays taken, as the chip does: no station would take it again.
func FreeCards(ctx context.Context, tx *postgres.Tx, cardIDs []string) error {
	if _, err := tx.Exec(ctx, `
		DELETE FROM live_serial s
		WHERE s.card_id = ANY ($1::uuid[]) AND NOT EXISTS (SELECT FROM card c WHERE c.id = s.card_id AND c.chip_id IS NOT NULL)`,
		pq.Array(cardIDs)); err != nil {
		return fmt.Errorf("cardlist: giving serials of cards back: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM live_reader WHERE card_id = ANY ($1::uuid[])`, pq.Array(cardIDs)); err != nil {
		return fmt.Errorf("cardlist: giving readers of cards back: %w", err)
	}
	return nil
}

// AddReplacement puts a new blank at the end of the list in the place of a card
// that failed (features.md N36), for the same reader and on the same line of the
// request, and returns its id. The serial is normalised here. Errors: ErrNotFound, ErrReplaced,
// ErrSerialForm, ErrSerialLive (as ErrSerialListed or ErrSerialIssued where it is so),
// ErrSerialAlike; none of them aborts the transaction.
func AddReplacement(ctx context.Context, tx *postgres.Tx, requestID, oldID, serial string) (newID string, err error) {
	serial = Normalise(serial)
	// One at a time per request: each takes the next row number.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('cardlist:' || $1, 0))`, requestID); err != nil {
		return "", fmt.Errorf("cardlist: replacement: %w", err)
	}
	var old struct {
		Line     int    `db:"line"`
		Reader   string `db:"reader_serial"`
		Pattern  string `db:"sam_pattern"`
		Next     int    `db:"next"`
		Replaced bool   `db:"replaced"`
	}
	err = tx.Get(ctx, &old, `
		SELECT l.line, l.reader_serial, m.sam_pattern, (SELECT max(row) + 1 FROM listed_card WHERE request_id = $1) AS next,
		       EXISTS (SELECT FROM listed_card new WHERE new.replaces = l.id) AS replaced
		FROM listed_card l JOIN request r ON r.id = l.request_id JOIN machine_type m ON m.code = r.machine_type
		WHERE l.request_id = $1 AND l.id = $2`, requestID, oldID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", ErrNotFound
	case err != nil:
		return "", fmt.Errorf("cardlist: replacement: %w", err)
	case old.Replaced:
		return "", ErrReplaced
	}
	form, err := WholeMatch(old.Pattern)
	if err != nil {
		return "", err
	}
	if serial == "" || !form.MatchString(serial) {
		return "", ErrSerialForm
	}
	switch like, err := alikeOnes(ctx, tx, []string{serial}, nil); {
	case err != nil:
		return "", err
	case len(like) > 0:
		return "", ErrSerialAlike
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("cardlist: id: %w", err)
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO listed_card (id, request_id, row, serial, reader_serial, line, replaces)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (request_id, serial) DO NOTHING`,
		id.String(), requestID, old.Next, serial, old.Reader, old.Line, oldID)
	if err != nil {
		return "", fmt.Errorf("cardlist: writing replacement: %w", err)
	}
	if n == 0 {
		return "", ErrSerialListed
	}
	n, err = tx.Exec(ctx, `
		INSERT INTO live_serial (serial, request_id, card_id)
		SELECT $1::text, $2, $3 WHERE NOT EXISTS (SELECT FROM register_standing WHERE serial = $1)
		ON CONFLICT (serial) DO NOTHING`, serial, requestID, id.String())
	if err != nil {
		return "", fmt.Errorf("cardlist: taking serial: %w", err)
	}
	if n == 0 {
		if err := tx.ExecOne(ctx, `DELETE FROM listed_card WHERE id = $1`, id.String()); err != nil {
			return "", fmt.Errorf("cardlist: withdrawing replacement: %w", err)
		}
		taken, err := InUse(ctx, tx, requestID, []string{serial}, nil)
		switch {
		case err != nil:
			return "", err
		case len(taken) > 0 && taken[0].Personalised:
			return "", ErrSerialIssued
		}
		return "", ErrSerialLive
	}
	if _, err := tx.Exec(ctx, `UPDATE live_reader SET card_id = $2 WHERE card_id = $1`, oldID, id.String()); err != nil {
		return "", fmt.Errorf("cardlist: passing the reader on: %w", err)
	}
	return id.String(), nil
}

// SetUID keeps which chip a replacement has, where the list names chips: nothing else
// tells a station its serial. Errors: ErrUIDMissing, ErrUIDForm.
func SetUID(ctx context.Context, tx *postgres.Tx, newID, uid string) error {
	uid = NormaliseUID(uid)
	var named bool
	if err := tx.Get(ctx, &named, `SELECT old.uid <> '' FROM listed_card new JOIN listed_card old ON old.id = new.replaces WHERE new.id = $1`, newID); err != nil {
		return fmt.Errorf("cardlist: chip of a replacement: %w", err)
	}
	switch {
	case uid == "" && named:
		return ErrUIDMissing
	case uid == "":
		return nil
	case !IsUID(uid):
		return ErrUIDForm
	}
	if err := tx.ExecOne(ctx, `UPDATE listed_card SET uid = $2 WHERE id = $1`, newID, uid); err != nil {
		return fmt.Errorf("cardlist: chip of a replacement: %w", err)
	}
	return nil
}

// WholeMatch compiles the pattern of a machine type; see institution.WholeMatch.
func WholeMatch(pattern string) (*regexp.Regexp, error) { return institution.WholeMatch(pattern) }
