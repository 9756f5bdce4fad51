package activation

import (
	"context"
	"fmt"
	"strings"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Finding is what is wrong with a line, as its lembaga is told: never what the office's
// record has instead, which is for those only who have the card.
type Finding struct {
	Number int    `json:"line" db:"line"`   // of the line in its letter
	Field  string `json:"field" db:"field"` // as in the API, or "pks"
	Code   string `json:"code" db:"code"`
	Detail string `json:"detail" db:"detail"`
	// Office is what the office's own people are told besides; empty for others.
	Office string `json:"office,omitempty" db:"office"`
}

// record is what the office knows of what a line names.
type record struct {
	CardID       *string `db:"card_id"`
	CardState    *string `db:"card_state"`
	PCID         *string `db:"pcid"`
	ManifestNo   *string `db:"manifest_no"`
	Listed       *string `db:"listed_reader"`
	Paired       *string `db:"paired_reader"`
	ReaderCard   *string `db:"reader_card"` // the card that the reader was listed or paired with
	ProdusenID   *string `db:"produsen_id"`
	Lembaga      *string `db:"lembaga"`
	Kind         *string `db:"kind"`
	MachineType  *string `db:"machine_type"`
	HandedOver   bool    `db:"handed_over"`
	CardActive   *string `db:"card_active"`
	ReaderActive *string `db:"reader_active"`
	// CardMissing and ReaderMissing are the activations in which they were reported lost or
	// stolen, if they were not found since.
	CardMissing   *string `db:"card_missing"`
	ReaderMissing *string `db:"reader_missing"`
}

const living = `('validated', 'registered', 'approved', 'accepted', 'manifest_ready', 'delivered', 'active', 'suspended')`

func records(ctx context.Context, rd postgres.Reader, of []Activation) ([]record, error) {
	sams, readers, ids := make([]string, len(of)), make([]string, len(of)), make([]string, len(of))
	for i, a := range of {
		sams[i], readers[i], ids[i] = a.SAM, a.Reader, a.ID
	}
	var list []record
	if err := rd.Select(ctx, &list, `
		SELECT c.id AS card_id, c.state AS card_state, c.pcid, c.manifest_no, l.reader_serial AS listed_reader, p.reader_serial AS paired_reader,
		       coalesce(x.card_id, lr.card_id) AS reader_card, r.institution_id AS produsen_id, q.lembaga, r.kind, r.machine_type,
		       coalesce(h.state IN ('delivered', 'received', 'closed'), false) AS handed_over, ac.id AS card_active, ar.id AS reader_active,
		       (SELECT m.id FROM activation m WHERE m.card_id = c.id AND `+missing+` ORDER BY m.id DESC LIMIT 1) AS card_missing,
		       (SELECT m.id FROM activation m WHERE m.reader_serial = k.reader AND `+missing+` ORDER BY m.id DESC LIMIT 1) AS reader_missing
		FROM unnest($1::text[], $2::text[], $3::uuid[]) WITH ORDINALITY AS k (sam, reader, id, n)
		LEFT JOIN card c ON c.serial = k.sam AND c.state <> 'reduced'
		LEFT JOIN listed_card l ON l.id = c.id LEFT JOIN request r ON r.id = c.request_id
		LEFT JOIN request_line q ON q.request_id = c.request_id AND q.line = l.line
		LEFT JOIN handover_card o ON o.card_id = c.id LEFT JOIN handover h ON h.id = o.handover_id
		LEFT JOIN reader_pairing p ON p.card_id = c.id
		LEFT JOIN reader_pairing x ON x.reader_serial = k.reader LEFT JOIN live_reader lr ON lr.reader_serial = k.reader
		LEFT JOIN activation ac ON ac.card_id = c.id AND ac.state IN `+living+` AND ac.id <> k.id
		LEFT JOIN activation ar ON ar.reader_serial = k.reader AND ar.state IN `+living+` AND ar.id <> k.id
		ORDER BY k.n`, pq.Array(sams), pq.Array(readers), pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("activation: what the office knows: %w", err)
	}
	if len(list) != len(of) {
		return nil, fmt.Errorf("activation: %d records for %d lines", len(list), len(of))
	}
	return list, nil
}

// check compares lines of a letter with the office's record on a day, and returns what is
// wrong with each, and the cards that the lines are about.
func check(ctx context.Context, rd postgres.Reader, l Letter, of []Activation, day clock.Date) (found []Finding, cards []*string, err error) {
	known, err := records(ctx, rd, of)
	if err != nil {
		return nil, nil, err
	}
	covered, err := institution.Covered(ctx, rd, []string{l.LembagaID}, day)
	if err != nil {
		return nil, nil, err
	}
	types, err := machineTypes(ctx, rd)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, k := range known {
		if k.Lembaga != nil {
			names = append(names, *k.Lembaga)
		}
	}
	ids, err := institution.Known(ctx, rd, names)
	if err != nil {
		return nil, nil, err
	}
	missing, err := reports(ctx, rd, known)
	if err != nil {
		return nil, nil, err
	}
	seen := map[string]int{}
	for i, a := range of {
		add := func(field, code, detail string, args ...any) {
			found = append(found, Finding{Number: a.Number, Field: field, Code: code, Detail: fmt.Sprintf(detail, args...)})
		}
		if !covered[l.LembagaID] {
			add("pks", "not_in_force", "Tidak ada PKS lembaga Anda dengan Ditjen Dukcapil yang berlaku. Perbarui PKS, lalu ajukan kembali.")
		}
		for _, serial := range []struct{ field, value string }{{"reader_serial", a.Reader}, {"sam_serial", a.SAM}} {
			key := serial.field + serial.value
			if first, twice := seen[key]; twice {
				add(serial.field, "repeated", "Nomor seri ini sudah ada pada baris %d.", first)
			}
			seen[key] = a.Number
		}
		judgeLine(l, a, known[i], ids, types, add, func(report *string, field, what, serial string) {
			if report != nil {
				found = append(found, missing[*report].finding(l, a.Number, field, what, serial))
			}
		})
		cards = append(cards, known[i].CardID)
	}
	return found, cards, nil
}

// machineTypes are the master data by code.
func machineTypes(ctx context.Context, rd postgres.Reader) (map[string]institution.MachineType, error) {
	list, err := institution.MachineTypes(ctx, rd)
	if err != nil {
		return nil, err
	}
	types := map[string]institution.MachineType{}
	for _, m := range list {
		types[m.Code] = m
	}
	return types, nil
}

// judgeLine are the rules for one line (features.md J03 to J06, J15). gone takes the report by
// which something is missing, if it is.
func judgeLine(l Letter, a Activation, k record, lembagaIDs map[string]string, types map[string]institution.MachineType,
	add func(field, code, detail string, args ...any), gone func(report *string, field, what, serial string)) {
	if m, ok := types[a.MachineType]; ok {
		if pattern, err := institution.WholeMatch(m.ReaderPattern); err != nil || !pattern.MatchString(a.Reader) {
			add("reader_serial", "wrong_form", "Nomor seri reader %s tidak sesuai bentuk nomor seri %s.", a.Reader, m.Name)
		}
	}
	if k.ReaderActive != nil {
		add("reader_serial", "active_elsewhere", "Reader %s sudah aktif atau sedang diproses pada permohonan aktivasi lain.", a.Reader)
	}
	gone(k.ReaderMissing, "reader_serial", "Reader", a.Reader)
	if k.CardID == nil {
		add("sam_serial", "unknown_value", "Kartu SAM %s tidak tercatat. Periksa nomor serinya pada BAST.", a.SAM)
		return
	}
	switch {
	case *k.ProdusenID != l.ProdusenID:
		add("sam_serial", "other_produsen", "Kartu SAM %s bukan kartu yang diserahkan kepada %s.", a.SAM, l.Produsen)
		return // what else is wrong with it is for its own produsen
	case k.Lembaga != nil && lembagaIDs[*k.Lembaga] != l.LembagaID:
		add("sam_serial", "other_lembaga", "Kartu SAM %s tidak dipersonalisasi untuk lembaga Anda.", a.SAM)
		return
	case *k.Kind != request.KindReader:
		add("sam_serial", "no_reader", "Kartu SAM %s untuk rekam cetak, bukan untuk KTP-el Reader.", a.SAM)
	case *k.CardState != "clear":
		add("sam_serial", "not_clear", "Personalisasi kartu SAM %s tidak berhasil atau belum selesai.", a.SAM)
	case !k.HandedOver:
		add("sam_serial", "not_handed_over", "Kartu SAM %s belum diserahkan kepada produsen.", a.SAM)
	}
	if k.CardActive != nil {
		add("sam_serial", "active_elsewhere", "Kartu SAM %s sudah aktif atau sedang diproses pada permohonan aktivasi lain.", a.SAM)
	}
	gone(k.CardMissing, "sam_serial", "Kartu SAM", a.SAM)
	if a.Origin != a.SAM {
		add("origin_no", "differs", "Nomor asal SAM tidak sesuai catatan. Salin dari BAST.")
	}
	if k.PCID == nil || *k.PCID != a.PCID {
		add("pcid", "differs", "PCID tidak sesuai catatan. Salin dari laporan hasil personalisasi.")
	}
	if k.ManifestNo == nil || !strings.EqualFold(*k.ManifestNo, a.Perso) {
		add("perso_no", "differs", "Nomor SAM hasil perso tidak sesuai catatan. Salin dari BAST atau laporan hasil personalisasi.")
	}
	if *k.MachineType != a.MachineType {
		add("machine_type", "differs", "Jenis reader tidak sama dengan Jenis Mesin pada permohonan personalisasi kartunya.")
	}
	pairing(a, k, add)
}

// pairing compares reader and card with the request's list or, where that had no reader,
// with what was recorded since (features.md J03, J04).
func pairing(a Activation, k record, add func(field, code, detail string, args ...any)) {
	listed := ""
	switch {
	case k.Paired != nil:
		listed = *k.Paired
	case k.Listed != nil:
		listed = *k.Listed
	}
	switch {
	case listed == "":
		add("reader_serial", "not_paired", "Daftar kartu tidak menyebut reader untuk kartu SAM %s. Minta produsen mencatat pasangannya dahulu.", a.SAM)
	case listed != a.Reader:
		add("reader_serial", "other_pair", "Kartu SAM %s tercatat untuk reader lain.", a.SAM)
	case k.ReaderCard != nil && *k.ReaderCard != *k.CardID:
		add("reader_serial", "other_pair", "Reader %s tercatat dengan kartu SAM lain.", a.Reader)
	}
}

// readerFree returns ErrReaderTaken for a reader that belongs to another card, in a living
// activation, in a list or by a recorded pairing, and ErrReaderMissing for one that was
// reported lost or stolen.
func readerFree(ctx context.Context, rd postgres.Reader, reader, cardID string) error {
	var is struct {
		Taken   bool `db:"taken"`
		Missing bool `db:"missing"`
	}
	err := rd.Get(ctx, &is, `
		SELECT EXISTS (SELECT FROM activation WHERE reader_serial = $1 AND state IN `+living+`)
		    OR EXISTS (SELECT FROM reader_pairing WHERE reader_serial = $1 AND card_id <> $2)
		    OR EXISTS (SELECT FROM live_reader WHERE reader_serial = $1 AND card_id <> $2)
		    OR EXISTS (SELECT FROM register_standing WHERE reader_serial = $1) AS taken,
		       EXISTS (SELECT FROM activation m WHERE m.reader_serial = $1 AND `+missing+`) AS missing`, reader, cardID)
	switch {
	case err != nil:
		return fmt.Errorf("activation: where a reader is: %w", err)
	case is.Missing:
		return ErrReaderMissing
	case is.Taken:
		return ErrReaderTaken
	}
	return nil
}

// oneClaims lets one transaction at a time claim readers and cards, so that of two who
// claim one at once the second sees the first.
func oneClaims(ctx context.Context, tx *postgres.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('activation claims'))`); err != nil {
		return fmt.Errorf("activation: claiming: %w", err)
	}
	return nil
}

// Judge checks the submitted lines of a letter: those that are right go on, each that is
// wrong comes back alone with its findings. It says how many did either; none of both when
// nothing was waiting. The actor is the validator.
func Judge(ctx context.Context, tx *postgres.Tx, letterID string, c request.Change) (passed, returned int, err error) {
	if err := oneClaims(ctx, tx); err != nil {
		return 0, 0, err
	}
	l, err := LockID(ctx, tx, letterID)
	if err != nil {
		return 0, 0, err
	}
	of, err := lines(ctx, tx, `WHERE a.letter_id = $1 AND a.state = 'submitted' ORDER BY a.line`, letterID)
	if err != nil || len(of) == 0 {
		return 0, 0, err
	}
	found, cards, err := check(ctx, tx, l, of, clock.DateOf(c.OfficeAt))
	if err != nil {
		return 0, 0, err
	}
	wrong := map[int][]Finding{}
	for _, f := range found {
		wrong[f.Number] = append(wrong[f.Number], f)
	}
	var good, bad []Activation
	var goodCards, reasons []string
	for i, a := range of {
		if len(wrong[a.Number]) == 0 {
			good, goodCards = append(good, a), append(goodCards, *cards[i])
			continue
		}
		bad, reasons = append(bad, a), append(reasons, reasonOf(wrong[a.Number]))
	}
	if len(bad) > 0 {
		if err := keepFindings(ctx, tx, bad, wrong); err != nil {
			return 0, 0, err
		}
		if err := takeEach(ctx, tx, bad, VerbReturn, c, reasons, "disposed_on = NULL"); err != nil {
			return 0, 0, err
		}
	}
	if len(good) > 0 {
		if err := take(ctx, tx, good, VerbValidate, c, `card_id = ($6::uuid[])[array_position($5::uuid[], a.id)]`, pq.Array(idsOf(good)), pq.Array(goodCards)); err != nil {
			return 0, 0, err
		}
	}
	return len(good), len(bad), nil
}

// reasonOf is what the timeline says of a line that comes back.
func reasonOf(found []Finding) string {
	if len(found) == 1 {
		return found[0].Detail
	}
	return fmt.Sprintf("%s Dan %d temuan lain.", found[0].Detail, len(found)-1)
}

// keepFindings writes what was found in lines, by their numbers; one statement, however many.
func keepFindings(ctx context.Context, tx *postgres.Tx, of []Activation, wrong map[int][]Finding) error {
	var ids, fields, codes, details, offices []string
	var submissions, ordinals []int64
	for _, a := range of {
		for i, f := range wrong[a.Number] {
			ids, submissions, ordinals = append(ids, a.ID), append(submissions, int64(a.Submission)), append(ordinals, int64(i+1))
			fields, codes, details, offices = append(fields, f.Field), append(codes, f.Code), append(details, f.Detail), append(offices, f.Office)
		}
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO activation_finding (activation_id, submission, ordinal, field, code, detail, office)
		SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[])`,
		pq.Array(ids), pq.Array(submissions), pq.Array(ordinals), pq.Array(fields), pq.Array(codes), pq.Array(details), pq.Array(offices)); err != nil {
		return fmt.Errorf("activation: findings: %w", err)
	}
	return nil
}

// Findings returns what was found in the newest submission of a letter's lines that were
// returned, in their order.
func Findings(ctx context.Context, rd postgres.Reader, letterID string) ([]Finding, error) {
	list := []Finding{}
	if err := rd.Select(ctx, &list, `
		SELECT a.line, f.field, f.code, f.detail, f.office FROM activation a JOIN activation_finding f ON f.activation_id = a.id AND f.submission = a.submission
		WHERE a.letter_id = $1 AND a.state = 'returned' ORDER BY a.line, f.ordinal`, letterID); err != nil {
		return nil, fmt.Errorf("activation: findings: %w", err)
	}
	return list, nil
}
