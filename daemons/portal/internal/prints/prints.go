// Package prints gives what people tick on the list of a request's handovers: the BAST of
// a handover, and the list of the cards that a lembaga gets in it (features.md G09 to G12).
// The API and the pages share it.
package prints

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

// What is printed of a row.
const (
	BAST = "bast"
	List = "list"
)

// Row is a line of a handover: a lembaga, and what it gets.
type Row struct {
	Key      string `json:"row"` // by which it is ticked
	Handover string `json:"handover_id"`
	Ordinal  int    `json:"ordinal"` // of the handover
	Line     int    `json:"line"`    // of the request
	Lembaga  string `json:"lembaga"`
	Quantity int    `json:"quantity"` // handed over
	Received *int   `json:"received"` // Jumlah Diterima; nil until it was counted
	BAST     bool   `json:"bast"`     // can be printed by whoever asks, now
	List     bool   `json:"list"`

	of handover.Handover
}

// Desk prints.
type Desk struct {
	DB     *postgres.DB
	Office clock.Office
}

// Rows lists the lines of all handovers of a request that were not taken back, in their order. Error:
// request.ErrNotFound.
func (d Desk) Rows(ctx context.Context, who identity.Account, ticket string) (rows []Row, err error) {
	err = d.DB.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		_, rows, _, err = load(ctx, rd, who, ticket)
		return err
	})
	return rows, err
}

func load(ctx context.Context, rd postgres.Reader, who identity.Account, ticket string) (r request.Request, rows []Row, basts map[string]letter.Document, err error) {
	rows, basts = []Row{}, map[string]letter.Document{}
	if r, err = request.ByTicket(ctx, rd, ticket, report.Scope(who)); err != nil {
		return r, nil, nil, err
	}
	list, err := handover.List(ctx, rd, r.ID)
	if err != nil {
		return r, nil, nil, err
	}
	for _, h := range list {
		if h.State == handover.Cancelled {
			continue
		}
		bast, err := letter.Living(ctx, rd, letter.BAST, h.ID)
		if err == nil {
			basts[h.ID] = bast
		} else if !errors.Is(err, letter.ErrNotFound) {
			return r, nil, nil, err
		}
		lines, err := handover.Lines(ctx, rd, h.ID)
		if err != nil {
			return r, nil, nil, err
		}
		outside := report.Outside(who)
		for _, l := range lines {
			rows = append(rows, Row{
				Key: h.ID + "." + strconv.Itoa(l.Line), Handover: h.ID, Ordinal: h.Ordinal, Line: l.Line, Lembaga: l.Lembaga, Quantity: l.Quantity, Received: l.Received,
				BAST: printable(basts[h.ID], outside) != "", List: !outside || h.DeliveredOn != nil, of: h,
			})
		}
	}
	return r, rows, basts, nil
}

// printable is the form of a BAST that is printed: the one with the signatures, once it
// is there.
func printable(d letter.Document, outside bool) string {
	have := report.DocumentFormats(d, outside)
	for _, format := range []string{"scan", "pdf"} {
		if slices.Contains(have, format) {
			return format
		}
	}
	return ""
}

// File is one of the papers that were ticked.
type File struct {
	Name, MediaType string
	folder          string // in an archive of several
	size            int64
	modified        time.Time
	open            func(ctx context.Context) (io.ReadCloser, error)
}

// Files are the BAST, each once, or the lists of the rows that were ticked. Errors:
// form.Faults about /row, request.ErrNotFound.
func (d Desk) Files(ctx context.Context, who identity.Account, ticket, what string, keys []string) (files []File, err error) {
	err = d.DB.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		r, rows, basts, err := load(ctx, rd, who, ticket)
		if err != nil {
			return err
		}
		ticked, err := tick(rows, what, keys)
		if err != nil {
			return err
		}
		if what == List {
			files, err = d.lists(ctx, rd, r, ticked)
			return err
		}
		for _, row := range ticked {
			if len(files) > 0 && files[len(files)-1].folder == folder(row.Ordinal) {
				continue // another lembaga of the same handover
			}
			f, err := d.bast(ctx, rd, r, row, basts[row.Handover], report.Outside(who))
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		return nil
	})
	return files, err
}

// tick finds the rows that were ticked, in their order.
func tick(rows []Row, what string, keys []string) (ticked []Row, err error) {
	var wrong form.Faults
	for _, key := range keys {
		if !slices.ContainsFunc(rows, func(r Row) bool { return r.Key == key }) {
			wrong.Add("/row", "unknown", "Baris yang dicentang tidak ada pada permohonan ini.")
		}
	}
	for _, row := range rows {
		if !slices.Contains(keys, row.Key) {
			continue
		}
		ticked = append(ticked, row)
		switch {
		case what == BAST && !row.BAST:
			wrong.Add("/row", "not_ready", "BAST serah terima ke-%d belum dapat dicetak.", row.Ordinal)
		case what == List && !row.List:
			wrong.Add("/row", "not_ready", "Daftar kartu serah terima ke-%d belum dapat dicetak.", row.Ordinal)
		}
	}
	if len(keys) == 0 {
		wrong.Add("/row", "missing", "Centang sekurangnya satu baris.")
	}
	return ticked, wrong.Err()
}

func folder(ordinal int) string { return fmt.Sprintf("serah-terima-%d", ordinal) }

func (d Desk) bast(ctx context.Context, rd postgres.Reader, r request.Request, row Row, paper letter.Document, outside bool) (File, error) {
	format := printable(paper, outside)
	text, _ := paper.File(format)
	id, err := uuid.Parse(text)
	if err != nil {
		return File{}, fmt.Errorf("prints: file of a paper: %w", err)
	}
	info, err := blob.Stat(ctx, rd, id)
	if err != nil {
		return File{}, err
	}
	name := fmt.Sprintf("bast-%s-%d", r.Ticket, row.Ordinal)
	if format == "scan" {
		name += "-bertanda-tangan"
	}
	return File{Name: name + ".pdf", MediaType: info.MediaType, folder: folder(row.Ordinal), size: info.Size, modified: paper.CreatedAt,
		open: func(ctx context.Context) (io.ReadCloser, error) {
			content, _, err := blob.Open(ctx, d.DB, id)
			return content, err
		}}, nil
}

// mediaXLSX is the type of the lists.
const mediaXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

func (d Desk) lists(ctx context.Context, rd postgres.Reader, r request.Request, rows []Row) ([]File, error) {
	of, err := institution.Get(ctx, rd, r.InstitutionID)
	if err != nil {
		return nil, err
	}
	all, err := perso.List(ctx, rd, r.ID)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, row := range rows {
		cards, err := handover.Cards(ctx, rd, row.Handover)
		if err != nil {
			return nil, err
		}
		inside := map[string]bool{}
		for _, c := range cards {
			inside[c.ID] = c.Line == row.Line
		}
		sheet := report.ResultSheet{Produsen: of.Name, Lembaga: row.Lembaga, Note: note(row),
			Cards: slices.DeleteFunc(slices.Clone(all), func(c perso.CardRow) bool { return !inside[c.ID] })}
		var b bytes.Buffer
		if err := sheet.Write(&b); err != nil {
			return nil, err
		}
		files = append(files, File{
			Name: report.ResultSheetName(d.day(row.of)) + ".xlsx", MediaType: mediaXLSX, folder: folder(row.Ordinal) + "/baris-" + strconv.Itoa(row.Line),
			size: int64(b.Len()), modified: row.of.CreatedAt, open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(&b), nil },
		})
	}
	return files, nil
}

// day is that of a list: when the cards were counted, were handed over, or today.
func (d Desk) day(h handover.Handover) clock.Date {
	switch {
	case h.ReceivedOn != nil:
		return *h.ReceivedOn
	case h.DeliveredOn != nil:
		return *h.DeliveredOn
	}
	return clock.Today(d.Office)
}

// note says how many of the cards in a list arrived: which ones is not known where they
// are fewer (features.md G08).
func note(row Row) string {
	pieces := func(n int) string { return terbilang.FormatInt(int64(n)) + " keping" }
	text := fmt.Sprintf("Serah terima ke-%d: %s", row.Ordinal, pieces(row.Quantity))
	if row.Received != nil {
		text += ", jumlah diterima " + pieces(*row.Received)
	}
	return text
}

// Send sends one file as it is, several as an archive of that name.
func Send(w http.ResponseWriter, r *http.Request, name string, files []File) error {
	if len(files) == 1 {
		f := files[0]
		content, err := f.open(r.Context())
		if err != nil {
			return err
		}
		defer func() { _ = content.Close() }()
		web.Send(w, r, web.Download{Name: f.Name, MediaType: f.MediaType, Size: f.size, Content: content})
		return nil
	}
	from, to := io.Pipe()
	defer func() { _ = from.Close() }() // ends the archive of a client that went away
	go func() { _ = to.CloseWithError(archive(r.Context(), to, files)) }()
	web.Send(w, r, web.Download{Name: name + ".zip", MediaType: "application/zip", Size: -1, Content: from})
	return nil
}

func archive(ctx context.Context, w io.Writer, files []File) error {
	z := zip.NewWriter(w)
	for _, f := range files {
		part, err := z.CreateHeader(&zip.FileHeader{Name: f.folder + "/" + f.Name, Method: zip.Deflate, Modified: f.modified})
		if err != nil {
			return fmt.Errorf("prints: archive: %w", err)
		}
		content, err := f.open(ctx)
		if err != nil {
			return err
		}
		_, err = io.Copy(part, content)
		if err = errors.Join(err, content.Close()); err != nil {
			return fmt.Errorf("prints: archive: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("prints: archive: %w", err)
	}
	return nil
}

// ArchiveName is the name of an archive of a request's papers, without its ending.
func ArchiveName(what, ticket string) string { return what + "-" + strings.ToLower(ticket) }
