package leak

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// index finds many parts in many forms in one pass: by the first eight bytes of each,
// of which a text's every eight are looked up. Every part in every form has that many.
type index struct {
	secrets []secret
	filter  []uint64 // of the hashes of all anchors: two bits each, in one word
	shift   int      // that leaves of a hash the number of its word
	heads   map[uint64]int32
	entries []entry
}

// entry is a part in a form. Those with the same first eight bytes are in a chain.
type entry struct {
	next   int32 // in the chain, or -1
	secret int32
	start  uint16 // of the part
	form   uint8
}

const anchor = 8

func newIndex(secrets []secret) *index {
	x := &index{secrets: secrets, heads: map[uint64]int32{}}
	for n, s := range secrets {
		_, count := s.windows()
		for start := range count {
			for f := range forms {
				if forms[f].binary || s.text {
					x.put(entry{secret: int32(n), start: uint16(start), form: uint8(f)})
				}
			}
		}
	}
	words := max(4, bits.Len(uint(len(x.heads)))-2) // in a cache, and one in some dozens passes by chance
	x.filter, x.shift = make([]uint64, 1<<words), 64-words
	for a := range x.heads {
		h := hash(a)
		x.filter[h>>x.shift] |= bitsOf(h)
	}
	return x
}

func (x *index) put(e entry) {
	a := binary.LittleEndian.Uint64(x.written(e))
	e.next = -1
	if head, ok := x.heads[a]; ok {
		last := x.entries[head]
		if last.secret == e.secret && last.start == e.start && bytes.Equal(x.written(last), x.written(e)) {
			return // most of base64url is base64
		}
		e.next = head
	}
	x.heads[a] = int32(len(x.entries))
	x.entries = append(x.entries, e)
}

// written is what an entry looks like.
func (x *index) written(e entry) []byte {
	s := x.secrets[e.secret]
	size, _ := s.windows()
	return forms[e.form].write(s.value[e.start : int(e.start)+size])
}

func hash(anchor uint64) uint64 {
	h := anchor * 0x9E3779B97F4A7C15
	return h ^ h>>32
}

// bitsOf are those of a hash in its word.
func bitsOf(h uint64) uint64 { return 1<<(h&63) | 1<<(h>>6&63) }

// scan tells each place of text at which an entry stands.
func (x *index) scan(text []byte, found func(at int, e entry)) {
	for at := 0; ; at++ {
		if at = x.next(text, at); at < 0 {
			return
		}
		head, ok := x.heads[binary.LittleEndian.Uint64(text[at:])]
		if !ok {
			continue
		}
		for n := head; n >= 0; n = x.entries[n].next {
			if bytes.HasPrefix(text[at:], x.written(x.entries[n])) {
				found(at, x.entries[n])
			}
		}
	}
}

// next is the first place from at on whose eight bytes may be an anchor, or -1. It only
// reads, and every byte of megabytes: the race detector would make it many times slower.
//
//go:norace
func (x *index) next(text []byte, at int) int {
	filter, shift := x.filter, x.shift
	for ; at+anchor <= len(text); at++ {
		h := hash(binary.LittleEndian.Uint64(text[at:]))
		if want := bitsOf(h); filter[h>>shift]&want == want {
			return at
		}
	}
	return -1
}
