package report

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// The numbers by which a chip is found.
const (
	ByID       = "id"            // of the card in this system
	BySerial   = "serial"        // No. Seri Kartu SAM, printed on it
	ByReader   = "reader_serial" // No. Seri Reader
	ByChip     = "chip"          // what the chip calls itself, or a list calls it (UID)
	ByPCID     = "pcid"          // also one that was wiped, or burnt with its card
	ByManifest = "manifest"      // as ByPCID
)

// FoundByLabels are the Indonesian names of the numbers by which a chip is found.
var FoundByLabels = map[string]string{
	ByID: "pengenal kartu", BySerial: "No. Seri Kartu SAM", ByReader: "No. Seri Reader", ByChip: "id chip", ByPCID: "PCID", ByManifest: "No. Manifest",
}

// mostChips are the cards that one number leads to at most; a number that leads to
// more is a reader's that was asked for again and again.
const mostChips = 50

// ChipMatch is a listed card that a number leads to.
type ChipMatch struct {
	ID           string        `db:"id" json:"id"`
	Serial       string        `db:"serial" json:"serial"`
	ReaderSerial string        `db:"reader_serial" json:"reader_serial"`
	Ticket       string        `db:"ticket" json:"ticket"`
	Institution  string        `db:"institution" json:"institution"`
	RequestState machine.State `db:"request_state" json:"request_state"`
	State        machine.State `db:"state" json:"state"` // empty while the card is not on the line
	StateLabel   string        `db:"-" json:"state_label"`
	ByHand       bool          `db:"by_hand" json:"-"`
	FoundBy      []string      `db:"-" json:"found_by"`

	By    pq.StringArray `db:"found_by" json:"-"`
	Total int            `db:"total" json:"-"`
}

// RegisterRow is a row of what the office issued before day one, also one that was
// corrected or withdrawn since.
type RegisterRow struct {
	Serial       string      `db:"serial" json:"serial"`
	PCID         string      `db:"pcid" json:"pcid"`
	ManifestNo   string      `db:"manifest_no" json:"manifest_no"`
	ReaderSerial string      `db:"reader_serial" json:"reader_serial"`
	ChipID       string      `db:"chip_id" json:"chip"`
	Produsen     string      `db:"produsen" json:"produsen"`
	Lembaga      string      `db:"lembaga" json:"lembaga"`
	IssuedOn     *clock.Date `db:"issued_on" json:"issued_on"`
	Remarks      string      `db:"remarks" json:"remarks"`
	File         string      `db:"file" json:"file"` // that it came from
	Sheet        string      `db:"sheet" json:"sheet"`
	Row          int         `db:"row" json:"row"`
	Edition      int         `db:"edition" json:"edition"`
	ImportedBy   string      `db:"imported_by" json:"imported_by"`
	ImportedAt   time.Time   `db:"imported_at" json:"imported_at"`
	Standing     bool        `db:"standing" json:"standing"` // false: it was corrected or withdrawn
	CorrectedBy  string      `db:"corrected_by" json:"corrected_by"`
	CorrectedAt  *time.Time  `db:"corrected_at" json:"corrected_at"`
	Correction   string      `db:"correction" json:"correction"` // why it stands no more
}

// LostAttempt is a try to write a chip that only a station's journal knows of: it was
// begun after the moment to which the database was restored.
type LostAttempt struct {
	ID      string    `db:"id" json:"id"` // the marker on the card
	ChipID  string    `db:"chip_id" json:"chip"`
	Station string    `db:"station" json:"station"`
	Last    string    `db:"last" json:"last"` // the journal's last word: intent, step, proven, failed, in_doubt
	At      time.Time `db:"at" json:"at"`     // of that word, by the station's clock
	NotedAt time.Time `db:"noted_at" json:"noted_at"`
}

// chipKeys are the forms in which a number that people typed, scanned or copied may be
// stored: with what they put between its parts, and without. None for a text that can be
// no number.
func chipKeys(typed string) []string {
	if len(typed) > maxSearch || !utf8.ValidString(typed) || strings.ContainsRune(typed, 0) {
		return nil
	}
	var keys []string
	for _, key := range []string{cardlist.Normalise(typed), cardlist.NormaliseUID(typed)} {
		if key != "" {
			keys = appendNew(keys, key)
		}
	}
	return keys
}

// findChips returns the listed cards that one of the keys is a number of, newest first.
// An empty scope sees those of all institutions.
func findChips(ctx context.Context, rd postgres.Reader, keys []string, scope string) ([]ChipMatch, error) {
	id := uuid.Nil.String()
	if one, err := uuid.Parse(keys[0]); err == nil && len(keys[0]) == len(id) { // without its hyphens it looks like a PCID
		id = one.String()
	}
	list := []ChipMatch{}
	if err := rd.Select(ctx, &list, `
		WITH found AS (
		    SELECT id, '`+BySerial+`' AS found_by FROM listed_card WHERE serial = ANY ($1)
		    UNION ALL SELECT id, '`+ByReader+`' FROM listed_card WHERE reader_serial = ANY ($1) AND reader_serial <> ''
		    UNION ALL SELECT id, '`+ByChip+`' FROM listed_card WHERE uid = ANY ($1) AND uid <> ''
		    UNION ALL SELECT id, '`+ByChip+`' FROM card WHERE chip_id = ANY ($1)
		    UNION ALL SELECT card_id, kind FROM card_number WHERE kind IN ('`+ByPCID+`','`+ByManifest+`') AND upper(value) = ANY ($1)
		    UNION ALL SELECT card_id, '`+ByReader+`' FROM reader_pairing WHERE reader_serial = ANY ($1)
		    UNION ALL SELECT card_id, '`+ByReader+`' FROM activation WHERE reader_serial = ANY ($1) AND card_id IS NOT NULL
		    UNION ALL SELECT card_id, '`+ByManifest+`' FROM activation WHERE manifest_serial = ANY ($1)
		    UNION ALL SELECT id, '`+ByID+`' FROM listed_card WHERE id = $2)
		SELECT l.id, l.serial, l.reader_serial, r.ticket, i.name AS institution, r.state AS request_state, coalesce(c.state, '') AS state,
		       coalesce(c.by_hand, false) AS by_hand, f.found_by, count(*) OVER () AS total
		FROM (SELECT id, array_agg(DISTINCT found_by ORDER BY found_by) AS found_by FROM found GROUP BY id) AS f
		JOIN listed_card l ON l.id = f.id JOIN request r ON r.id = l.request_id JOIN institution i ON i.id = r.institution_id
		LEFT JOIN card c ON c.id = l.id
		WHERE $3 = '' OR r.institution_id = nullif($3, '')::uuid ORDER BY l.id DESC LIMIT $4`, pq.Array(keys), id, scope, mostChips); err != nil {
		return nil, fmt.Errorf("report: finding a chip: %w", err)
	}
	for i := range list {
		m := &list[i]
		m.FoundBy, m.StateLabel = m.By, chipState(m.State, m.ByHand, m.RequestState)
	}
	return list, nil
}

// chipState names the state of a card, also while it is only listed.
func chipState(state machine.State, byHand bool, of machine.State) string {
	if state == "" {
		return "Dalam daftar; permohonan " + strings.ToLower(request.Machine.Label(of))
	}
	return perso.StateLabel(state, byHand)
}

// registered returns the rows of the old register that one of the keys is a number of,
// or was before a correction: all editions of each, the newest first.
func registered(ctx context.Context, rd postgres.Reader, keys []string) ([]RegisterRow, error) {
	list := []RegisterRow{}
	const number = `(serial = ANY ($1) OR pcid = ANY ($1) OR manifest_no = ANY ($1) OR reader_serial = ANY ($1) OR chip_id = ANY ($1))`
	if err := rd.Select(ctx, &list, `
		SELECT coalesce(e.serial, '') AS serial, coalesce(e.pcid, '') AS pcid, coalesce(e.manifest_no, '') AS manifest_no,
		       coalesce(e.reader_serial, '') AS reader_serial, coalesce(e.chip_id, '') AS chip_id, e.produsen, e.lembaga, e.issued_on, e.remarks,
		       f.file, e.sheet, e.row, e.edition, f.imported_by, f.imported_at, e.standing, coalesce(x.corrected_by, '') AS corrected_by,
		       x.corrected_at, coalesce(x.reason, '') AS correction
		FROM (SELECT import_id, sheet, row FROM register_entry WHERE standing AND `+number+`
		      UNION SELECT import_id, sheet, row FROM register_entry WHERE NOT standing AND `+number+`) AS k
		JOIN register_entry e ON (e.import_id, e.sheet, e.row) = (k.import_id, k.sheet, k.row)
		JOIN register_import f ON f.id = e.import_id
		LEFT JOIN register_correction x ON (x.import_id, x.sheet, x.row, x.edition) = (e.import_id, e.sheet, e.row, e.edition)
		ORDER BY f.imported_at DESC, f.id, e.sheet, e.row, e.edition DESC LIMIT $2`, pq.Array(keys), mostChips); err != nil {
		return nil, fmt.Errorf("report: a chip of the old register: %w", err)
	}
	return list, nil
}

// lostAttempts returns what only journals know of a chip, oldest first.
func lostAttempts(ctx context.Context, rd postgres.Reader, chips []string) ([]LostAttempt, error) {
	list := []LostAttempt{}
	if err := rd.Select(ctx, &list, `
		SELECT id, chip_id, station, last, at, noted_at FROM lost_attempt WHERE chip_id = ANY ($1) ORDER BY at, id, station LIMIT $2`,
		pq.Array(chips), mostChips); err != nil {
		return nil, fmt.Errorf("report: attempts that journals know: %w", err)
	}
	return list, nil
}
