package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/png" // what the codes are
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/draw"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// scanned is what a telephone reads from a picture. A telephone takes one frame after the
// other, nearer and farther, until one can be read: with a single one this reader fails on
// two codes in a thousand, also on the very picture that was drawn.
func scanned(t *testing.T, picture []byte) string {
	t.Helper()
	img, _, err := image.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	for _, percent := range []int{100, 90, 125, 75, 150} {
		b := img.Bounds()
		frame := image.NewGray(image.Rect(0, 0, b.Dx()*percent/100, b.Dy()*percent/100))
		draw.BiLinear.Scale(frame, frame.Bounds(), img, b, draw.Src, nil)
		light := gozxing.NewLuminanceSourceFromImage(frame)
		for _, edges := range []gozxing.Binarizer{gozxing.NewHybridBinarizer(light), gozxing.NewGlobalHistgramBinarizer(light)} {
			bitmap, err := gozxing.NewBinaryBitmap(edges)
			require.NoError(t, err)
			result, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
			if err == nil {
				return result.GetText()
			}
		}
	}
	require.Fail(t, "no code can be read")
	return ""
}

// printed is the first page of a PDF as a picture, with so many dots an inch.
func printed(t *testing.T, pdf []byte, dpi string) []byte {
	t.Helper()
	cmd := exec.Command("pdftoppm", "-png", "-r", dpi, "-f", "1", "-l", "1", "-")
	cmd.Stdin = bytes.NewReader(pdf)
	page, err := cmd.Output()
	require.NoError(t, err)
	if dir := os.Getenv("PAPERS_DIR"); dir != "" { // to be looked at
		file, err := os.CreateTemp(dir, "*.png")
		require.NoError(t, err)
		_, err = file.Write(page)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
	return page
}

// entry reads one file of a .docx.
func entry(t *testing.T, docx []byte, name string) []byte {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(docx), int64(len(docx)))
	require.NoError(t, err)
	f, err := archive.Open(name)
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = b.ReadFrom(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return b.Bytes()
}

// TestPapersLeadToTheirPage: the code and the address are in the Word file and on the
// PDF before anybody signs; a telephone reads the code at a scanner's coarse setting.
func TestPapersLeadToTheirPage(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 6, Failed: 2})
	run(t, o, "", "127.0.0.1:0")
	r := o.Request(t)
	d := destroy(t, o, r, 0, 2)
	papers(t, o, r, 1)
	o.Finish(t, r)
	o.Open(t, r, 3)
	made := papers(t, o, r, 5)

	official := letter.Signature{Name: "Pejabat Contoh", Post: "Direktur Fasilitasi Pemanfaatan Data dan Dokumen Kependudukan"}
	seen := map[string]bool{}
	for kind, want := range map[string][]letter.Signature{
		letter.ReplyLetter:       {{Name: "Pejabat Contoh", Post: "Direktur Jenderal Kependudukan dan Pencatatan Sipil"}},
		letter.CompletionLetter:  {official},
		letter.BAST:              {official, {Name: "Wakil Produsen Contoh", Post: "PIC Produsen"}},
		letter.DestructionReport: {{Name: d.First.Name, Post: d.First.Post}, {Name: d.Second.Name, Post: d.Second.Post}},
	} {
		paper := made[kind]
		require.Equal(t, letter.AwaitingSignature, paper.State, kind)
		require.False(t, seen[paper.Token])
		seen[paper.Token] = true
		address := "https://sifilma.dukcapil.kemendagri.go.id/verifikasi/" + paper.Token

		pdf, _ := file(t, o, paper, "pdf")
		require.Contains(t, pdfText(t, pdf), "Keaslian naskah ini dapat diperiksa pada "+address, "%s: whole, on one line", kind)
		require.Equal(t, address, scanned(t, printed(t, pdf, "200")), kind)
		word, _ := file(t, o, paper, "docx")
		require.Equal(t, address, scanned(t, entry(t, word, "word/media/verification_qr.png")), kind)

		signed, err := paper.Signatures()
		require.NoError(t, err)
		require.Equal(t, want, signed, "%s: as printed", kind)
		for _, s := range signed {
			require.Contains(t, pdfText(t, pdf), s.Name, kind)
		}
	}
}

// TestPapersNameThePortalOfTheirOffice: a private office's papers lead to its own.
func TestPapersNameThePortalOfTheirOffice(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	run(t, o, "content: {portal_url: 'http://127.0.0.1:7306/'}", "127.0.0.1:0")
	reply := papers(t, o, o.Done(t), 3)[letter.ReplyLetter]
	pdf, _ := file(t, o, reply, "pdf")
	require.Equal(t, "http://127.0.0.1:7306/verifikasi/"+reply.Token, scanned(t, printed(t, pdf, "150")))
}

// TestPapersWaitForTheRightAddress: while the portal says that it is reached elsewhere, no
// paper is printed with an address that leads nowhere, and readyz tells which two settings
// differ; the list, which carries none, is made. Once they agree, all are.
func TestPapersWaitForTheRightAddress(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	say := func(address string) {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error { return letter.SayPortal(ctx, tx, address) })
	}
	say("https://lain.example")
	address := freeAddress(t)
	run(t, o, "content: {portal_url: 'https://sifilma.example'}\npress: {poll: 100ms}", address)
	r := o.Done(t)
	made := papers(t, o, r, 1)
	require.Equal(t, letter.Issued, made[letter.ResultList].State)
	var ready map[string]any
	require.Eventually(t, func() bool {
		status, _ := asked(address, "/readyz", &ready)
		return status == http.StatusServiceUnavailable
	}, patience, 50*time.Millisecond)
	require.Contains(t, fmt.Sprint(ready["checks"]), "portal_url of the document generator is https://sifilma.example, portal.public_url of the portal is https://lain.example")
	for _, kind := range []string{letter.ReplyLetter, letter.CompletionLetter} {
		require.NotEqual(t, letter.AwaitingSignature, papers(t, o, r, 1)[kind].State)
	}
	say("https://SIFILMA.example/")
	pdf, _ := file(t, o, papers(t, o, r, 3)[letter.ReplyLetter], "pdf")
	require.Contains(t, pdfText(t, pdf), "https://sifilma.example/verifikasi/")
}
