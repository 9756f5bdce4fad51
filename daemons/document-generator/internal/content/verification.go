package content

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/url"
	"strings"

	"github.com/boombuler/barcode/qr"

	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/letter"
)

// The code on a paper that leads to its page: side is on paper, in millimetres, quiet
// is the white around it, in modules (ISO/IEC 18004 section 9.1), and mostDots bounds
// its picture, so that LibreOffice need not make it smaller: 300 dots an inch.
const (
	codeSide     = 20
	codeQuiet    = 4
	codeMostDots = 236
)

// checkPortal says whether papers can name an address below the portal's.
func checkPortal(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("portal_url %q is not an origin such as https://portal.example", address)
	}
	if len(u.Host) > 100 {
		return fmt.Errorf("portal_url %q is too long to stand on a paper", address)
	}
	return nil
}

// address is the public page of a paper.
func (w *Writer) address(d letter.Document) string {
	return strings.TrimRight(w.cfg.PortalURL, "/") + letter.VerificationPath + d.Token
}

// code is an address as a QR code: level M, which bears a fold or a stamp on 15 % of it.
func code(address string) (docx.Picture, error) {
	modules, err := qr.Encode(address, qr.M, qr.Unicode)
	if err != nil {
		return docx.Picture{}, fmt.Errorf("content: QR code: %w", err)
	}
	size := modules.Bounds().Dx()
	dots := max(1, codeMostDots/(size+2*codeQuiet)) // of a module
	side := (size + 2*codeQuiet) * dots
	picture := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range side {
		for x := range side {
			if at := image.Pt(x/dots-codeQuiet, y/dots-codeQuiet); at.In(modules.Bounds()) && modules.At(at.X, at.Y) == color.Black {
				picture.SetColorIndex(x, y, 1)
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		return docx.Picture{}, fmt.Errorf("content: QR code: %w", err)
	}
	return docx.Picture{Name: "verification_qr", PNG: b.Bytes(), Alt: "Kode QR ke " + address, Width: codeSide, Height: codeSide}, nil
}

// signatures are whose signatures a paper wants, as fill prints them.
func (w *Writer) signatures(f facts) []letter.Signature {
	official := letter.Signature{Name: f.signer.Name, Post: strings.ReplaceAll(f.signer.Printed(), "\n", " ")}
	switch f.doc.Kind {
	case letter.BAST:
		return []letter.Signature{official, {Name: strings.TrimSpace(f.produsen.Representative), Post: secondPost(f)}}
	case letter.BlankReceipt:
		return []letter.Signature{f.counted.BroughtBy, f.counted.ReceivedBy}
	case letter.DaySheet:
		return []letter.Signature{f.sheet.MadeBy, f.sheet.KnownBy}
	case letter.DestructionReport:
		d := f.destroyed
		return []letter.Signature{{Name: d.First.Name, Post: d.First.Post}, {Name: d.Second.Name, Post: d.Second.Post}}
	}
	return []letter.Signature{official}
}
