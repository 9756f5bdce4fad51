package validation

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// Why there is no list to hand back.
var (
	// ErrNotJudged says that the newest submission waits for its judgement.
	ErrNotJudged = errors.New("validation: the submission is not judged yet")
	// ErrNoFindings says that there is nothing to mark.
	ErrNoFindings = errors.New("validation: the submission has no finding")
	// ErrOwnTurn says that other lists of the same institution were being marked for
	// as long as the caller would wait.
	ErrOwnTurn = errors.New("validation: the institution has its place in use")
)

// UnmarkableError says that the card list cannot be opened, so that nothing can
// be marked in it.
type UnmarkableError struct {
	// Detail is an Indonesian sentence.
	Detail string
	cause  error
}

// Error says why in English, for logs.
func (e *UnmarkableError) Error() string {
	return fmt.Sprintf("validation: the card list cannot be marked: %v", e.cause)
}

// Unwrap returns what the workbook is refused for.
func (e *UnmarkableError) Unwrap() error { return e.cause }

// Colours of marks, unlike those that spreadsheets offer: a cell that has one is
// taken for one that an earlier hand-back marked.
const (
	fillError   = "FFB8C1"
	fillWarning = "FFE9A6"
)

// marksAuthor signs the comments.
const marksAuthor = "SI-FILMA"

// PageName is the sheet of a list that was handed back with the findings.
const PageName = "Temuan"

const pageTitle = "Temuan pemeriksaan SI-FILMA"

// unopened are the findings on a file that no spreadsheet program of ours opens.
var unopened = func() map[string]bool {
	codes := map[string]bool{"list_missing": true}
	for _, c := range []xlsx.Code{xlsx.NotWorkbook, xlsx.OldExcel, xlsx.Binary, xlsx.OpenDocument, xlsx.PlainText, xlsx.Encrypted,
		xlsx.Macro, xlsx.Damaged, xlsx.TooLarge} {
		codes[codeOf(c)] = true
	}
	return codes
}()

// Markable says whether a submission with these findings can be handed back with
// its wrong cells marked.
func Markable(found []Finding) bool {
	return len(found) > 0 && !slices.ContainsFunc(found, func(f Finding) bool { return unopened[f.Code] })
}

// Marker hands card lists back with their wrong cells marked. Each in hand costs
// memory, so it lets few in at a time, and of one institution one: those of the
// others wait behind no more than that.
type Marker struct {
	slots chan struct{}
	// own is the place of each institution, chan struct{} by its id. Only known
	// institutions have requests, so that their number is bounded.
	own sync.Map
}

// NewMarker returns a marker that works on so many lists at once.
func NewMarker(atOnce int) *Marker { return &Marker{slots: make(chan struct{}, atOnce)} }

// turn waits for a place for a list of the institution, until wait ends. leave
// gives it back.
func (m *Marker) turn(wait context.Context, institutionID string) (leave func(), err error) {
	place, _ := m.own.LoadOrStore(institutionID, make(chan struct{}, 1))
	own := place.(chan struct{})
	select {
	case own <- struct{}{}:
	case <-wait.Done():
		return nil, fmt.Errorf("%w: %w", ErrOwnTurn, wait.Err())
	}
	select {
	case m.slots <- struct{}{}:
		return func() { <-m.slots; <-own }, nil
	case <-wait.Done():
		<-own
		return nil, wait.Err()
	}
}

// HandBack returns the card list of the request's newest submission with its
// findings marked in it. It waits for its turn until wait ends. Errors:
// ErrNotJudged, ErrNoFindings, ErrOwnTurn, *UnmarkableError, or wait's.
func (m *Marker) HandBack(ctx, wait context.Context, rd postgres.Reader, r request.Request) ([]byte, error) {
	if r.State == request.Submitted || r.State == request.Resubmitted {
		return nil, ErrNotJudged
	}
	// The findings themselves are read in turn: those who wait hold none.
	if some, err := Any(ctx, rd, r.ID, r.Submission); err != nil || !some {
		return nil, cmp.Or(err, ErrNoFindings)
	}
	files, err := request.Files(ctx, rd, r)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(files, func(f request.File) bool { return f.Kind == request.FileCardList })
	if i < 0 {
		return nil, &UnmarkableError{"Daftar kartu tidak dilampirkan pada kiriman ini.", errors.New("no card list")}
	}
	leave, err := m.turn(wait, r.InstitutionID)
	if err != nil {
		return nil, err
	}
	defer leave()
	found, err := Load(ctx, rd, r.ID, r.Submission)
	if err != nil {
		return nil, err
	}
	list, err := content(ctx, rd, files[i].BlobID)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := Mark(&out, bytes.NewReader(list), int64(len(list)), r.Ticket, r.Submission, found); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// MarkedName is the name of the file that is handed back.
func MarkedName(r request.Request) string {
	return fmt.Sprintf("Daftar-Kartu-%s-temuan-%d.xlsx", r.Ticket, r.Submission)
}

// content reads a stored list into memory: one is small (ListLimits), and few
// are read at once.
func content(ctx context.Context, rd postgres.Reader, blobID string) (list []byte, err error) {
	id, err := uuid.Parse(blobID)
	if err != nil {
		return nil, fmt.Errorf("validation: blob id: %w", err)
	}
	file, info, err := blob.Open(ctx, rd, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if info.Size > ListLimits.FileBytes {
		return nil, unmarkable(&xlsx.Error{Code: xlsx.TooLarge})
	}
	if list, err = io.ReadAll(file); err != nil {
		return nil, fmt.Errorf("validation: reading the card list: %w", err)
	}
	return list, nil
}

// Mark writes a card list with the findings of a submission marked in it: each
// wrong cell is filled and most bear a comment, and a first sheet lists them all.
// Marks of an earlier hand-back are replaced. A list that cannot be opened gives
// *UnmarkableError.
func Mark(w io.Writer, list io.ReaderAt, size int64, ticket string, submission int, findings []Finding) error {
	book, err := xlsx.Open(list, size, ListLimits)
	if err != nil {
		return unmarkable(err)
	}
	found, _ := listSheet(book) // without one the page of findings stands alone
	sheet := found.Name
	notes, mute, err := notesOf(findings)
	if err != nil {
		return err
	}
	marking := xlsx.Marking{
		Sheet: sheet, Author: marksAuthor, Fills: []string{fillError, fillWarning}, Notes: notes,
		Page: pageOf(sheet, ticket, submission, findings, mute),
	}
	if err := xlsx.Mark(w, list, size, ListLimits, marking); err != nil {
		return unmarkable(err)
	}
	return nil
}

func unmarkable(err error) error {
	var refused *xlsx.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("validation: marking the card list: %w", err)
	}
	if refused.Code == xlsx.TooLarge { // for marking, though it could be read
		return &UnmarkableError{"Daftar kartu terlalu besar untuk ditandai: isinya setelah dibuka, termasuk lembar lain, gambar, dan format sel, melebihi batas. " +
			"Salin daftar ke templat kosong bila ingin menerimanya kembali bertanda.", err}
	}
	return &UnmarkableError{Refusal(refused), err}
}

const (
	rangesPerFinding = 200  // that get a line of their own on the page
	linesOfPage      = 2000 // on the page
)

// pageOf is the sheet of findings. What belongs to no cell comes first: it is
// nowhere else in the workbook. mute is how many marked cells bear no comment.
func pageOf(sheet, ticket string, submission int, found []Finding, mute int) xlsx.Page {
	errs := len(Errors(found))
	comments := "Sel yang bertanda pada lembar " + cardlist.Sheet + " memuat komentar dengan penjelasan. Klik tempatnya untuk menuju sel itu."
	if mute > 0 {
		comments = fmt.Sprintf("Sel yang bertanda pada lembar %s: %s sel memuat komentar, %s sel lain hanya diberi warna dan dijelaskan pada lembar ini. "+
			"Klik tempatnya untuk menuju sel itu.", cardlist.Sheet, terbilang.FormatInt(mostComments), terbilang.FormatInt(int64(mute)))
	}
	p := xlsx.Page{
		Name: PageName, Title: pageTitle,
		Lines: []string{
			fmt.Sprintf("%s: %d kesalahan harus diperbaiki, %d peringatan perlu diperiksa.", judged(ticket, submission), errs, len(found)-errs),
			comments,
			"Perbaiki langsung pada berkas ini, simpan, lalu kirim ulang seluruhnya. Lembar ini dan tanda yang tersisa tidak perlu dihapus.",
		},
		Columns: []xlsx.Column{
			{Title: "No.", Width: 6, Align: xlsx.Center}, {Title: "Tingkat", Width: 12}, {Title: "Tempat", Width: 30}, {Title: "Temuan", Width: 62},
			{Title: "Yang perlu dilakukan", Width: 46}, {Title: "Kode", Width: 24},
		},
	}
	sorted := slices.Clone(found)
	slices.SortStableFunc(sorted, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(min(len(a.Cells), 1), min(len(b.Cells), 1)), cmp.Compare(a.Severity, b.Severity)) // error before warning
	})
	for i, f := range sorted {
		label, fill := "Kesalahan", fillError
		if f.Severity == Warning {
			label, fill = "Peringatan", fillWarning
		}
		line := func(place, link, text, advice string) {
			if len(p.Rows) < linesOfPage {
				p.Rows = append(p.Rows, []xlsx.PageCell{{Text: strconv.Itoa(i + 1)}, {Text: label, Fill: fill}, {Text: place, Link: link}, {Text: text},
					{Text: advice}, {Text: f.Code}})
			}
		}
		if len(f.Cells) == 0 || sheet == "" {
			line(f.Place(), "", f.Detail, Advice(f))
			continue
		}
		for j, cells := range f.Cells {
			if j == rangesPerFinding {
				line("dan "+terbilang.FormatInt(int64(len(f.Cells)-j))+" rentang lain", "", f.OfCell(), Advice(f))
				break
			}
			line(sheet+"!"+cells, xlsx.Place(sheet, cells), f.OfCell(), Advice(f))
		}
	}
	return p
}
