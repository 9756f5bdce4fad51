package configs_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// columns are the templates in the order of the columns of templates/README.md.
var columns = []string{"bast", "surat-balasan", "surat-keterangan-selesai", "surat-balasan-aktivasi", "berita-acara-kartu-rusak", "tanda-terima-blangko", "lembar-harian"}

func template(t *testing.T, name string) []byte {
	b, err := configs.Template(name)
	require.NoError(t, err)
	return b
}

// documented reads the tag table of templates/README.md: obligatory and optional tags per template.
func documented(t *testing.T) (required, optional map[string][]string) {
	b, err := fs.ReadFile(configs.Files, "templates/README.md")
	require.NoError(t, err)
	required, optional = map[string][]string{}, map[string][]string{}
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(line, "|")
		if len(cells) != len(columns)+4 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		tag := strings.Trim(strings.TrimSpace(cells[1]), "`")
		for i, name := range columns {
			switch mark := strings.TrimSpace(cells[i+2]); mark {
			case "w":
				required[name] = append(required[name], tag)
			case "o":
				optional[name] = append(optional[name], tag)
			case "t": // it has a value, and is not in the shipped template
			default:
				require.Empty(t, mark, "%s of %s", tag, name)
			}
		}
	}
	return required, optional
}

func TestTemplatesMatchTheirTagList(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(configs.Files, "templates/*.docx")
	require.NoError(t, err)
	required, optional := documented(t)
	for _, file := range files {
		require.Contains(t, columns, strings.TrimSuffix(path.Base(file), ".docx"), "a template without a column in its README")
	}
	for _, name := range columns {
		tags, err := docx.Tags(template(t, name))
		require.NoError(t, err)
		listed := slices.Concat(required[name], optional[name])
		slices.Sort(listed)
		require.Equal(t, listed, tags, name)
		require.NoError(t, docx.Check(template(t, name), required[name], optional[name]))
	}
}

// dot is a picture.
func dot(t *testing.T) []byte {
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))))
	return b.Bytes()
}

// paper fills a template with plain samples and n rows in each table.
func paper(t *testing.T, name string, n int) []byte {
	inside, err := docx.Inspect(template(t, name))
	require.NoError(t, err)
	values := map[string]string{}
	var pictures []docx.Picture
	for _, tag := range inside.Tags {
		if name, picture := strings.CutPrefix(tag, "@"); picture {
			pictures = append(pictures, docx.Picture{Name: name, PNG: dot(t), Width: 20, Height: 20})
			continue
		}
		values[tag] = "Contoh " + strings.ReplaceAll(tag, "_", " ")
	}
	values["date_in_words"] = terbilang.DateInWords(clock.MustParseDate("2026-11-23"))
	values["quantity"], values["quantity_words"] = terbilang.FormatInt(int64(n)), terbilang.Number(int64(n))
	tables := map[string][]map[string]string{}
	for table, tags := range inside.Tables {
		for i := range n {
			row := map[string]string{"no": fmt.Sprint(i + 1)}
			for _, tag := range tags {
				if tag != "no" {
					row[tag] = fmt.Sprintf("%s-%05d", strings.ToUpper(tag[:2]), i+1)
				}
			}
			tables[table] = append(tables[table], row)
		}
	}
	filled, err := docx.Fill(template(t, name), values, tables, pictures...)
	require.NoError(t, err)
	return filled
}

// TestBast holds what the berita acara must say (features.md G13 to G21, N25), without the sample's typing errors.
func TestBast(t *testing.T) {
	t.Parallel()
	text, err := docx.Text(paper(t, "bast", 25))
	require.NoError(t, err)
	for _, part := range []string{
		"KEMENTERIAN DALAM NEGERI REPUBLIK INDONESIA",
		"DIREKTORAT JENDERAL KEPENDUDUKAN DAN PENCATATAN SIPIL",
		"Jl. Raya Pasar Minggu Km. 19, Jakarta Selatan 12072",
		"BERITA ACARA SERAH TERIMA\nHASIL PERSONALISASI KARTU SAM Contoh produsen name\nNomor : Contoh document number\n",
		"Pada hari ini Senin Tanggal Dua Puluh Tiga Bulan November Tahun Dua Ribu Dua Puluh Enam, yang bertanda tangan di bawah ini:",
		"selanjutnya disebut sebagai Pihak Pertama.",
		"bertindak untuk dan atas nama Contoh produsen name, yang selanjutnya disebut sebagai Pihak Kedua.",
		"Berdasarkan Surat Contoh letter sender post Contoh letter sender Nomor Contoh letter number tanggal Contoh letter date perihal Contoh letter subject,",
		"kartu SAM fungsi Contoh sam function sebanyak 25 (dua puluh lima) keping",
		"sebanyak 25 (dua puluh lima) kepingContoh handover note dengan nomor asal kartu SAM sebagaimana tercantum dalam Lampiran",
		"di Contoh lembaga shares sesuai dengan ketentuan dan aturan yang berlaku.", "(Contoh lembaga names)",
		"Demikian Berita Acara ini dibuat dengan sebenarnya untuk dipergunakan sebagaimana mestinya.",
		"No.\tNomor Asal (No. Seri)\tNo. PCID\tNo. Manifest\n1\tSE-00001\tPC-00001\tMA-00001\n",
		"25\tSE-00025\tPC-00025\tMA-00025\n",
		"Kode Tiket Contoh ticket",
		"Keaslian naskah ini dapat diperiksa pada Contoh verification address",
		"Contoh draft note",
	} {
		require.Contains(t, text, part)
	}
	for _, wrong := range []string{"tanjan", "Minqou", "KETIP", "{{"} {
		require.NotContains(t, text, wrong)
	}
}

// TestTemplatesPrint has LibreOffice lay out every template and watches the number of pages.
func TestTemplatesPrint(t *testing.T) {
	t.Parallel()
	converter, err := docx.NewConverter(docx.ConverterConfig{WorkDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, converter.Close()) })
	cases := []struct {
		name        string
		rows, pages int
	}{
		{"bast", 1, 2}, {"bast", 25, 2}, {"bast", 250, 6},
		{"berita-acara-kartu-rusak", 1, 2}, {"berita-acara-kartu-rusak", 20, 2},
		{"surat-balasan", 2, 1}, {"surat-keterangan-selesai", 1, 1}, {"surat-balasan-aktivasi", 2, 2},
	}
	var sources []docx.Source
	for _, c := range cases {
		sources = append(sources, docx.Source{Name: c.name, Bytes: paper(t, c.name, c.rows)})
	}
	pdfs, err := converter.Convert(t.Context(), sources)
	require.NoError(t, err)
	for i, c := range cases {
		pages, err := docx.PageCount(pdfs[i])
		require.NoError(t, err)
		require.Equal(t, c.pages, pages, "%s with %d rows", c.name, c.rows)
	}
}
