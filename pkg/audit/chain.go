package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Hash is a link of the chain.
type Hash [sha256.Size]byte

// String returns the hash in lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Head is the end of the chain: what the day sheet prints and the HSM signs.
type Head struct {
	Seq  int64 // 0 for an empty chain, whose hash is all zero
	Hash Hash
}

// Row is a sealed audit row.
type Row struct {
	ID      uuid.UUID     `db:"id"`
	At      time.Time     `db:"at"`
	Actor   string        `db:"actor"`
	Action  string        `db:"action"`
	Subject string        `db:"subject"`
	Request uuid.NullUUID `db:"request_id"`
	// Detail is the text PostgreSQL gives for the stored jsonb (detail::text). jsonb
	// drops the order and spacing of its input, so the input cannot be hashed.
	Detail string `db:"detail"`
	Seq    int64  `db:"seq"`
	Prev   []byte `db:"prev_hash"`
	Hash   []byte `db:"hash"`
}

// formVersion begins every canonical form, so that a later form cannot be taken for this one.
const formVersion = "sifilma-audit-1"

// Canonical returns the form of a row that is hashed: the fields
//
//	"sifilma-audit-1", seq, id, at, actor, action, subject, request_id, detail
//
// each written as its length in bytes, a colon, its bytes and a comma. seq is decimal;
// ids are lower-case UUIDs, a missing one is empty; at is UTC with six decimals as in
// 2006-01-02T15:04:05.000000Z; the rest is UTF-8 text as stored.
func (r Row) Canonical() []byte {
	request := ""
	if r.Request.Valid {
		request = r.Request.UUID.String()
	}
	var b []byte
	for _, field := range []string{
		formVersion, strconv.FormatInt(r.Seq, 10), r.ID.String(), r.At.UTC().Format("2006-01-02T15:04:05.000000Z"),
		r.Actor, r.Action, r.Subject, request, r.Detail,
	} {
		b = strconv.AppendInt(b, int64(len(field)), 10)
		b = append(b, ':')
		b = append(b, field...)
		b = append(b, ',')
	}
	return b
}

// link returns SHA-256(prev || canonical form of r).
func (r Row) link(prev Hash) Hash {
	h := sha256.New()
	_, _ = h.Write(prev[:]) // a hash never fails
	_, _ = h.Write(r.Canonical())
	return Hash(h.Sum(nil))
}

// BrokenError names the first place where the chain does not hold.
type BrokenError struct {
	Seq    int64
	Reason string
}

// Error makes a BrokenError an error.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("audit: the chain is broken at number %d: %s", e.Seq, e.Reason)
}

// Chain checks sealed rows one after the other. The zero Chain stands before row 1.
type Chain struct{ head Head }

// Head returns the last row that held.
func (c *Chain) Head() Head { return c.head }

// Add checks that r is the next row; a *BrokenError says why it is not.
func (c *Chain) Add(r Row) error {
	want := c.head.Seq + 1
	switch {
	case r.Seq != want:
		return &BrokenError{want, fmt.Sprintf("the next row has number %d", r.Seq)}
	case Hash(pad(r.Prev)) != c.head.Hash || len(r.Prev) != sha256.Size:
		return &BrokenError{want, "it does not follow from the row before"}
	}
	h := r.link(c.head.Hash)
	if Hash(pad(r.Hash)) != h || len(r.Hash) != sha256.Size {
		return &BrokenError{want, "its content does not fit its hash"}
	}
	c.head = Head{r.Seq, h}
	return nil
}

func pad(b []byte) (h [sha256.Size]byte) {
	copy(h[:], b)
	return h
}
