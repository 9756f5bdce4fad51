package filetype

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

const (
	maxObjects  = 200_000  // of the table
	maxTables   = 1000     // of a file that was saved again and again
	maxUnpacked = 48 << 20 // bytes of all streams together
	maxStream   = 16 << 20 // bytes of one
	maxKept     = 8        // unpacked streams of objects
	maxChain    = 8        // references from one to the next, and streams that need each other
	maxRead     = 64 << 20 // bytes of objects, those read again too
	workAtLeast = 32 << 20 // bytes looked at, those looked at again too,
	workPerByte = 6        // and so many times the whole file
)

// pdfFile finds the objects of a file.
type pdfFile struct {
	b       []byte
	shift   int // of the header: some programs count from there
	table   map[int]pdfPlace
	trailer pdfDict
	rebuilt bool

	unpacked, read int      // bytes so far
	work           *pdfWork // of this file
	drop           *Work    // of all files of the drop
	kept           map[int]*pdfBundle
	order          []int
	nested         int // streams that are being unpacked
}

// pdfPlace is where an object is: at an offset, or within a stream of objects.
type pdfPlace struct {
	offset int
	within int // number of the stream, 0 for none
	free   bool
}

// pdfBundle is an unpacked stream of objects (ISO 32000-1, section 7.5.7).
type pdfBundle struct {
	b  []byte
	at map[int]int
}

func newPDFFile(b []byte, drop *Work) *pdfFile {
	return &pdfFile{b: b, drop: drop, shift: max(0, bytes.Index(b[:min(len(b), headerWithin)], []byte("%PDF-"))), table: map[int]pdfPlace{}, kept: map[int]*pdfBundle{}, work: &pdfWork{workAtLeast + workPerByte*len(b)}}
}

// from reads from an offset of the file.
func (p *pdfFile) from(at int) *pdfReader { return &pdfReader{b: p.b, at: at, work: p.work} }

// exhaustedError says that a file asks for more work than any paper does.
type exhaustedError struct{ what string }

func (e *exhaustedError) Error() string { return "too much to unpack: " + e.what }

func isExhausted(err error) bool {
	var e *exhaustedError
	return errors.As(err, &e)
}

func because(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// readTables reads the tables of objects from the newest on; false when one is
// not where it should be.
func (p *pdfFile) readTables(from int) bool {
	seen := map[int]bool{}
	for waiting := []int{from}; len(waiting) > 0; {
		at := waiting[0]
		waiting = waiting[1:]
		if seen[at] || len(seen) > maxTables {
			return false
		}
		seen[at] = true
		dict, ok := p.readTable(at)
		if !ok {
			return false
		}
		if p.trailer == nil {
			p.trailer = dict
		}
		for _, key := range []pdfName{"XRefStm", "Prev"} {
			if dict[key] == nil {
				continue
			}
			next, ok := whole(dict[key])
			if !ok {
				return false
			}
			waiting = append(waiting, next)
		}
	}
	return p.trailer["Root"] != nil
}

func (p *pdfFile) readTable(at int) (pdfDict, bool) {
	for _, at := range []int{at, at + p.shift} {
		if at < 0 || at >= len(p.b) {
			continue
		}
		r := p.from(at)
		if r.keyword("xref") {
			return p.plainTable(r)
		}
		if _, ok := r.header(); ok {
			return p.streamTable(r)
		}
	}
	return nil, false
}

// plainTable reads a table of lines (ISO 32000-1, section 7.5.4).
func (p *pdfFile) plainTable(r *pdfReader) (pdfDict, bool) {
	for {
		if r.keyword("trailer") {
			value, err := r.object(0)
			d, ok := value.(pdfDict)
			return d, ok && err == nil
		}
		first, ok := r.count()
		n, also := r.count()
		if !ok || !also {
			return nil, false
		}
		for i := range n {
			offset, ok := r.count()
			_, also := r.count()
			kind := r.word()
			if !ok || !also || len(kind) != 1 || len(p.table) > maxObjects {
				return nil, false
			}
			p.put(first+i, pdfPlace{offset: offset, free: kind[0] != 'n'})
		}
	}
}

func (p *pdfFile) put(number int, place pdfPlace) {
	if _, newer := p.table[number]; !newer {
		p.table[number] = place
	}
}

// header reads "12 0 obj".
func (r *pdfReader) header() (number int, ok bool) {
	number, ok = r.count()
	if !ok {
		return 0, false
	}
	if _, ok = r.count(); !ok {
		return 0, false
	}
	return number, r.keyword("obj")
}

// streamTable reads a table that is a stream (ISO 32000-1, section 7.5.8). r
// stands behind the header of its object.
func (p *pdfFile) streamTable(r *pdfReader) (pdfDict, bool) {
	value, err := r.object(0)
	d, ok := value.(pdfDict)
	if err != nil || !ok || d["Type"] != pdfName("XRef") {
		return nil, false
	}
	raw, err := p.stream(d, r)
	if err != nil {
		return nil, false
	}
	widths, ok := d["W"].([]any)
	if !ok || len(widths) < 3 {
		return nil, false
	}
	var w [3]int
	for i := range w {
		if w[i], ok = whole(widths[i]); !ok || w[i] < 0 || w[i] > 8 {
			return nil, false
		}
	}
	ranges, ok := d["Index"].([]any)
	if !ok {
		ranges = []any{0.0, d["Size"]}
	}
	line := w[0] + w[1] + w[2]
	for ; len(ranges) >= 2; ranges = ranges[2:] {
		first, ok := whole(ranges[0])
		n, also := whole(ranges[1])
		if !ok || !also || first < 0 || line == 0 {
			return nil, false
		}
		for i := 0; i < n && len(raw) >= line; i++ {
			if len(p.table) > maxObjects {
				return nil, false
			}
			kind := 1
			if w[0] > 0 {
				kind = bigEndian(raw[:w[0]])
			}
			place := bigEndian(raw[w[0] : w[0]+w[1]])
			raw = raw[line:]
			switch kind {
			case 0:
				p.put(first+i, pdfPlace{free: true})
			case 1:
				p.put(first+i, pdfPlace{offset: place})
			case 2:
				p.put(first+i, pdfPlace{within: place})
			}
		}
	}
	return d, true
}

func bigEndian(b []byte) int {
	n := 0
	for _, c := range b {
		n = n<<8 | int(c)
	}
	return max(n, 0)
}

// value is an object, or what a reference leads to.
func (p *pdfFile) value(of any) (any, error) {
	for range maxChain {
		ref, ok := of.(pdfRef)
		if !ok {
			return of, nil
		}
		var err error
		if of, err = p.find(ref.number); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("references in a circle")
}

func (p *pdfFile) dict(of any) (pdfDict, bool, error) {
	value, err := p.value(of)
	d, ok := value.(pdfDict)
	return d, ok, err
}

// find reads the object of a number; one that the table lacks is null.
func (p *pdfFile) find(number int) (any, error) {
	place, ok := p.table[number]
	switch {
	case !ok || place.free:
		return nil, nil
	case place.within > 0:
		return p.fromBundle(number, place.within)
	}
	r, err := p.reader(number, place.offset)
	if err != nil {
		return nil, err
	}
	return p.object(r)
}

// object reads an object within the budget.
func (p *pdfFile) object(r *pdfReader) (any, error) {
	begin := r.at
	value, err := r.object(0)
	if p.read += r.at - begin; p.read > maxRead || p.work.done() {
		return nil, &exhaustedError{"objects"}
	}
	return value, err
}

// reader stands behind the header of the object at an offset.
func (p *pdfFile) reader(number, offset int) (*pdfReader, error) {
	for _, at := range []int{offset, offset + p.shift} {
		if at < 0 || at >= len(p.b) {
			continue
		}
		r := p.from(at)
		if got, ok := r.header(); ok && got == number {
			return r, nil
		}
	}
	return nil, fmt.Errorf("object %d is not at %d", number, offset)
}

func (p *pdfFile) fromBundle(number, within int) (any, error) {
	bundle, err := p.bundle(within)
	if err != nil {
		return nil, err
	}
	at, ok := bundle.at[number]
	if !ok {
		return nil, fmt.Errorf("object %d is not in stream %d", number, within)
	}
	return p.object(&pdfReader{b: bundle.b, at: at, work: p.work})
}

// bundle unpacks a stream of objects, or gives it again.
func (p *pdfFile) bundle(number int) (*pdfBundle, error) {
	if known := p.kept[number]; known != nil {
		return known, nil
	}
	if p.nested == maxChain {
		return nil, errors.New("streams that need each other")
	}
	p.nested++
	defer func() { p.nested-- }()
	place, ok := p.table[number]
	if !ok || place.free || place.within > 0 {
		return nil, fmt.Errorf("stream %d is not there", number)
	}
	r, err := p.reader(number, place.offset)
	if err != nil {
		return nil, err
	}
	value, err := p.object(r)
	d, ok := value.(pdfDict)
	if err != nil || !ok {
		return nil, because(err, "a stream without its dictionary")
	}
	raw, err := p.stream(d, r)
	if err != nil {
		return nil, err
	}
	n, ok := whole(d["N"])
	first, also := whole(d["First"])
	if !ok || !also || n < 0 || first < 0 || first > len(raw) {
		return nil, errors.New("a stream of objects without its head")
	}
	bundle := &pdfBundle{b: raw, at: map[int]int{}}
	head := &pdfReader{b: raw[:first], work: p.work}
	for range n {
		number, ok := head.count()
		at, also := head.count()
		if !ok || !also || len(bundle.at) > maxObjects {
			break
		}
		bundle.at[number] = first + at
	}
	if p.kept[number] = bundle; len(p.order) == maxKept {
		delete(p.kept, p.order[0])
		p.order = p.order[1:]
	}
	p.order = append(p.order, number)
	return bundle, nil
}

// stream returns the unpacked content of the stream whose dictionary r has just
// read. Only what tables and objects are packed with is known.
func (p *pdfFile) stream(d pdfDict, r *pdfReader) ([]byte, error) {
	raw, err := p.packed(d, r)
	if err != nil {
		return nil, err
	}
	if p.unpacked += len(raw); p.unpacked > maxUnpacked {
		return nil, &exhaustedError{"streams"}
	}
	filter, parameters := d["Filter"], d["DecodeParms"]
	if list, ok := filter.([]any); ok {
		if len(list) > 1 {
			return nil, errors.New("a stream packed twice")
		}
		if filter = nil; len(list) == 1 {
			filter = list[0]
		}
	}
	if list, ok := parameters.([]any); ok && len(list) > 0 {
		parameters = list[0]
	}
	switch filter {
	case nil:
		return raw, nil
	case pdfName("FlateDecode"), pdfName("Fl"):
	default:
		return nil, errors.New("a stream packed in an unknown way")
	}
	unpacked, err := zlib.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	most := min(maxStream, maxUnpacked-p.unpacked)
	// What comes before an error is used, as viewers do.
	out, err := io.ReadAll(io.LimitReader(unpacked, int64(most)+1))
	if p.unpacked += len(out); len(out) > most || !p.drop.spend(len(raw)+len(out)) {
		return nil, &exhaustedError{"streams"}
	}
	if len(out) == 0 && err != nil {
		return nil, err
	}
	given, _, err := p.dict(parameters)
	if err != nil {
		return nil, err
	}
	return unpredict(out, given)
}

// packed is the content of a stream as it stands in the file.
func (p *pdfFile) packed(d pdfDict, r *pdfReader) ([]byte, error) {
	if !r.keyword("stream") {
		return nil, errors.New("a stream without its content")
	}
	at := r.at
	if at < len(p.b) && p.b[at] == '\r' {
		at++
	}
	if at < len(p.b) && p.b[at] == '\n' {
		at++
	}
	length, err := p.value(d["Length"])
	if isExhausted(err) {
		return nil, err
	}
	if n, ok := whole(length); ok && n >= 0 && n <= len(p.b)-at {
		if after := p.from(at + n); after.keyword("endstream") {
			return p.b[at : at+n], nil
		}
	}
	n := bytes.Index(p.b[at:], []byte("endstream"))
	if r.at = at; n < 0 {
		r.spend(len(p.b) - at)
	} else {
		r.spend(n)
	}
	if p.work.done() {
		return nil, &exhaustedError{"streams"}
	}
	if n < 0 {
		return nil, errors.New("a stream without an end")
	}
	return p.b[at : at+n], nil
}
