package pages

import (
	"fmt"
	"image"
	"image/color"
	"net/http"
	"strconv"
	"strings"

	"github.com/boombuler/barcode/qr"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// labelBody is what the labels of a handover's trays show.
type labelBody struct {
	Crumbs []crumb
	Lead   string
	Labels []trayLabel
}

// trayLabel stands on one tray: the cards of one lembaga in one handover.
type trayLabel struct {
	Ticket, Handover, Produsen, Lembaga, Quantity, Appointment, Tray string
	Code                                                             squareCode
}

// squareCode is a QR code as an outline: Side modules wide, its quiet zone counted.
type squareCode struct {
	Side int
	Path string
}

// codeQuiet is the white around a code, in modules (ISO/IEC 18004 section 9.1).
const codeQuiet = 4

// codeOf draws text as a QR code of level M.
func codeOf(text string) (squareCode, error) {
	modules, err := qr.Encode(text, qr.M, qr.Unicode)
	if err != nil {
		return squareCode{}, fmt.Errorf("pages: QR code: %w", err)
	}
	size := modules.Bounds().Dx()
	var path strings.Builder
	for y := range size {
		for x := range size {
			if modules.At(x, y) == color.Black {
				at := image.Pt(x, y).Add(image.Pt(codeQuiet, codeQuiet))
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", at.X, at.Y)
			}
		}
	}
	return squareCode{size + 2*codeQuiet, path.String()}, nil
}

// labels shows the labels of a handover's trays, one for each lembaga, for printing.
func (p *Pages) labels(w http.ResponseWriter, r *http.Request) error {
	v, at, err := p.handoverOf(r)
	if err != nil {
		return err
	}
	who := signin.Account(r)
	if report.Outside(who) {
		return report.ErrNotFound
	}
	if v.State == handover.Cancelled {
		return handover.ErrTakenBack
	}
	of, err := report.Load(r.Context(), p.db, v.Ticket, who, p.office.Now())
	if err != nil {
		return err
	}
	code, err := codeOf(v.Ticket)
	if err != nil {
		return err
	}
	body := labelBody{
		Crumbs: handoverCrumbs(v, at),
		Lead:   "Satu label untuk tiap baki: kartu satu lembaga pengguna dalam serah terima ini. Kode di label adalah Kode Tiket. Cetak halaman ini dari peramban (Ctrl+P): hanya labelnya yang tercetak.",
	}
	for i, l := range v.Lines {
		label := trayLabel{
			Ticket: v.Ticket, Handover: handoverTitle(v), Produsen: of.Institution, Lembaga: lembagaOf(v, l.Line), Code: code,
			Quantity: number(l.Quantity) + " (" + terbilang.Number(int64(l.Quantity)) + ") keping", Tray: strconv.Itoa(i+1) + " dari " + strconv.Itoa(len(v.Lines)),
		}
		if v.AppointedAt != nil {
			label.Appointment = terbilang.FormatDateTime(*v.AppointedAt)
		}
		body.Labels = append(body.Labels, label)
	}
	p.show(w, r, http.StatusOK, "labels", "Label baki", body)
	return nil
}
