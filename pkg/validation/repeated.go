package validation

import "hash/maphash"

// firstRows finds the first row of a value. It holds row numbers only, in a
// table of its own: a map of the values of a long list takes several times the
// memory of the list.
type firstRows struct {
	value func(row int) string
	seed  maphash.Seed
	table []uint32 // row + 1, 0 for none; at most half full
}

func newFirstRows(n int, value func(row int) string) *firstRows {
	size := 16
	for size < 2*n {
		size *= 2
	}
	return &firstRows{value: value, seed: maphash.MakeSeed(), table: make([]uint32, size)}
}

// put returns the first row with the value of this one; the row itself when it
// is the first.
func (f *firstRows) put(row int) int {
	v := f.value(row)
	mask := uint64(len(f.table) - 1)
	for at := maphash.String(f.seed, v) & mask; ; at = (at + 1) & mask {
		first := f.table[at]
		if first == 0 {
			f.table[at] = uint32(row) + 1
			return row
		}
		if f.value(int(first)-1) == v {
			return int(first) - 1
		}
	}
}
