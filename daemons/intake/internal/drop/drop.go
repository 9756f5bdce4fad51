// Package drop reads what a client drops at the intake: a multipart body with
// the form as JSON and the files beside it. Each file goes to a private spool
// file while it arrives and is looked at there, before any transaction: a drop
// is whole and is what it claims, or its faults are all named in one answer.
package drop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/filetype"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Limits bound a drop; sizes are in bytes.
type Limits struct {
	Form     int64 `yaml:"form"`      // the JSON part
	Scan     int64 `yaml:"scan"`      // a PDF, JPG or PNG (features.md N37: 3 MB)
	CardList int64 `yaml:"card_list"` // the XLSX (features.md N37: 5 MB)
	Whole    int64 `yaml:"whole"`     // the whole body
	Orders   int   `yaml:"orders"`    // copies of purchase orders
	Cards    int   `yaml:"cards"`     // cards of one request, at most validation.MaxRows
}

// DefaultLimits are the limits of the configuration as delivered.
func DefaultLimits() Limits {
	return Limits{Form: 256 << 10, Scan: 3 << 20, CardList: 5 << 20, Whole: 32 << 20, Orders: 6, Cards: validation.MaxRows}
}

// Validate checks the section.
func (l Limits) Validate() error {
	if l.Form <= 0 || l.Scan <= 0 || l.CardList <= 0 || l.Whole <= 0 || l.Orders <= 0 || l.Cards <= 0 {
		return errors.New("every limit must be above 0")
	}
	if l.Cards > validation.MaxRows {
		return fmt.Errorf("cards is above %d, which is the most of one card list", validation.MaxRows)
	}
	if l.Scan > filetype.MaxBytes {
		return fmt.Errorf("scan is %d, above %d (16 MB): larger papers cannot be looked at", l.Scan, filetype.MaxBytes)
	}
	if most := validation.ListLimits.FileBytes; l.CardList > most {
		return fmt.Errorf("card_list is %d, above %d (5 MB): larger lists cannot be read", l.CardList, most)
	}
	if l.Whole < l.Form+l.Scan+l.CardList {
		return errors.New("whole is smaller than its parts")
	}
	return nil
}

// Drop is a body that was read and found whole. Close it.
type Drop struct {
	Form  request.Form
	Files []*File
	// Unread says that there is no form that could be read, so that nothing can be
	// said of it.
	Unread bool

	roll roll
}

// Close gives the spool space back; nothing of the files may be used after it.
func (d *Drop) Close() { d.roll.close() }

// Size is that of all files together, in bytes.
func (d *Drop) Size() int64 { return d.roll.size }

// Reader reads drops.
type Reader struct {
	spool  *Spool
	limits Limits
	checks chan struct{} // bounds the memory of files that are looked at
}

// NewReader returns a reader that spools to s.
func NewReader(s *Spool, l Limits) *Reader {
	return &Reader{spool: s, limits: l, checks: make(chan struct{}, 2)}
}

// fileLabels are what the files are called.
var fileLabels = map[string]string{
	request.FileLetter: "surat permohonan", request.FilePurchaseOrder: "salinan PO",
	request.FilePKS: "salinan PKS", request.FileCardList: "daftar kartu", need.FileList: "daftar alat",
}

// requestFiles are the files that a request may have.
var requestFiles = []string{request.FileLetter, request.FilePurchaseOrder, request.FilePKS, request.FileCardList}

// workbook says whether files of a kind are XLSX.
func workbook(kind string) bool { return kind == request.FileCardList || kind == need.FileList }

const formPart = "request"

// More adds to the faults of a drop what its form would be refused for by others,
// so that one answer names them all.
type More func(d *Drop, faults []web.FieldError) ([]web.FieldError, error)

// Read takes a drop in. today is the office's day; fixedReference, when not
// empty, is the No. Pengajuan that the form must keep (a correction). The error
// is a *web.Problem that names every fault found, with what more says of a form
// that has some, or a fault of this machine.
func (rd *Reader) Read(ctx context.Context, r *http.Request, today clock.Date, fixedReference string, more More) (*Drop, error) {
	d, found, err := rd.read(ctx, r, nil, requestFiles, completeRequest(today, fixedReference))
	if err == nil {
		err = found.refusal(d, more)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Examine reads a drop as Read does and returns what can be read of it together
// with its faults. The error is that of a body that cannot be taken apart at all,
// or a fault of this machine.
func (rd *Reader) Examine(ctx context.Context, r *http.Request, today clock.Date, fixedReference string) (*Drop, []web.FieldError, error) {
	d, found, err := rd.read(ctx, r, nil, requestFiles, completeRequest(today, fixedReference))
	if err != nil {
		return nil, nil, err
	}
	return d, found.list, nil
}

// ReadTyped is Examine for a drop whose form was typed into a page: each field is
// a part of its own.
func (rd *Reader) ReadTyped(ctx context.Context, r *http.Request, today clock.Date, fixedReference string) (*Drop, Typed, []web.FieldError, error) {
	typed := Typed{}
	d, found, err := rd.read(ctx, r, typed, requestFiles, completeRequest(today, fixedReference))
	if err != nil {
		return nil, nil, nil, err
	}
	return d, typed, found.list, nil
}

// read takes a body with files of these kinds apart, with its form in one part, or
// in typed when that is not nil, and has complete look at the form and say which of
// the files must be there.
func (rd *Reader) read(ctx context.Context, r *http.Request, typed Typed, kinds []string, complete func(*intake) (required []string)) (*Drop, *faults, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" || params["boundary"] == "" {
		return nil, nil, web.UnsupportedMedia("Kirim isi permintaan sebagai multipart/form-data: bagian \"request\" berisi JSON, berkas pada bagian lain.")
	}
	if r.ContentLength > rd.limits.Whole {
		return nil, nil, web.TooLarge(rd.limits.Whole)
	}
	in := &intake{Reader: rd, kinds: kinds, faults: &faults{}, drop: &Drop{roll: roll{spool: rd.spool}}, seen: map[string]int{}, typed: typed, work: filetype.NewWork()}
	if err := in.parts(multipart.NewReader(r.Body, params["boundary"])); err != nil {
		in.drop.Close()
		return nil, nil, answerable(ctx, unreadable(err))
	}
	if in.typed != nil {
		if err := in.compose(); err != nil {
			in.drop.Close()
			return nil, nil, err
		}
	}
	required := complete(in)
	in.drop.Unread = in.form == nil || in.faults.broken
	if in.form == nil && !in.formGone {
		in.faults.add("/"+formPart, "missing", "Bagian \"request\" berisi isian permohonan (JSON) wajib ada.")
	}
	if err := in.lookAtFiles(ctx, required); err != nil {
		in.drop.Close()
		return nil, nil, answerable(ctx, err)
	}
	return in.drop, in.faults, nil
}

// intake is a drop being read.
type intake struct {
	*Reader
	kinds    []string // of files
	faults   *faults
	drop     *Drop
	seen     map[string]int
	form     []byte
	formGone bool // the form part was there but could not be kept
	typed    Typed
	work     *filetype.Work // of looking at the files
}

func (in *intake) parts(mr *multipart.Reader) error {
	for {
		part, err := mr.NextRawPart()
		if err == io.EOF { // not errors.Is: wrapped, it says that the body ended before its last boundary
			return nil
		}
		if err != nil {
			return err
		}
		if err := in.part(part); err != nil {
			return err
		}
		if err := part.Close(); err != nil {
			return err
		}
	}
}

func (in *intake) mostParts() int {
	if in.typed != nil {
		return maxTyped
	}
	return maxParts
}

// maxParts bounds what is read of a body that holds nothing but part headers.
const maxParts = 64

func (in *intake) part(part *multipart.Part) error {
	name := part.FormName()
	in.seen[""]++
	if most := in.mostParts(); in.seen[""] > most {
		return web.BadRequest("Terlalu banyak bagian dalam isi permintaan.")
	}
	isFile := slices.Contains(in.kinds, name)
	if in.typed != nil && !isFile {
		return in.field(part, name)
	}
	if in.typed != nil && unchosen(part) {
		return nil
	}
	in.seen[name]++
	pointer := "/" + printable(name, 60)
	if name == request.FilePurchaseOrder {
		pointer += "/" + strconv.Itoa(in.seen[name]-1)
	}
	if !plainEncoding(part.Header.Get("Content-Transfer-Encoding")) {
		in.faults.add(pointer, "transfer_encoding", "Kirim bagian ini apa adanya, tanpa Content-Transfer-Encoding.")
		return nil
	}
	switch {
	case name == formPart && in.seen[name] == 1:
		return in.readForm(part)
	case isFile && (in.seen[name] == 1 || name == request.FilePurchaseOrder && in.seen[name] <= in.limits.Orders):
		return in.readFile(part, name, pointer)
	case isFile && name == request.FilePurchaseOrder:
		in.faults.add(pointer, "too_many", "Salinan PO paling banyak "+strconv.Itoa(in.limits.Orders)+".")
	case isFile || name == formPart:
		in.faults.add(pointer, "repeated", "Bagian ini hanya boleh dikirim satu kali.")
	default:
		in.faults.add("/"+printable(name, 60), "unknown_part", "Bagian ini tidak dikenal.")
	}
	return nil
}

func (in *intake) readForm(part *multipart.Part) error {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(part, in.limits.Form+1))
	if err != nil {
		return err
	}
	if n > in.limits.Form {
		in.formGone = true
		in.faults.large("/"+formPart, "Bagian \"request\"", in.limits.Form)
		return nil
	}
	in.form = b.Bytes()
	return nil
}

func (in *intake) readFile(part *multipart.Part, kind, pointer string) error {
	limit := in.limits.Scan
	if workbook(kind) {
		limit = in.limits.CardList
	}
	f, err := in.drop.roll.take(part, kind, limit)
	var full *tooLargeError
	if errors.As(err, &full) {
		in.faults.large(pointer, "Berkas "+fileLabels[kind], limit)
		return nil
	}
	if err != nil {
		return err
	}
	f.Pointer = pointer
	f.Name = fileName(part.FileName(), kind)
	in.drop.Files = append(in.drop.Files, f)
	return nil
}

// completeRequest looks at a request's form after all parts are in.
func completeRequest(today clock.Date, fixedReference string) func(*intake) []string {
	return func(in *intake) []string {
		if in.form != nil {
			in.drop.Form = decodeForm(in.form, in.faults)
			checkForm(&in.drop.Form, in.faults, in.limits, today, fixedReference)
		}
		if in.drop.Form.Kind == request.KindReader {
			return []string{request.FileLetter, request.FileCardList, request.FilePurchaseOrder, request.FilePKS}
		}
		return []string{request.FileLetter, request.FileCardList}
	}
}

// lookAtFiles wants the files that must be there and looks at each of all.
func (in *intake) lookAtFiles(ctx context.Context, required []string) error {
	for _, kind := range required {
		if in.seen[kind] == 0 {
			in.faults.add("/"+kind, "missing", "Berkas "+fileLabels[kind]+" wajib dilampirkan.")
		}
	}
	select {
	case in.checks <- struct{}{}:
		defer func() { <-in.checks }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, f := range in.drop.Files {
		if err := in.checkFile(f); err != nil {
			return err
		}
	}
	return nil
}

// retryDisk is what a client is asked to wait for this machine's disk.
const retryDisk = 30 * time.Second

// answerable logs a fault of this machine's disk, which may pass, and asks the
// client to come again.
func answerable(ctx context.Context, err error) error {
	var disk *spoolError
	if !errors.As(err, &disk) {
		return err
	}
	zerolog.Ctx(ctx).Error().Err(err).Msg("the spool takes no files")
	return NoRoom()
}

// NoRoom is the answer to a drop that this machine's disk cannot take.
func NoRoom() *web.Problem {
	p := web.NewProblem(http.StatusServiceUnavailable, "Ruang penyimpanan penerimaan hampir penuh, sehingga kiriman ini belum diterima. "+
		"Kirim ulang beberapa saat lagi dengan Idempotency-Key yang sama.").WithCode("storage-low")
	p.RetryAfter = retryDisk
	return p
}

// unreadable is the answer to a body that ends early or is no multipart.
func unreadable(err error) error {
	var p *web.Problem
	var large *http.MaxBytesError
	var disk *spoolError
	switch {
	case errors.As(err, &p), errors.As(err, &large), errors.As(err, &disk):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return web.BadRequest("Isi permintaan terpotong: akhir multipart tidak ditemukan.")
	}
	return web.BadRequest("Isi permintaan bukan multipart/form-data yang benar.")
}

// faults collects what is wrong with a drop.
type faults struct {
	list     []web.FieldError
	tooLarge bool
	broken   bool // the form cannot be read as JSON at all
}

// maxFaults bounds an answer.
const maxFaults = 200

func (f *faults) add(pointer, code, detail string) {
	if len(f.list) < maxFaults {
		f.list = append(f.list, web.FieldError{Pointer: pointer, Code: code, Detail: detail})
	}
}

func (f *faults) large(pointer, what string, limit int64) {
	f.tooLarge = true
	f.add(pointer, "too_large", what+" paling besar "+sizeText(limit)+".")
}

// refusal closes a drop that has faults and is the answer to it.
func (f *faults) refusal(d *Drop, more More) error {
	if len(f.list) == 0 {
		return nil
	}
	defer d.Close()
	if !d.Unread && more != nil {
		all, err := more(d, f.list)
		if err != nil {
			return err
		}
		f.list = all
	}
	return f.problem()
}

func (f *faults) problem() *web.Problem {
	detail := "Ada " + strconv.Itoa(len(f.list)) + " hal yang perlu diperbaiki; semuanya disebut pada \"errors\"."
	switch {
	case f.tooLarge:
		p := web.NewProblem(http.StatusRequestEntityTooLarge, detail)
		p.Errors = f.list
		return p
	case f.broken:
		return web.BadRequest(detail, f.list...)
	}
	return web.Unprocessable(detail, f.list...)
}

func sizeText(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return strconv.FormatInt(n>>20, 10) + " MB"
	}
	return strconv.FormatInt((n+1023)>>10, 10) + " KB"
}

// fileName keeps what is useful of the name that a client gave a file.
func fileName(given, kind string) string {
	name := printable(path.Base(strings.ReplaceAll(given, `\`, "/")), 120)
	if name == "" || name == "." || name == "/" {
		return kind
	}
	return name
}

// printable drops what cannot be shown or stored and cuts after n characters.
func printable(s string, n int) string {
	var b strings.Builder
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			continue
		}
		if n--; n < 0 {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// plainEncoding says whether the bytes of a part are its content.
func plainEncoding(encoding string) bool {
	switch strings.ToLower(encoding) {
	case "", "binary", "8bit", "7bit":
		return true
	}
	return false
}
