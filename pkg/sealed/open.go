package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
)

// Bundle is a bundle that was verified: each byte of it is as it was sealed.
type Bundle struct {
	Header Header
	Index  Index

	file    io.ReaderAt
	members map[string]place
}

// place is where a member's content lies.
type place struct {
	offset, size int64
	sum          string
}

// OpenBundle verifies a bundle of size bytes: the seal, the one form of the file, and each
// member against the index. It does not look at the validity: see Header.ValidAt. Errors:
// ErrForm, ErrKey, ErrSignature, ErrContent, ErrPurpose, ErrKeyRevoked, ErrKeyEnded, those
// of reading.
func (k Keys) OpenBundle(file io.ReaderAt, size int64) (*Bundle, error) {
	token, err := comment(file, size)
	if err != nil {
		return nil, err
	}
	h, payload, err := k.Open(BundlePurpose, token)
	if err != nil {
		return nil, err
	}
	var claims seal
	if err := strictly(payload, &claims); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	body := size - int64(len(token))
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, body)); err != nil {
		return nil, err
	}
	if hex.EncodeToString(sum.Sum(nil)) != claims.SHA256 {
		return nil, fmt.Errorf("%w: bundle %s", ErrContent, h.Number)
	}
	b := &Bundle{Header: h, file: file, members: map[string]place{}}
	entries, err := b.walk(body, len(token))
	if err != nil {
		return nil, err
	}
	return b, b.compare(entries)
}

// IsBundle says whether a file looks like a bundle: a zip whose comment reaches to its
// end and is a token. Nothing is verified.
func IsBundle(file io.ReaderAt, size int64) bool {
	token, err := comment(file, size)
	if err != nil {
		return false
	}
	_, err = Peek(token)
	return err == nil
}

// PeekBundle reads the header of a bundle's seal without verifying anything. Error: ErrForm.
func PeekBundle(file io.ReaderAt, size int64) (Header, error) {
	token, err := comment(file, size)
	if err != nil {
		return Header{}, err
	}
	return Peek(token)
}

// comment is the zip's end comment. A token cannot hold the record's signature, therefore
// the last one in the file is the record's.
func comment(file io.ReaderAt, size int64) ([]byte, error) {
	if size < endSize || size > bundleMost {
		return nil, fmt.Errorf("%w: not a bundle", ErrForm)
	}
	tail := make([]byte, min(size, endSize+1<<16-1))
	if _, err := file.ReadAt(tail, size-int64(len(tail))); err != nil {
		return nil, err
	}
	at := bytes.LastIndex(tail, binary.LittleEndian.AppendUint32(nil, signatureEnd))
	if at < 0 || len(tail)-at < endSize {
		return nil, fmt.Errorf("%w: not a bundle: no end of a zip file", ErrForm)
	}
	length := int(binary.LittleEndian.Uint16(tail[at+endSize-2:]))
	if length == 0 || len(tail)-at-endSize != length {
		return nil, fmt.Errorf("%w: not a bundle: no seal at the end of the zip file", ErrForm)
	}
	return tail[at+endSize:], nil
}

// walk reads the members in their order and compares every byte that is not content with
// what WriteBundle would have written.
func (b *Bundle) walk(body int64, seal int) (entries []entry, err error) {
	when := stamp(b.Header.Issued())
	head := make([]byte, localSize)
	at := int64(0)
	for {
		if _, err := b.file.ReadAt(head, at); err != nil {
			return nil, fmt.Errorf("%w: the zip ends early", ErrForm)
		}
		if binary.LittleEndian.Uint32(head) != signatureLocal {
			break
		}
		e := entry{
			crc: binary.LittleEndian.Uint32(head[14:]), size: binary.LittleEndian.Uint32(head[18:]), offset: uint32(at),
		}
		name := make([]byte, binary.LittleEndian.Uint16(head[26:]))
		if _, err := b.file.ReadAt(name, at+localSize); err != nil {
			return nil, fmt.Errorf("%w: the zip ends early", ErrForm)
		}
		e.name = string(name)
		if !bytes.Equal(append(head[:localSize:localSize], name...), e.local(when)) || !ValidName(e.name) || len(entries) >= membersMost {
			return nil, fmt.Errorf("%w: header of member %q", ErrForm, e.name)
		}
		at += localSize + int64(len(name))
		if at+int64(e.size) > body {
			return nil, fmt.Errorf("%w: the zip ends early", ErrForm)
		}
		entries = append(entries, e)
		sum, crc := sha256.New(), crc32.NewIEEE()
		if _, err := io.Copy(io.MultiWriter(sum, crc), io.NewSectionReader(b.file, at, int64(e.size))); err != nil {
			return nil, err
		}
		if _, twice := b.members[e.name]; twice || crc.Sum32() != e.crc {
			return nil, fmt.Errorf("%w: member %q", ErrForm, e.name)
		}
		b.members[e.name] = place{at, int64(e.size), hex.EncodeToString(sum.Sum(nil))}
		at += int64(e.size)
	}
	rest := end(entries, uint32(at), when, seal)
	if int64(len(rest)) != body-at {
		return nil, fmt.Errorf("%w: directory of the zip", ErrForm)
	}
	found := make([]byte, len(rest))
	if _, err := b.file.ReadAt(found, at); err != nil {
		return nil, err
	}
	if !bytes.Equal(found, rest) {
		return nil, fmt.Errorf("%w: directory of the zip", ErrForm)
	}
	return entries, nil
}

// compare holds the members against the index.
func (b *Bundle) compare(entries []entry) error {
	if len(entries) == 0 || entries[0].name != IndexName {
		return fmt.Errorf("%w: a bundle begins with %s", ErrForm, IndexName)
	}
	raw, err := b.Read(IndexName)
	if err != nil {
		return err
	}
	if err := strictly(raw, &b.Index); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	if b.Index.Number != b.Header.Number || b.Index.Format != b.Header.Format || len(b.Index.Members) != len(entries)-1 {
		return fmt.Errorf("%w: the index is of another bundle", ErrForm)
	}
	for i, m := range b.Index.Members {
		p := b.members[m.Name]
		if entries[i+1].name != m.Name || p.size != m.Size || p.sum != m.SHA256 {
			return fmt.Errorf("%w: member %q is not as the index says", ErrContent, m.Name)
		}
	}
	return nil
}

// Has says whether the bundle has a member of this name.
func (b *Bundle) Has(name string) bool {
	_, ok := b.members[name]
	return ok
}

// Read returns the content of a member, which must still be as it was when the bundle was
// verified. Errors: ErrForm when there is no such member, ErrContent, those of reading.
func (b *Bundle) Read(name string) ([]byte, error) {
	p, ok := b.members[name]
	if !ok {
		return nil, fmt.Errorf("%w: no member %q", ErrForm, name)
	}
	data := make([]byte, p.size)
	if _, err := b.file.ReadAt(data, p.offset); err != nil && p.size > 0 {
		return nil, err
	}
	sum := sha256.Sum256(data)
	if hex.EncodeToString(sum[:]) != p.sum {
		return nil, fmt.Errorf("%w: member %q since it was verified", ErrContent, name)
	}
	return data, nil
}
