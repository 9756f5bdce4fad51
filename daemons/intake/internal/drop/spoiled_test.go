package drop

import (
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/test/spoiled"
)

const goodForm = `{"kind":"rekam_cetak","reference":"001","title":"Personalisasi","sam_function":"R","card_count":3,"machine_type":"TANPA",
	"letter":{"sender":"Dinas Dukcapil Kota Contoh","post":"Kepala Dinas","number":"12/DIR","date":"2026-11-20","subject":"Permohonan"}}`

// reader reads drops of one letter and one card list.
func newReader(t testing.TB) *Reader {
	t.Helper()
	spool, err := OpenSpool(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() {
		left, err := os.ReadDir(spool.Dir())
		require.NoError(t, err)
		require.Empty(t, left)
	})
	return NewReader(spool, DefaultLimits())
}

func body(t testing.TB, letterName string, letter, list []byte, orders ...[]byte) (b []byte, contentType string) {
	t.Helper()
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	require.NoError(t, w.WriteField(formPart, goodForm))
	type file struct {
		part, name string
		body       []byte
	}
	files := []file{{request.FileLetter, letterName, letter}, {request.FileCardList, "daftar.xlsx", list}}
	for _, order := range orders {
		files = append(files, file{request.FilePurchaseOrder, "po.png", order})
	}
	for _, f := range files {
		p, err := w.CreateFormFile(f.part, f.name)
		require.NoError(t, err)
		_, err = p.Write(f.body)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes(), w.FormDataContentType()
}

// take reads a drop and returns what is wrong with it, "code pointer".
func take(t testing.TB, rd *Reader, letterName string, letter, list []byte, orders ...[]byte) (*Drop, []string) {
	t.Helper()
	b, contentType := body(t, letterName, letter, list, orders...)
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(b))
	r.Header.Set("Content-Type", contentType)
	d, err := rd.Read(t.Context(), r, today, "", nil)
	if err == nil {
		return d, nil
	}
	var p *web.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, http.StatusUnprocessableEntity, p.Status)
	var found []string
	for _, e := range p.Errors {
		require.NotEmpty(t, e.Detail)
		found = append(found, e.Code+" "+e.Pointer)
	}
	return nil, found
}

// Every card list gets exactly the findings that a clerk would write: those of
// the intake at once, or those of its reading; the good ones their cards.
func TestSpoiledCardLists(t *testing.T) {
	t.Parallel()
	rd := newReader(t)
	list := append(spoiled.Sheets(t), spoiled.Converted(t)...)
	list = append(list, spoiled.Sheet{
		Name: "a card too many", Body: spoiled.Long(t, validation.MaxRows+1), Found: []string{"list_too_large /card_list"},
	})
	require.Greater(t, len(list), 100)
	for _, s := range list {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			d, found := take(t, rd, "surat.pdf", spoiled.PDF(), s.Body)
			if s.Refused != "" {
				require.Equal(t, []string{s.Refused + " /card_list"}, found)
				return
			}
			require.Empty(t, found)
			defer d.Close()
			f := d.Files[1]
			require.Equal(t, mediaXLSX, f.MediaType)
			read, err := validation.ReadList(f.Content(), f.Size)
			require.NoError(t, err)
			var warned []string
			for _, f := range read.Faults {
				require.NotEmpty(t, f.Detail)
				if f.Severity == validation.Error {
					found = append(found, f.Code+" "+f.Pointer)
				} else {
					warned = append(warned, f.Code+" "+f.Pointer)
				}
			}
			require.Equal(t, s.Found, found)
			require.Equal(t, s.Warned, warned)
			if !s.Good() {
				return
			}
			var cards []string
			for _, row := range read.Rows() {
				cards = append(cards, row.Serial+"/"+row.ReaderSerial)
			}
			require.Equal(t, s.Cards, cards)
		})
	}
}

// Every paper is taken as what it is, under a name that opens it, or refused
// with the one reason.
func TestSpoiledPapers(t *testing.T) {
	t.Parallel()
	rd := newReader(t)
	list := spoiled.Papers(t)
	require.Greater(t, len(list), 60)
	cards := spoiled.Long(t, 3)
	for _, p := range list {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			d, found := take(t, rd, p.File, p.Body, cards)
			if p.Code != "" {
				require.Equal(t, []string{p.Code + " /letter"}, found)
				return
			}
			require.Empty(t, found)
			defer d.Close()
			require.Equal(t, p.Kind, d.Files[0].MediaType)
			require.Contains(t, map[string][]string{
				"application/pdf": {"surat.pdf"}, "image/jpeg": {"surat.jpg", "surat.jpeg"}, "image/png": {"surat.png"},
			}[p.Kind], d.Files[0].Name)
		})
	}
}

// The papers of one drop share what looking at them may cost.
func TestADropOfBombsIsNotLookedAtToItsEnd(t *testing.T) {
	t.Parallel()
	dear := spoiled.DearPNG(t)
	_, found := take(t, newReader(t), "surat.png", dear, spoiled.Long(t, 3), dear, dear, spoiled.PDF())
	require.Equal(t, []string{"too_much /purchase_order/1", "too_much /purchase_order/2"}, found)
}

// FuzzRead: whatever body comes in, it is a drop or a problem of the sender's.
func FuzzRead(f *testing.F) {
	if spoiled.AreSeeds() {
		addBodies(f)
	}
	spool, err := OpenSpool(f.TempDir())
	require.NoError(f, err)
	rd := NewReader(spool, DefaultLimits())
	f.Fuzz(func(t *testing.T, b []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(b))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=batas")
		d, err := rd.Read(t.Context(), r, today, "", nil)
		if err == nil {
			for _, file := range d.Files {
				if file.MediaType == "" {
					t.Fatal("a file of no type")
				}
			}
			d.Close()
			return
		}
		var p *web.Problem
		if !errors.As(err, &p) || p.Status >= 500 {
			t.Fatal(fmt.Errorf("not the sender's: %w", err))
		}
	})
}

// addBodies seeds with whole drops: good, cut off, and with every fourth spoiled file.
func addBodies(f *testing.F) {
	good, contentType := body(f, "surat.pdf", spoiled.PDF(), spoiled.Long(f, 3))
	boundary := []byte(contentType[len("multipart/form-data; boundary="):])
	seed := func(b []byte) { f.Add(bytes.ReplaceAll(b, boundary, []byte("batas"))) }
	seed(good)
	seed(good[:len(good)/2])
	for i, s := range spoiled.Sheets(f) {
		if len(s.Body) < 20<<10 && i%4 == 0 {
			b, _ := body(f, "surat.pdf", spoiled.PDF(), s.Body)
			seed(bytes.ReplaceAll(b, b[2:bytes.IndexByte(b, '\r')], []byte("batas")))
		}
	}
	for i, p := range spoiled.Papers(f) {
		if len(p.Body) < 20<<10 && i%4 == 0 {
			b, _ := body(f, "x", p.Body, []byte("PK"))
			seed(bytes.ReplaceAll(b, b[2:bytes.IndexByte(b, '\r')], []byte("batas")))
		}
	}
	f.Add([]byte("--batas\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{}\r\n--batas--\r\n"))
	f.Add([]byte("--batas\r\nContent-Disposition: form-data; name=\"letter\"; filename=\"../../a\"\r\nContent-Transfer-Encoding: base64\r\n\r\n%PDF-\r\n--batas--"))
}
