package validation

import (
	"iter"

	"dukcapil.go.id/sifilma/pkg/cardlist"
)

// ListRow is a card of the list and the row of the sheet that it stands in.
type ListRow struct {
	cardlist.Row
	At int

	readerRefused bool // the reader's serial was refused for how it stands in its cell
}

// The texts of a row, in the order in which listRows holds them.
const (
	serialText = iota
	readerText
	kindText
	remarksText
	uidText
	rowTexts
)

// rowsPerBlock keeps what an unfinished block wastes below 8 KB.
const rowsPerBlock = 256

// listRows holds the rows of a list in a few bytes besides their letters: a slice
// of ListRow takes 100 bytes for each, and as much again while it grows.
type listRows struct {
	blocks []*rowBlock
	n      int
	open   []byte // the letters of the last block until it is full
}

type rowBlock struct {
	letters string
	ends    [rowsPerBlock][rowTexts]uint32 // in letters: bounded by what a sheet unpacks to
	at      [rowsPerBlock]uint32
	refused [rowsPerBlock]bool
}

// add appends a row. seal must follow the last one.
func (l *listRows) add(row ListRow) {
	i := l.n % rowsPerBlock
	if i == 0 {
		l.seal()
		l.blocks = append(l.blocks, &rowBlock{})
	}
	b := l.blocks[len(l.blocks)-1]
	for j, text := range [rowTexts]string{serialText: row.Serial, readerText: row.ReaderSerial, kindText: row.Kind, remarksText: row.Remarks, uidText: row.UID} {
		l.open = append(l.open, text...)
		b.ends[i][j] = uint32(len(l.open))
	}
	b.at[i], b.refused[i] = uint32(row.At), row.readerRefused
	l.n++
}

func (l *listRows) seal() {
	if len(l.blocks) > 0 {
		l.blocks[len(l.blocks)-1].letters = string(l.open)
		l.open = l.open[:0]
	}
}

// text is one of the texts of row i, counted from 0.
func (l *listRows) text(i, which int) string {
	b, i := l.blocks[i/rowsPerBlock], i%rowsPerBlock
	begin := uint32(0)
	switch {
	case which > 0:
		begin = b.ends[i][which-1]
	case i > 0:
		begin = b.ends[i-1][rowTexts-1]
	}
	return b.letters[begin:b.ends[i][which]]
}

// row is row i of the sheet, counted from 0.
func (l *listRows) sheetRow(i int) int { return int(l.blocks[i/rowsPerBlock].at[i%rowsPerBlock]) }

func (l *listRows) readerRefused(i int) bool { return l.blocks[i/rowsPerBlock].refused[i%rowsPerBlock] }

func (l *listRows) row(i int) ListRow {
	return ListRow{At: l.sheetRow(i), readerRefused: l.readerRefused(i), Row: cardlist.Row{
		Row: i + 1, Serial: l.text(i, serialText), ReaderSerial: l.text(i, readerText), Kind: l.text(i, kindText), Remarks: l.text(i, remarksText), UID: l.text(i, uidText),
	}}
}

// Len is how many cards the list has.
func (l List) Len() int { return l.rows.n }

// Row is the card of the list with index i, counted from 0.
func (l List) Row(i int) ListRow { return l.rows.row(i) }

// Rows are the cards of the list in its order, with their index.
func (l List) Rows() iter.Seq2[int, ListRow] {
	return func(yield func(int, ListRow) bool) {
		for i := range l.rows.n {
			if !yield(i, l.rows.row(i)) {
				return
			}
		}
	}
}
