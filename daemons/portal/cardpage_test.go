package main

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/perso"
)

// pageLetter is letterOf as the page sends it: each card by its serial, on a line.
func pageLetter(fields map[string]string, cards ...perso.CardRow) []string {
	var serials []string
	for _, c := range cards {
		serials = append(serials, c.Serial)
	}
	all := map[string]string{"serials": strings.Join(serials, "\r\n"), "count": strconv.Itoa(len(cards))}
	for name, value := range fields {
		all[name] = value
	}
	return letterOf(all)
}

// serialBook is a workbook with these in a column.
func serialBook(t *testing.T, column string, values ...any) []byte {
	t.Helper()
	f := excelize.NewFile()
	for i, v := range values {
		require.NoError(t, f.SetCellValue("Sheet1", column+strconv.Itoa(i+1), v))
	}
	var b bytes.Buffer
	require.NoError(t, f.Write(&b))
	return b.Bytes()
}

// withBook is a form of a reduction with a workbook beside the scan.
func withBook(t *testing.T, book []byte, fields ...string) *form {
	t.Helper()
	f := &form{}
	w := multipart.NewWriter(&f.body)
	for i := 0; i+1 < len(fields); i += 2 {
		require.NoError(t, w.WriteField(fields[i], fields[i+1]))
	}
	for name, content := range map[string][]byte{"scan": pdf, "list": book} {
		part, err := w.CreateFormFile(name, name+map[string]string{"scan": ".pdf", "list": ".xlsx"}[name])
		require.NoError(t, err)
		_, err = part.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	f.mediaType = w.FormDataContentType()
	return f
}

// cardRows are the rows of the table of cards.
func (d *document) cardRows() (serials []string) {
	for _, div := range d.all("div") {
		if by := attr(div, "aria-labelledby"); by == "cap-kartu" || by == "cap-daftar" {
			for _, th := range (&document{root: div}).all("th") {
				if attr(th, "scope") == "row" {
					serials = append(serials, textOf(th))
				}
			}
		}
	}
	return serials
}

// The page of a request stays small however many cards it has: no more than a page of
// them, and none in a form.
func TestAPageOfARequestShowsAPageOfItsCards(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(230)
	page := "/permohonan/" + r.Ticket
	rows := func(who, path string, want int) *document {
		t.Helper()
		d := o.page(200, who, path)
		require.Len(t, d.cardRows(), want, path)
		require.Less(t, len(d.all("tr")), 160, path)
		require.Less(t, len(d.all("input"))+len(d.all("option")), 80, path)
		return d
	}
	require.Contains(t, rows("produsen", page, 100).text, "1 sampai 100 dari 230 kartu.")
	rows("produsen", page+"?halaman=3", 30)

	v := o.accept(r)
	cards := o.cards("kasubdit", v.Ticket)
	for _, who := range []string{"kasubdit", "operator", "produsen"} {
		d := rows(who, page, 100)
		require.Contains(t, d.text, "Halaman 1 dari 3")
		require.Equal(t, cards[0].Serial, d.cardRows()[0])
	}
	d := rows("kasubdit", page+"?halaman=3", 30)
	require.Equal(t, cards[200].Serial, d.cardRows()[0])
	require.Equal(t, d.cardRows(), rows("kasubdit", page+"?halaman=99", 30).cardRows(), "behind the end is the last page")
	for _, nonsense := range []string{"?halaman=-1", "?halaman=x", "?halaman=99999999999999999999", "?status=apa", "?cari=%00", "?cari=%ff"} {
		rows("kasubdit", page+nonsense, 100)
	}

	require.Equal(t, []string{cards[149].Serial}, rows("operator", page+"?cari="+strings.ToLower(cards[149].Serial)+"+", 1).cardRows(), "a serial in any case")
	d = rows("operator", page+"?cari=TIDAK-ADA", 0)
	require.Contains(t, d.text, "0 kartu yang cocok")
	require.Contains(t, rows("operator", page+"?status=clear", 0).text, "Tampilkan semua")
	rows("operator", page+"?status=listed", 100)
}

func TestCardsOfAProducedRequestAreFoundByTheirNumbers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(12))
	o.produce(v, 2)
	page := "/permohonan/" + v.Ticket
	cards := o.cards("operator", v.Ticket)
	one := cards[7]
	require.NotEmpty(t, one.PCID)
	for _, number := range []string{one.PCID, one.ManifestNo, one.ReaderSerial, one.Serial} {
		require.Equal(t, []string{one.Serial}, o.page(200, "operator", page+"?cari="+number).cardRows(), number)
	}
	require.Equal(t, []string{cards[0].Serial, cards[1].Serial}, o.page(200, "operator", page+"?status=failed").cardRows())
	d := o.page(200, "operator", page+"?status=clear&cari=tidak").form("kartu/pengganti")
	require.Contains(t, d.text, cards[0].Serial, "what is to be decided stands whatever is looked for")
	require.NotContains(t, d.text, cards[5].Serial, "and nothing else")
}

func TestReductionByRangesAndWorkbook(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(60))
	cards := o.cards("kasubdit", v.Ticket)
	at := "/permohonan/" + v.Ticket + "/kartu/pengurangan"
	refused := func(f *form, says ...string) {
		t.Helper()
		d := o.read(o.want(422, nil, "kasubdit", http.MethodPost, at, f))
		for _, s := range says {
			require.Contains(t, d.text, s)
		}
		require.Equal(t, 60, o.see(v.Ticket).Cards.Total, "everything or nothing")
	}
	typed := func(serials, count string) *form {
		return newForm(t, pdf, pageLetter(map[string]string{"serials": serials, "count": count})...)
	}
	refused(typed("", "1"), "Ketik sekurangnya satu nomor seri, atau pilih Excel.")
	refused(typed("1-5\n\nX9\n17\n50-70\n9-3\n"+cards[2].Serial, "5"),
		"Baris 3: nomor seri “X9” tidak ada pada permohonan ini.",
		"Baris 4: nomor seri “17” tidak ada pada permohonan ini. Nomor urut daftar ditulis sebagai rentang, seperti 17-17.",
		"Baris 5: nomor urut 61 pada “50-70” tidak ada",
		"Baris 6: rentang “9-3” terbalik",
		"Baris 7: kartu "+cards[2].Serial+" sudah disebut pada baris 1.")
	refused(typed("1-5", "6"), "Daftar ini berisi 5 kartu, surat menyebut 6.")
	refused(typed("1-5", ""), "Isi jumlah kartu menurut surat, paling sedikit 1. Daftar ini berisi 5 kartu.")
	refused(typed("1-60", "60"), "Sisakan sekurangnya satu")
	refused(typed(strings.Repeat("salah\n", 500), "500"), "Masih ada 480 kesalahan lain.")
	refused(withBook(t, serialBook(t, "A", cards[0].Serial, "X1"), pageLetter(map[string]string{"count": "2"})...),
		"Sel A2: nomor seri “X1” tidak ada pada permohonan ini.")
	refused(withBook(t, serialBook(t, "A", 8935000123456789012.0), pageLetter(map[string]string{"count": "1"})...), "Sel A1: Excel menyimpan isinya sebagai angka")
	refused(withBook(t, []byte("bukan Excel"), pageLetter(map[string]string{"count": "2"})...), "Excel")
	refused(withBook(t, serialBook(t, "A", cards[0].Serial), pageLetter(nil, cards[0])...), "salah satu saja")

	o.want(303, nil, "kasubdit", http.MethodPost, at, typed(" 1 - 5 \n"+strings.ToLower(cards[9].Serial), "6"))
	require.Equal(t, 54, o.see(v.Ticket).Cards.Total)
	book := serialBook(t, "C", "Daftar pengurangan", "No. Seri Kartu SAM", cards[10].Serial, cards[11].Serial)
	o.want(303, nil, "kasubdit", http.MethodPost, at, withBook(t, book, pageLetter(map[string]string{"count": "2", "letter_number": "08"})...))
	require.Equal(t, 52, o.see(v.Ticket).Cards.Total)
	now := o.cards("kasubdit", v.Ticket)
	for i, c := range now {
		require.Equal(t, i < 5 || i == 9 || i == 10 || i == 11, c.State == perso.Reduced, i)
	}
}
