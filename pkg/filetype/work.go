package filetype

import "io"

// mostWork is what the files of one drop may cost together, in bytes that are
// unpacked: two pictures of the largest kind, or a dozen pages of 300 dpi in
// colour. It takes about a second.
const mostWork = 320 << 20

// visitCost is what reading a block of a JPEG costs, in bytes unpacked.
const visitCost = 4

// Work bounds what the files of one drop cost together: each alone may be dear,
// and a sender chooses how many there are. It serves one goroutine.
type Work struct {
	left     int
	exceeded bool
}

// NewWork is the work that one drop may cause.
func NewWork() *Work { return &Work{left: mostWork} }

// Check is the function Check for one file of a drop. A file for which no work is
// left is refused as TooMuch.
func (w *Work) Check(r io.ReaderAt, size int64, allowed ...Kind) (Kind, error) {
	if w.exceeded {
		return "", &Error{Code: TooMuch, Allowed: allowed, Detail: "not looked at"}
	}
	kind, err := w.check(r, size, allowed)
	if w.exceeded { // whatever a walk made of it
		return kind, &Error{Code: TooMuch, Kind: kind, Allowed: allowed, Detail: "too much work"}
	}
	return kind, err
}

// spend says whether there was so much left.
func (w *Work) spend(n int) bool {
	w.left -= n
	w.exceeded = w.exceeded || w.left < 0
	return !w.exceeded
}

var errTooMuch = &fault{TooMuch, "too much work"}
