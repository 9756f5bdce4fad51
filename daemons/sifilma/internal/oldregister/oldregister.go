// Package oldregister imports and corrects the office's old register: lists in XLSX or CSV of
// what was issued before this system's first day. A file goes in as a whole or not
// at all, in one transaction; what the register has already is left as it is.
package oldregister

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
)

// Order is what a person asks to be imported.
type Order struct {
	By    string // who answers for it
	Files []string
	Sheet string // of XLSX files; empty for all that have a header
	Dry   bool   // report only
	Now   time.Time
}

// Errors of Run; the report says the rest.
var (
	ErrOrder  = errors.New("-by dan sedikitnya satu berkas wajib diisi")
	ErrFaulty = errors.New("ada berkas yang tidak diimpor karena berisi kesalahan")
)

// Timeout bounds the import of one file.
const Timeout = 15 * time.Minute

// batch is how many rows go to the database at a time.
const batch = 5000

// errKeepNothing ends a transaction that must leave nothing.
var errKeepNothing = errors.New("nothing is kept")

// Run imports the files one after another and writes a report on each, in
// Indonesian, to out. A file with faults leaves nothing behind and does not keep
// the others from going in; ErrFaulty then. It needs the owner of the schema.
func Run(ctx context.Context, db *postgres.DB, o Order, out io.Writer) error {
	if strings.TrimSpace(o.By) == "" || len(o.Files) == 0 {
		return ErrOrder
	}
	faulty := 0
	for _, path := range o.Files {
		r, err := importFile(ctx, db, o, path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if !r.found.faults.none() {
			faulty++
		}
		if _, err := io.WriteString(out, r.text(o.Dry)); err != nil {
			return err
		}
	}
	if faulty > 0 {
		return ErrFaulty
	}
	return nil
}

// result is what became of a file.
type result struct {
	name    string
	sum     [sha256.Size]byte
	found   contents
	against register.Comparison
	added   int
}

func importFile(ctx context.Context, db *postgres.DB, o Order, path string) (r result, err error) {
	f, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer func() { _ = f.Close() }() // only read
	sum := sha256.New()
	size, err := io.Copy(sum, io.LimitReader(f, mostBytes+1)) // a longer one is refused by its size
	if err != nil {
		return r, err
	}
	r.name = filepath.Base(path)
	copy(r.sum[:], sum.Sum(nil))
	reader := &fileReader{file: f, size: size, sheet: o.Sheet, today: clock.DateOf(o.Now)}
	take := func() error {
		return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return r.take(ctx, tx, reader, o) })
	}
	if err = take(); errors.Is(err, register.ErrTaken) {
		err = take() // the comparison tells now what the office took meanwhile
	}
	if errors.Is(err, errKeepNothing) {
		err = nil
	}
	return r, plain(err)
}

// take reads the file, compares it and stores it, from the beginning however often
// the transaction is run.
func (r *result) take(ctx context.Context, tx *postgres.Tx, reader *fileReader, o Order) error {
	in, err := register.Begin(ctx, tx)
	if err != nil {
		return err
	}
	var entries []register.Entry
	r.found, err = reader.read(func(e register.Entry) error {
		if entries = append(entries, e); len(entries) < batch {
			return nil
		}
		err := in.Add(ctx, entries)
		entries = entries[:0]
		return err
	})
	if err != nil {
		return err
	}
	if err := in.Add(ctx, entries); err != nil {
		return err
	}
	// No other import waits for a file that will not go in.
	if !o.Dry && r.found.faults.none() {
		if err := in.Hold(ctx); err != nil {
			return err
		}
	}
	if r.against, err = in.Compare(ctx); err != nil {
		return err
	}
	r.found.clashes(r.against)
	if o.Dry || !r.found.faults.none() {
		return errKeepNothing
	}
	r.added, err = in.Store(ctx, register.Source{SHA256: r.sum, File: r.name, By: o.By, At: o.Now})
	return err
}

// mostLines bounds the lines of a report on one file's faults.
const mostLines = 200

// text is the report on a file.
func (r *result) text(dry bool) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("Berkas %s (SHA-256 %s)", r.name, hex.EncodeToString(r.sum[:]))
	for _, s := range r.found.sheets {
		place := ""
		if s.name != "" {
			place = fmt.Sprintf("Lembar \"%s\": ", s.name)
		}
		say("  %skepala kolom di baris %d, %d baris data. Dibaca: %s.", place, s.header.row, s.rows, strings.Join(s.header.read(), ", "))
		if len(s.header.unread) > 0 {
			say("    Tidak dibaca: \"%s\".", strings.Join(s.header.unread, "\", \""))
		}
	}
	if len(r.found.passed) > 0 && len(r.found.sheets) > 0 {
		say("  Lembar tanpa kepala kolom yang dikenal, dilewati: %s.", strings.Join(r.found.passed, ", "))
	}
	r.list(say, "Peringatan", r.found.warnings)
	if !r.found.faults.none() {
		r.list(say, "Kesalahan", r.found.faults)
		say("  TIDAK DIIMPOR: tidak satu baris pun masuk selama berkas ini berisi kesalahan. Perbaiki, lalu ulangi.")
		return b.String()
	}
	if r.against.Known > 0 {
		say("  %d baris sudah ada dalam register dan dibiarkan.", r.against.Known)
	}
	if r.against.Past > 0 {
		say("  %d baris sama dengan isi register yang sudah dikoreksi atau ditarik, dan dilewati.", r.against.Past)
	}
	fresh := r.against.Rows - r.against.Known - r.against.Past
	switch {
	case fresh == 0:
		say("  Tidak ada yang baru: 0 baris diimpor.")
	case dry:
		say("  Uji coba: %d baris dapat diimpor; tidak ada yang ditulis.", fresh)
	default:
		say("  %d baris diimpor.", r.added)
	}
	return b.String()
}

func (r *result) list(say func(string, ...any), title string, f *faults) {
	if f.none() {
		return
	}
	lines := f.lines()
	say("  %s (%d):", title, len(lines))
	for _, line := range lines[:min(len(lines), mostLines)] {
		say("  - %s", line)
	}
	if n := len(lines) - mostLines; n > 0 {
		say("  - dan %d lagi.", n)
	}
}
