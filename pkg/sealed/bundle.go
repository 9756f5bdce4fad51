package sealed

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"regexp"
	"time"
)

// A bundle is a zip file (APPNOTE 6.3.9) of one form only:
//
//	for each member  local file header (4.3.7), content; stored, no flags, no extra field
//	for each member  central directory header (4.3.12)
//	                 end of central directory record (4.3.16)
//	as its comment   a token
//
// The token's payload is the SHA-256 of everything before it, the comment's length
// included; the token itself has one accepted form. So every byte of the file is covered.
// The first member is the index: what the others are, with the SHA-256 of each. Any zip
// program opens a bundle; what a reader here accepts is only what WriteBundle writes, byte by
// byte: nothing can stand between, before or behind the members.
const (
	// BundlePurpose is the "typ" of the token that seals a bundle.
	BundlePurpose = "sifilma-bundle"
	// IndexName is the name of the index in a bundle.
	IndexName = "indeks.json"

	signatureLocal   = 0x04034b50
	signatureCentral = 0x02014b50
	signatureEnd     = 0x06054b50
	localSize        = 30
	centralSize      = 46
	endSize          = 22
	version          = 10 // needed to extract: stored files

	membersMost = 1<<16 - 2 // beyond it a zip has another form (Zip64)
	bundleMost  = 1<<32 - 2
	memberMost  = 1 << 30
)

// memberName is a name that every system can unpack below the folder it chooses.
var memberName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}){0,3}$`)

// ValidName says whether a bundle takes a member of this name: ASCII letters, digits and
// . _ + -, with / between at most four parts, none of which begins with a dot.
func ValidName(name string) bool { return memberName.MatchString(name) }

// Member is what the index says of a file in a bundle.
type Member struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // lower-case hexadecimal
}

// Index is the first member of a bundle.
type Index struct {
	Number  string   `json:"no"`
	Format  string   `json:"fmt"`
	About   string   `json:"about"` // a line for people
	Members []Member `json:"members"`
}

// seal is the payload of the token.
type seal struct {
	SHA256 string `json:"sha256"`
}

// File is a member with its content.
type File struct {
	Name string
	Data []byte
}

// entry is a member as the zip's headers tell of it.
type entry struct {
	name   string
	crc    uint32
	size   uint32
	offset uint32 // of the local file header
}

// stamp is the MS-DOS date and time (APPNOTE 4.4.6) of a moment in Jakarta, where the
// bundles are made; times of that kind have no zone.
func stamp(at time.Time) uint32 {
	t := at.In(time.FixedZone("WIB", 7*60*60))
	if t.Year() < 1980 || t.Year() > 2107 {
		return 1<<21 | 1<<16 // 1980-01-01, the first that there is
	}
	date := uint32(t.Year()-1980)<<9 | uint32(t.Month())<<5 | uint32(t.Day())
	return date<<16 | uint32(t.Hour())<<11 | uint32(t.Minute())<<5 | uint32(t.Second()/2)
}

func (e entry) local(when uint32) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(make([]byte, 0, localSize+len(e.name)), signatureLocal)
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, 0) // flags
	b = e.common(b, when)
	return append(b, e.name...)
}

// common is what the two headers of a member share: from the method to the length of the
// extra field.
func (e entry) common(b []byte, when uint32) []byte {
	le := binary.LittleEndian
	b = le.AppendUint16(b, 0) // stored
	b = le.AppendUint32(b, when)
	b = le.AppendUint32(b, e.crc)
	b = le.AppendUint32(b, e.size)
	b = le.AppendUint32(b, e.size)
	b = le.AppendUint16(b, uint16(len(e.name)))
	return le.AppendUint16(b, 0) // no extra field
}

func (e entry) central(when uint32) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(make([]byte, 0, centralSize+len(e.name)), signatureCentral)
	b = le.AppendUint16(b, version) // made by, on MS-DOS: no attributes of a file system
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, 0) // flags
	b = e.common(b, when)
	b = append(b, make([]byte, 10)...) // no comment, first disk, no attributes
	b = le.AppendUint32(b, e.offset)
	return append(b, e.name...)
}

// end is the central directory with the record that ends it, but for the comment.
func end(entries []entry, offset uint32, when uint32, comment int) []byte {
	var b []byte
	for _, e := range entries {
		b = append(b, e.central(when)...)
	}
	le := binary.LittleEndian
	size := uint32(len(b))
	b = le.AppendUint32(b, signatureEnd)
	b = le.AppendUint32(b, 0) // disks
	b = le.AppendUint16(b, uint16(len(entries)))
	b = le.AppendUint16(b, uint16(len(entries)))
	b = le.AppendUint32(b, size)
	b = le.AppendUint32(b, offset)
	return le.AppendUint16(b, uint16(comment))
}

// WriteBundle writes and seals a bundle. Number, Format and the times of the header are
// the caller's; about is a line for people in the index. The files are in memory, their
// sum is not held again. When it fails, what was written is of no use. Errors: ErrForm
// for names, numbers or sizes that a bundle does not take, those of writing and signing.
func WriteBundle(ctx context.Context, w io.Writer, s *Signer, h Header, about string, files []File) error {
	h.Type = BundlePurpose
	index := Index{Number: h.Number, Format: h.Format, About: about, Members: make([]Member, 0, len(files))}
	taken := map[string]bool{IndexName: true}
	for _, f := range files {
		if !ValidName(f.Name) || taken[f.Name] {
			return fmt.Errorf("%w: a bundle takes no member %q, or it is there already", ErrForm, f.Name)
		}
		if len(f.Data) > memberMost {
			return fmt.Errorf("%w: %s has %d bytes", ErrForm, f.Name, len(f.Data))
		}
		taken[f.Name] = true
		sum := sha256.Sum256(f.Data)
		index.Members = append(index.Members, Member{f.Name, int64(len(f.Data)), hex.EncodeToString(sum[:])})
	}
	if len(files) >= membersMost {
		return fmt.Errorf("%w: %d members", ErrForm, len(files))
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	length, err := sealLength(s, h)
	if err != nil {
		return err
	}
	out := &summed{w: w, sum: sha256.New()}
	when := stamp(h.Issued())
	var entries []entry
	for i := -1; i < len(files); i++ {
		f := File{IndexName, raw}
		if i >= 0 {
			f = files[i]
		}
		if out.n+int64(len(f.Data)) > bundleMost-(64<<20) { // leaves room for the directory
			return fmt.Errorf("%w: a bundle of more than %d bytes", ErrForm, int64(bundleMost))
		}
		e := entry{f.Name, crc32.ChecksumIEEE(f.Data), uint32(len(f.Data)), uint32(out.n)}
		entries = append(entries, e)
		if err := out.write(e.local(when), f.Data); err != nil {
			return err
		}
	}
	if err := out.write(end(entries, uint32(out.n), when, length)); err != nil {
		return err
	}
	token, err := s.Sign(ctx, h, sealOf(out.sum.Sum(nil)))
	if err != nil {
		return err
	}
	if len(token) != length {
		return fmt.Errorf("%w: the seal has %d bytes, not %d", ErrForm, len(token), length)
	}
	_, err = w.Write(token)
	return err
}

func sealOf(sum []byte) []byte {
	return []byte(`{"sha256":"` + hex.EncodeToString(sum) + `"}`)
}

// sealLength is how long the token will be: it does not depend on the hash.
func sealLength(s *Signer, h Header) (int, error) {
	zero := make([]byte, sha256.Size)
	h.Algorithm, h.KeyID, h.SHA256 = alg, s.id, hex.EncodeToString(zero)
	if err := h.check(); err != nil {
		return 0, err
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrForm, err)
	}
	length := base64.RawURLEncoding.EncodedLen
	return length(len(raw)) + 1 + length(len(sealOf(zero))) + 1 + length(2*coordinate), nil
}

// summed hashes and counts what is written.
type summed struct {
	w   io.Writer
	sum interface {
		io.Writer
		Sum(b []byte) []byte
	}
	n int64
}

func (s *summed) write(parts ...[]byte) error {
	for _, p := range parts {
		_, _ = s.sum.Write(p) // a hash never fails
		n, err := s.w.Write(p)
		s.n += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}
