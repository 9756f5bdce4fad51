// Package validation judges a submission before any person spends time on it:
// the card list against its rules, the form against the list, the purchase
// orders and the PKS (features.md I03-I08, N20, N21). It writes the table
// finding.
package validation

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Check judges a submission by its form and its card list. r has its lines and
// orders; today is the office's day. The error is the database's.
func Check(ctx context.Context, rd postgres.Reader, r request.Request, list List, today clock.Date) ([]Finding, error) {
	c := &check{ctx: ctx, rd: rd, r: r, list: list, today: today, cells: newGrouped()}
	c.found = append(c.found, list.Faults...)
	for _, rule := range []func() error{c.machine, c.cards, c.counts, c.name, c.purchaseOrders, c.agreement} {
		if err := rule(); err != nil {
			return nil, err
		}
	}
	return c.found, nil
}

// Cards are the rows of a list as they are stored: each is given to the line of
// its lembaga by the quantities of the lines, in their order.
func Cards(r request.Request, list List) []cardlist.Row {
	rows := make([]cardlist.Row, list.Len())
	line, left := 0, 0
	for i, row := range list.Rows() {
		for left == 0 && line < len(r.Lines) {
			left = r.Lines[line].Quantity
			line++
		}
		left--
		rows[i] = row.Row
		rows[i].Line = max(line, 1)
	}
	return rows
}

// Taken makes findings of cards and readers that another request has, or that were
// issued already.
func Taken(list List, taken []cardlist.Taken) []Finding {
	serials, readers := map[string]cardlist.Taken{}, map[string]cardlist.Taken{}
	note := func(of map[string]cardlist.Taken, number string, t cardlist.Taken) {
		if earlier, ok := of[number]; number != "" && (!ok || earlier.Alike) { // the number itself tells more
			of[number] = t
		}
	}
	for _, t := range taken {
		note(serials, t.Serial, t)
		note(readers, t.ReaderSerial, t)
	}
	cells := newGrouped()
	if len(taken) == 0 {
		return nil
	}
	for _, row := range list.Rows() {
		serialColumn, readerColumn := list.columns[cardlist.HeaderSerial], list.columns[cardlist.HeaderReaderSerial]
		switch t, ok := serials[row.Serial]; {
		case !ok:
		case t.Alike:
			cells.at("serial_like_issued", serialColumn, row.At, "No. Seri Kartu SAM hanya berbeda tanda pemisahnya (spasi, titik, tanda hubung) "+
				"dari nomor kartu yang sudah pernah diterbitkan.")
		case t.Personalised:
			cells.at("serial_personalised", serialColumn, row.At, "kartu dengan nomor seri ini sudah pernah dipersonalisasi.")
		default:
			cells.at("serial_in_use", serialColumn, row.At, "No. Seri Kartu SAM sudah tercatat pada permohonan lain.")
		}
		switch t, ok := readers[row.ReaderSerial]; {
		case !ok:
		case t.Alike:
			cells.at("reader_serial_like_issued", readerColumn, row.At, "No. Seri Reader hanya berbeda tanda pemisahnya (spasi, titik, tanda hubung) "+
				"dari nomor reader yang sudah pernah diberi kartu SAM.")
		case t.Personalised:
			cells.at("reader_serial_issued", readerColumn, row.At, readerIssuedText)
		default:
			cells.at("reader_serial_in_use", readerColumn, row.At, "No. Seri Reader sudah tercatat pada permohonan lain.")
		}
	}
	return cells.findings()
}

const readerIssuedText = "reader dengan nomor seri ini sudah pernah diberi kartu SAM. " +
	"Cantumkan No. Seri Reader yang belum pernah diberi kartu SAM."

// Summary is the reason that a returned request bears, in one sentence or two.
func Summary(found []Finding) string {
	faults := Errors(found)
	if len(faults) == 0 {
		return ""
	}
	if len(faults) == 1 {
		return "Pemeriksaan berkas menemukan 1 kesalahan. " + faults[0].Detail
	}
	return fmt.Sprintf("Pemeriksaan berkas menemukan %d kesalahan. Yang pertama: %s", len(faults), faults[0].Detail)
}

// check is one judgement.
type check struct {
	ctx   context.Context
	rd    postgres.Reader
	r     request.Request
	list  List
	today clock.Date
	cells *grouped
	found []Finding
	known map[string]string // institutions by the names of the form

	machineType *institution.MachineType // nil when the form's is not known
}

func (c *check) fault(code, pointer, detail string, args ...any) {
	c.found = append(c.found, Finding{Code: code, Severity: Error, Pointer: pointer, Detail: fmt.Sprintf(detail, args...)})
}

// machine finds the machine type, which rules the form of the serials.
func (c *check) machine() error {
	m, err := institution.MachineTypeByCode(c.ctx, c.rd, c.r.MachineType)
	if errors.Is(err, institution.ErrNotFound) {
		c.fault("machine_type_unknown", "/machine_type", "Jenis Mesin \"%s\" tidak ada dalam data induk.", c.r.MachineType)
		return nil
	}
	if err != nil {
		return err
	}
	c.machineType = &m
	if m.UsesReader != (c.r.Kind == request.KindReader) {
		c.fault("machine_type_kind", "/machine_type", "Jenis Mesin \"%s\" tidak sesuai dengan jenis permohonan %s.",
			m.Name, request.KindLabels[c.r.Kind])
	}
	return nil
}

// cards judges the cards of the list by themselves, and meanwhile the database
// compares them with all others.
func (c *check) cards() error {
	ctx, stop := context.WithCancel(c.ctx)
	var taken []cardlist.Taken
	var asking error
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		defer func() {
			if p := recover(); p != nil { // as whoever called Check would
				asking = fmt.Errorf("validation: panic: %v\n%s", p, debug.Stack())
			}
		}()
		taken, asking = c.inUse(ctx)
	}()
	// Whatever becomes of the rules, the connection is the caller's again.
	defer func() { stop(); <-asked }()
	if err := c.serials(); err != nil {
		return err
	}
	<-asked
	if asking != nil {
		return asking
	}
	c.found = append(c.found, Taken(c.list, taken)...)
	return nil
}

// serials checks forms, the presence of reader serials and repetitions. It asks
// the database nothing.
func (c *check) serials() error {
	if c.machineType == nil {
		return nil
	}
	m := *c.machineType
	serialForm, err := cardlist.WholeMatch(m.SAMPattern)
	if err != nil {
		return err
	}
	readerForm, err := cardlist.WholeMatch(m.ReaderPattern)
	if err != nil {
		return err
	}
	readerColumn := c.list.columns[cardlist.HeaderReaderSerial]
	if m.UsesReader && readerColumn == "" && !c.list.Unreadable {
		c.fault("header_missing", wholeList, "Kepala kolom \"%s\" tidak ditemukan pada lembar \"%s\".",
			cardlist.HeaderReaderSerial, cardlist.Sheet)
	}
	serialColumn := c.list.columns[cardlist.HeaderSerial]
	for _, row := range c.list.Rows() {
		if row.Serial != "" && !serialForm.MatchString(row.Serial) {
			c.cells.at("serial_form", serialColumn, row.At, "bentuk No. Seri Kartu SAM tidak sesuai dengan Jenis Mesin "+m.Name+"."+examples(m.SAMExamples))
		}
		switch {
		case m.UsesReader && readerColumn == "":
		case m.UsesReader && row.ReaderSerial == "":
			if !row.readerRefused {
				c.cells.at("reader_serial_missing", readerColumn, row.At, "No. Seri Reader kosong.")
			}
		case m.UsesReader && !readerForm.MatchString(row.ReaderSerial):
			c.cells.at("reader_serial_form", readerColumn, row.At, "bentuk No. Seri Reader tidak sesuai dengan Jenis Mesin "+m.Name+"."+examples(m.ReaderExamples))
		case !m.UsesReader && row.ReaderSerial != "":
			c.cells.at("reader_serial_unexpected", readerColumn, row.At, "No. Seri Reader harus kosong untuk "+m.Name+".")
		}
	}
	c.repeated(serialColumn, cardlist.HeaderSerial, "serial_repeated", serialText)
	if m.UsesReader {
		c.repeated(readerColumn, cardlist.HeaderReaderSerial, "reader_serial_repeated", readerText)
	}
	if column := c.list.columns[cardlist.HeaderUID]; column != "" {
		c.repeated(column, cardlist.HeaderUID, "uid_repeated", uidText)
	}
	c.found = append(c.found, c.cells.findings()...)
	return nil
}

// mostShown is how many examples of a serial a finding shows.
const mostShown = 3

// examples shows serials as they should be, after a sentence that says they are
// not; nothing when the machine type has none.
func examples(serials []string) string {
	if len(serials) == 0 {
		return ""
	}
	return " Contoh yang benar: " + strings.Join(serials[:min(len(serials), mostShown)], ", ") + "."
}

// mostNamed is how many repeated values are named one by one.
const mostNamed = 5

// repeated finds values that stand in the list more than once; which is the text
// of a row.
func (c *check) repeated(column, name, code string, which int) {
	rows := &c.list.rows
	first := newFirstRows(rows.n, func(i int) string { return rows.text(i, which) })
	type repetition struct{ row, of int32 }
	var again []repetition
	for i := range rows.n {
		if rows.text(i, which) == "" {
			continue
		}
		if of := first.put(i); of != i {
			again = append(again, repetition{int32(i), int32(of)})
		}
	}
	for _, r := range again {
		detail := name + " sudah ada pada baris sebelumnya."
		if len(again) <= mostNamed {
			detail = fmt.Sprintf("%s %s sudah ada di sel %s%d.", name, rows.text(int(r.row), which), column, rows.sheetRow(int(r.of)))
		}
		c.cells.at(code, column, rows.sheetRow(int(r.row)), detail)
	}
}

// askedAtOnce is how many cards are looked up with one question: the text of all
// of a long list takes as much memory as the list, several times over.
const askedAtOnce = 2000

// inUse finds serials of other requests, and cards and readers that were issued
// before day one, also when written with other separators. Whose they are is not told.
func (c *check) inUse(ctx context.Context) (taken []cardlist.Taken, err error) {
	size := min(askedAtOnce, c.list.Len())
	serials, readers := make([]string, 0, size), make([]string, 0, size)
	ask := func() error {
		if len(serials)+len(readers) == 0 {
			return nil
		}
		some, err := cardlist.InUse(ctx, c.rd, c.r.ID, serials, readers)
		taken = append(taken, some...)
		serials, readers = serials[:0], readers[:0]
		return err
	}
	for i, row := range c.list.Rows() {
		if i > 0 && i%askedAtOnce == 0 {
			if err := ask(); err != nil {
				return nil, err
			}
		}
		if row.Serial != "" {
			serials = append(serials, row.Serial)
		}
		if row.ReaderSerial != "" {
			readers = append(readers, row.ReaderSerial)
		}
	}
	err = ask()
	return taken, err
}

// counts compares the stated count with the list and the lines (features.md
// N21).
func (c *check) counts() error {
	if n := c.list.Len(); n > 0 && !c.list.Unreadable && n != c.r.CardCount { // an empty list is a finding of its own
		c.fault("card_count", "/card_count", "Jumlah Kartu SAM yang diajukan %d, sedangkan daftar kartu berisi %d.", c.r.CardCount, n)
	}
	sum := 0
	for _, l := range c.r.Lines {
		sum += l.Quantity
	}
	if len(c.r.Lines) > 0 && sum != c.r.CardCount {
		c.fault("lines_count", "/lines", "Jumlah kartu seluruh lembaga pengguna %d, sedangkan Jumlah Kartu SAM yang diajukan %d.", sum, c.r.CardCount)
	}
	return nil
}
