package validation

import (
	"cmp"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// mostComments bounds the comments of a list: each costs some 2 KB of XML twice
// over while it is written, and nobody reads thousands. Cells after them are
// filled only.
const mostComments = 2000

// What of the cells of a finding is commented first, when not all are.
const (
	firstOfFinding = iota
	firstOfRange
	anyCell
)

// notesOf are the marks: one per cell, whatever is said of it, errors first. mute
// is how many of them have no comment.
func notesOf(found []Finding) (notes []xlsx.Note, mute int, err error) {
	type cell struct{ row, col int }
	at := map[cell]int{}
	joined := map[[2]string]string{} // thousands of cells have the same two faults
	var ranks []uint8
	for _, severity := range []string{Error, Warning} {
		for _, f := range found {
			if f.Severity != severity {
				continue
			}
			text := f.OfCell()
			if advice := Advice(f); !strings.Contains(strings.ToLower(text), strings.ToLower(advice)) {
				text += " " + advice
			}
			fill := fillError
			if severity == Warning {
				fill = fillWarning
			}
			rank := uint8(firstOfFinding)
			for _, cells := range f.Cells {
				s, err := parseSpan(cells)
				if err != nil {
					return nil, 0, err
				}
				for row := s.first; row <= s.last; row, rank = row+1, anyCell {
					here := cell{row, s.col}
					i, ok := at[here]
					if !ok {
						at[here] = len(notes)
						notes, ranks = append(notes, xlsx.Note{Row: row, Col: s.col, Fill: fill, Text: text}), append(ranks, rank)
						continue
					}
					pair := [2]string{notes[i].Text, text}
					if joined[pair] == "" {
						joined[pair] = notes[i].Text + "\n" + text
					}
					notes[i].Text, ranks[i] = joined[pair], min(ranks[i], rank)
				}
				rank = firstOfRange
			}
		}
	}
	mute = silence(notes, ranks)
	slices.SortFunc(notes, func(a, b xlsx.Note) int {
		return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Col, b.Col))
	})
	return notes, mute, nil
}

// silence takes the texts of all but mostComments notes away and returns of how
// many. The first cell of each finding keeps its text before others, then the
// first of each range.
func silence(notes []xlsx.Note, ranks []uint8) (mute int) {
	left := mostComments
	for rank := uint8(firstOfFinding); rank <= anyCell; rank++ {
		for i := range notes {
			switch {
			case ranks[i] != rank:
			case left > 0:
				left--
			default:
				notes[i].Text = ""
				mute++
			}
		}
	}
	return mute
}
