package xlsx

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"unicode/utf8"
)

// Workbook is an opened workbook. It may be read by one goroutine at a time.
type Workbook struct {
	limits   Limits
	parts    map[string]*zip.File // by lower-case name
	sheets   []Sheet
	date1904 bool

	stringsPart, stylesPart string

	shared  *sharedStrings
	formats []numberFormat // by style index
	loaded  bool

	closer io.Closer
}

// Sheet is a worksheet of a workbook, in the workbook's order.
type Sheet struct {
	Name   string
	Hidden bool
	part   string
}

// OpenFile opens the workbook at a path; Close closes the file.
func OpenFile(name string, limits Limits) (*Workbook, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("xlsx: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		var w *Workbook
		if w, err = Open(f, info.Size(), limits); err == nil {
			w.closer = f
			return w, nil
		}
	}
	return nil, errors.Join(err, f.Close())
}

// Open opens a workbook of size bytes. Whatever is no .xlsx workbook within the
// limits is refused with *Error.
func Open(r io.ReaderAt, size int64, limits Limits) (*Workbook, error) {
	w := &Workbook{limits: limits.withDefaults()}
	if size > w.limits.FileBytes {
		return nil, refuse(TooLarge, "", "file of %d bytes, at most %d", size, w.limits.FileBytes)
	}
	if err := sniff(r, size); err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, refuse(Damaged, "", "not a whole zip archive")
	}
	if err := w.index(archive); err != nil {
		return nil, err
	}
	main, err := w.mainPart()
	if err != nil {
		return nil, err
	}
	if err := w.readWorkbook(main); err != nil {
		return nil, err
	}
	if len(w.sheets) == 0 {
		return nil, refuse(NoSheet, main, "no worksheet")
	}
	return w, nil
}

// Close releases the file of OpenFile.
func (w *Workbook) Close() error {
	if w.closer == nil {
		return nil
	}
	return w.closer.Close()
}

// Sheets are the worksheets in order.
func (w *Workbook) Sheets() []Sheet { return w.sheets }

// sniff tells what the file is when it is no zip archive.
func sniff(r io.ReaderAt, size int64) error {
	head := make([]byte, min(size, 4096))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("xlsx: read: %w", err)
	}
	switch {
	case size == 0:
		return refuse(NotWorkbook, "", "empty file")
	case bytes.HasPrefix(head, []byte("PK")):
		return nil
	case bytes.HasPrefix(head, []byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1")):
		return sniffCompound(r, size)
	case bytes.HasPrefix(head, []byte("%PDF")):
		return refuse(NotWorkbook, "", "PDF")
	case bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))), []byte("<")):
		return refuse(NotWorkbook, "", "HTML or XML")
	case printable(head):
		return refuse(PlainText, "", "text")
	default:
		return refuse(NotWorkbook, "", "unknown content")
	}
}

// sniffCompound tells old workbooks from encrypted new ones by the names of
// their streams, which stand in UTF-16 in the directory.
func sniffCompound(r io.ReaderAt, size int64) error {
	whole, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	if err != nil {
		return fmt.Errorf("xlsx: read: %w", err)
	}
	switch {
	case bytes.Contains(whole, wide("EncryptedPackage")):
		return refuse(Encrypted, "", "protected by a password")
	case bytes.Contains(whole, wide("Workbook")) || bytes.Contains(whole, wide("Book")):
		return refuse(OldExcel, "", "workbook of Excel 97-2003")
	default:
		return refuse(NotWorkbook, "", "compound file")
	}
}

func wide(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return b
}

// printable reports whether the head of a file is text in UTF-8, UTF-16 or an 8-bit code.
func printable(head []byte) bool {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return true
	}
	for _, c := range head {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return true
}

// index notes the archive's entries and refuses bombs by their declared sizes;
// archive/zip then refuses an entry that unpacks to more than it declares.
func (w *Workbook) index(archive *zip.Reader) error {
	if len(archive.File) > w.limits.Entries {
		return refuse(TooLarge, "", "%d entries, at most %d", len(archive.File), w.limits.Entries)
	}
	w.parts = make(map[string]*zip.File, len(archive.File))
	total := uint64(0)
	for _, f := range archive.File {
		if f.Flags&1 != 0 {
			return refuse(Encrypted, "", "an encrypted entry")
		}
		if total += f.UncompressedSize64; total > uint64(w.limits.UnzippedBytes) || f.UncompressedSize64 > uint64(w.limits.UnzippedBytes) {
			return refuse(TooLarge, "", "unpacks to more than %d bytes", w.limits.UnzippedBytes)
		}
		key := partKey(f.Name)
		if w.parts[key] != nil {
			return refuse(Damaged, "", "an entry given twice")
		}
		if strings.HasSuffix(key, "vbaproject.bin") {
			return refuse(Macro, "", "macros")
		}
		w.parts[key] = f
	}
	return nil
}

// partKey finds a part whatever the case and slashes of its name.
func partKey(name string) string {
	return strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(name, "\\", "/"), "/"))
}

// scan walks a part's XML. visit sees each start tag and may read on from it.
func (w *Workbook) scan(part string, visit func(s *scanner, name string) error) (err error) {
	s, closer, err := w.openPart(part)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	for {
		kind, err := s.next()
		if err == nil && kind == atStart {
			err = visit(s, string(s.name))
		}
		if err != nil {
			return damaged(part, err)
		}
		if kind == atEOF {
			return nil
		}
	}
}

func (w *Workbook) openPart(part string) (*scanner, io.Closer, error) {
	f := w.parts[partKey(part)]
	if f == nil {
		return nil, nil, refuse(Damaged, part, "missing")
	}
	if f.UncompressedSize64 > uint64(w.limits.PartBytes) {
		return nil, nil, refuse(TooLarge, part, "unpacks to more than %d bytes", w.limits.PartBytes)
	}
	r, err := f.Open()
	if err != nil {
		return nil, nil, refuse(Damaged, part, "cannot be unpacked")
	}
	return newScanner(r, f.UncompressedSize64), r, nil
}

// damaged turns a fault of the XML or the archive into *Error.
func damaged(part string, err error) error {
	var refused *Error
	if errors.As(err, &refused) {
		return err
	}
	return refuse(Damaged, part, "%v", err)
}

// mainPart finds the workbook part and judges its content type.
func (w *Workbook) mainPart() (string, error) {
	if w.parts["[content_types].xml"] == nil {
		if w.parts["mimetype"] != nil {
			return "", refuse(OpenDocument, "", "OpenDocument")
		}
		return "", refuse(NotWorkbook, "", "zip archive")
	}
	rels, err := w.relations("")
	if err != nil {
		return "", err
	}
	main := ""
	for _, r := range rels {
		if strings.HasSuffix(r.kind, "/officeDocument") {
			main = r.target
			break
		}
	}
	if main == "" {
		return "", refuse(NotWorkbook, "", "no main document")
	}
	contentType, err := w.contentType(main)
	if err != nil {
		return "", err
	}
	switch {
	case strings.Contains(contentType, "sheet.binary"):
		return "", refuse(Binary, "", "binary workbook")
	case strings.Contains(contentType, "macroEnabled"):
		return "", refuse(Macro, "", "macro-enabled workbook")
	case !strings.Contains(contentType, "spreadsheetml"):
		return "", refuse(NotWorkbook, "", "a document of another kind")
	}
	return main, nil
}

func (w *Workbook) contentType(part string) (string, error) {
	var override, standard string
	err := w.scan("[Content_Types].xml", func(s *scanner, name string) error {
		value, err := s.attrText("ContentType")
		if err != nil {
			return err
		}
		switch name {
		case "Override":
			if own, err := s.attrText("PartName"); err == nil && partKey(own) == partKey(part) {
				override = value
			}
		case "Default":
			if strings.EqualFold("."+string(s.attr("Extension")), path.Ext(part)) {
				standard = value
			}
		}
		return nil
	})
	if override != "" {
		return override, err
	}
	return standard, err
}

type relation struct{ id, kind, target string }

// relations reads the relationships of a part ("" is the package). External
// ones are left out: nothing outside the file is ever opened.
func (w *Workbook) relations(of string) ([]relation, error) {
	dir, file := path.Split(of)
	name := dir + "_rels/" + file + ".rels"
	if w.parts[partKey(name)] == nil {
		return nil, nil
	}
	var list []relation
	err := w.scan(name, func(s *scanner, tag string) error {
		if tag != "Relationship" || strings.EqualFold(string(s.attr("TargetMode")), "External") {
			return nil
		}
		id, err := s.attrText("Id")
		if err != nil {
			return err
		}
		target, err := s.attrText("Target")
		if err != nil {
			return err
		}
		if !strings.HasPrefix(target, "/") {
			target = path.Join(dir, target)
		}
		list = append(list, relation{id: id, kind: string(s.attr("Type")), target: strings.TrimPrefix(path.Clean(target), "/")})
		return nil
	})
	return list, err
}

func (w *Workbook) readWorkbook(main string) error {
	rels, err := w.relations(main)
	if err != nil {
		return err
	}
	targets := make(map[string]relation, len(rels))
	for _, r := range rels {
		targets[r.id] = r
		switch {
		case strings.HasSuffix(r.kind, "/sharedStrings"):
			w.stringsPart = r.target
		case strings.HasSuffix(r.kind, "/styles"):
			w.stylesPart = r.target
		}
	}
	return w.scan(main, func(s *scanner, tag string) error {
		switch tag {
		case "workbookPr":
			w.date1904 = truth(s.attr("date1904"))
		case "sheet":
			name, err := s.attrText("name")
			if err != nil || !utf8.ValidString(name) {
				return errText
			}
			id, err := s.attrText("id")
			if err != nil {
				return err
			}
			if r := targets[id]; strings.HasSuffix(r.kind, "/worksheet") {
				w.sheets = append(w.sheets, Sheet{Name: name, Hidden: bytes.HasSuffix(s.attr("state"), []byte("idden")), part: r.target})
			}
			if len(w.sheets) > w.limits.Sheets {
				return refuse(TooLarge, "", "more than %d sheets", w.limits.Sheets)
			}
		}
		return nil
	})
}

func truth(b []byte) bool { return string(b) == "1" || string(b) == "true" }
