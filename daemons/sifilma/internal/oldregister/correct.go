package oldregister

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// Amendment is what a person asks to be corrected of the register. It is told first
// and done when it is asked for again with the code that was told.
type Amendment struct {
	By, Reason string
	// Entry names the row by one of its numbers, such as "seri=SAM-00001".
	Entry string
	// Changes are columns with what they ought to say, such as "pcid=…"; an empty one
	// tells nothing any more.
	Changes  []string
	Withdraw bool // the row ought not to be there at all
	Confirm  string
	Now      time.Time
}

// Errors of Correct; their words are the whole answer.
var (
	errAmendment = errors.New("-by, -reason, -entry, dan perubahannya (KOLOM=ISI, atau -withdraw) wajib diisi")
	errBoth      = errors.New("-withdraw menarik seluruh baris: jangan sertakan perubahan kolom")
	errChanged   = errors.New("kode -confirm tidak cocok: isi register atau perintahnya berbeda dari yang diperiksa. Jalankan tanpa -confirm, periksa, lalu pakai kode yang baru")
	errSame      = errors.New("tidak ada yang berubah: baris itu sudah berisi demikian")
	errClash     = errors.New("koreksi tidak dapat dilakukan; tidak ada yang ditulis")
)

var (
	// ErrBusy says that the office was writing for longer than an import waits.
	ErrBusy = errors.New("kantor sedang menulis nomor seri dan nomor kartu, dan belum selesai dalam " +
		fmt.Sprint(int(register.LongestWait/time.Second)) + " detik; tidak ada yang ditulis. Ulangi beberapa saat lagi")
	// ErrTaken says that the office took a number since it was compared.
	ErrTaken = errors.New("ada nomor yang baru saja dipakai kantor; tidak ada yang ditulis. Ulangi untuk melihat yang mana")
)

// columnNames are the columns as a person types them.
var columnNames = []struct {
	name string
	column
}{
	{"seri", serial}, {"pcid", pcid}, {"manifest", manifestNo}, {"reader", readerSerial}, {"chip", chipID},
	{"produsen", produsen}, {"lembaga", lembaga}, {"tanggal", issuedOn}, {"keterangan", remarks},
}

// ColumnNames lists them.
func ColumnNames() string {
	names := make([]string, len(columnNames))
	for i, c := range columnNames {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// split reads KOLOM=ISI.
func split(text string) (c column, value string, err error) {
	name, value, found := strings.Cut(text, "=")
	for _, one := range columnNames {
		if found && strings.EqualFold(strings.TrimSpace(name), one.name) {
			return one.column, value, nil
		}
	}
	return "", "", fmt.Errorf("%q tidak dikenal. Tulis KOLOM=ISI dengan salah satu kolom: %s", text, ColumnNames())
}

// amend puts what was typed into an entry, by the rules of a list's cells.
func amend(e register.Entry, changes []string, today clock.Date) (register.Entry, error) {
	r := &sheetReader{today: today, faults: newFaults(), warning: newFaults()}
	for _, text := range changes {
		c, value, err := split(text)
		if err != nil {
			return e, err
		}
		cell := xlsx.Cell{Row: 1, Col: 1, Kind: xlsx.Text, Text: value, Raw: value}
		if strings.TrimSpace(value) == "" {
			cell.Kind = xlsx.Empty
		}
		switch c {
		case produsen:
			e.Produsen = r.words(c, cell)
		case lembaga:
			e.Lembaga = r.words(c, cell)
		case remarks:
			e.Remarks = r.words(c, cell)
		case issuedOn:
			e.IssuedOn = r.date(cell)
		default:
			number, _ := r.number(c, cell)
			set(&e, c, number)
		}
	}
	for _, p := range r.faults.order {
		return e, errors.New(p.detail)
	}
	for _, f := range register.Fields {
		if e.Value(f) != "" {
			return e, nil
		}
	}
	return e, errors.New("tidak ada nomor yang tersisa pada baris itu; pakai -withdraw bila barisnya memang keliru")
}

// Correct tells what a correction would do, with a code, or does it, and writes a
// report, in Indonesian, to out. It needs the owner of the schema.
func Correct(ctx context.Context, db *postgres.DB, a Amendment, out io.Writer) error {
	switch {
	case strings.TrimSpace(a.By) == "" || strings.TrimSpace(a.Reason) == "" || a.Entry == "" || !a.Withdraw && len(a.Changes) == 0:
		return errAmendment
	case a.Withdraw && len(a.Changes) > 0:
		return errBoth
	}
	at, err := amend(register.Entry{}, []string{a.Entry}, clock.DateOf(a.Now))
	if err != nil {
		return err
	}
	var told string
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		var b strings.Builder
		err := a.take(ctx, tx, at, &b)
		told = b.String()
		return err
	})
	switch {
	case errors.Is(err, errKeepNothing):
		err = nil
	case errors.Is(err, postgres.ErrStale):
		err = errChanged
	case errors.Is(err, register.ErrUnchanged):
		err = errSame
	default:
		err = plain(err)
	}
	if _, werr := io.WriteString(out, told); werr != nil {
		return werr
	}
	return err
}

// plain puts the register's errors that people can do something about into words.
func plain(err error) error {
	switch {
	case errors.Is(err, register.ErrBusy):
		return ErrBusy
	case errors.Is(err, register.ErrTaken):
		return ErrTaken
	}
	return err
}

func (a Amendment) take(ctx context.Context, tx *postgres.Tx, at register.Entry, b *strings.Builder) error {
	c := register.Correction{Reason: a.Reason, By: a.By, At: a.Now, Dry: a.Confirm == ""}
	var err error
	for _, f := range register.Fields {
		if at.Value(f) != "" {
			c.Of, err = register.Find(ctx, tx, f, at.Value(f))
		}
	}
	if errors.Is(err, register.ErrNotFound) {
		return fmt.Errorf("tidak ada baris register yang berlaku dengan %s", a.Entry)
	}
	if err != nil {
		return err
	}
	if !a.Withdraw {
		to, err := amend(c.Of.Entry, a.Changes, clock.DateOf(a.Now))
		if err != nil {
			return err
		}
		c.To = &to
	}
	past, err := register.History(ctx, tx, c.Of)
	if err != nil {
		return err
	}
	describe(b, c, past)
	code := confirmation(c)
	if a.Confirm != "" && !strings.EqualFold(a.Confirm, code) {
		return errChanged
	}
	err = register.Correct(ctx, tx, c)
	var clash *register.ClashError
	if errors.As(err, &clash) {
		for _, one := range clash.Clashes {
			fmt.Fprintf(b, "  Kesalahan: %s\n", amendmentClash(one))
		}
		return errClash
	}
	switch {
	case err != nil:
		return err
	case c.Dry:
		fmt.Fprintf(b, "Belum ada yang ditulis. Bila semuanya benar, jalankan perintah yang sama ditambah -confirm %s\n", code)
		return errKeepNothing
	case c.To == nil:
		b.WriteString("Ditarik: baris itu tidak berlaku lagi. Isinya tetap tersimpan sebagai riwayat.\n")
	default:
		fmt.Fprintf(b, "Dikoreksi: edisi %d berlaku. Isi yang lama tetap tersimpan sebagai riwayat.\n", c.Of.Edition+1)
	}
	return nil
}

// describe tells the row, what was corrected of it before, and what is to change.
func describe(b *strings.Builder, c register.Correction, past []register.Past) {
	fmt.Fprintf(b, "Baris %d", c.Of.Row)
	if c.Of.Sheet != "" {
		fmt.Fprintf(b, " lembar \"%s\"", c.Of.Sheet)
	}
	fmt.Fprintf(b, " berkas %s (diimpor %s oleh %s), edisi %d\n", c.Of.File, stamp(&c.Of.ImportedAt), c.Of.ImportedBy, c.Of.Edition)
	for _, p := range past {
		fmt.Fprintf(b, "  Edisi %d dikoreksi %s oleh %s: %s\n", p.Edition, stamp(&p.At), p.By, p.Reason)
	}
	for _, one := range columnNames {
		was, is := text(c.Of.Entry, one.column), ""
		if c.To != nil {
			is = text(*c.To, one.column)
		}
		switch {
		case was == is && was != "":
			fmt.Fprintf(b, "  %s: %s (tetap)\n", labels[one.column], was)
		case was != is:
			fmt.Fprintf(b, "  %s: %s -> %s\n", labels[one.column], orNone(was), orNone(is))
		}
	}
	fmt.Fprintf(b, "  Alasan: %s\n  Penanggung jawab: %s\n", strings.TrimSpace(c.Reason), strings.TrimSpace(c.By))
}

func orNone(s string) string {
	if s == "" {
		return "(tidak ada)"
	}
	return s
}

// text is what an entry says in a column.
func text(e register.Entry, c column) string {
	switch c {
	case produsen:
		return e.Produsen
	case lembaga:
		return e.Lembaga
	case issuedOn:
		return e.IssuedOn.String()
	case remarks:
		return e.Remarks
	}
	return e.Value(register.Field(c))
}

// confirmation is a code that holds for exactly this correction of exactly this row.
func confirmation(c register.Correction) string {
	sum := sha256.New()
	to := register.Entry{}
	if c.To != nil {
		to = *c.To
	}
	_, _ = fmt.Fprintf(sum, "%q %q %d %d %q %q %q %q", c.Of.ImportID, c.Of.Sheet, c.Of.Row, c.Of.Edition, fmt.Sprint(c.Of.Entry), fmt.Sprint(to),
		strings.TrimSpace(c.Reason), strings.TrimSpace(c.By))
	return hex.EncodeToString(sum.Sum(nil)[:4])
}

// amendmentClash says what keeps a row from being as it ought to be.
func amendmentClash(one register.Clash) string {
	if one.Kind != register.Differs {
		return clashText(one, nil, true)
	}
	place := "berkas " + one.Other
	if one.OtherSheet != "" {
		place += fmt.Sprintf(", lembar \"%s\"", one.OtherSheet)
	}
	return fmt.Sprintf("%s %s sudah ada pada baris lain register (%s, baris %d). Koreksi atau tarik baris itu dahulu.",
		labels[column(one.Field)], one.Value, place, one.OtherRow)
}
