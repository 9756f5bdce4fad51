package spoiled

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// archives are lists whose archive is odd, broken or a bomb.
func archives(t testing.TB) []Sheet {
	good := plain(t)
	add := func(name, body string) []byte {
		return changed(t, good, map[string]func(string) string{name: to(body)})
	}
	var small, inner bytes.Buffer
	w := zip.NewWriter(&small)
	copyAll(t, w, good)
	for range 400 {
		_, err := w.Create("xl/media/a")
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	w = zip.NewWriter(&inner)
	e, err := w.Create("bomb")
	require.NoError(t, err)
	_, err = io.WriteString(e, strings.Repeat("0", 8<<20))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	flagged := patched(t, good, sheetPart, 8, []byte{1})
	stored := recompressed(t, good, zip.Store)
	unknown := patched(t, good, sheetPart, 10, []byte{97, 0}) // WavPack, APPNOTE.TXT 4.4.5
	wrong := patched(t, good, sheetPart, 16, []byte{1, 2, 3, 4})
	return []Sheet{
		{Name: "entries without compression", Body: stored, Cards: three},
		{Name: "names with the other slash", Body: slashed(t, good), Cards: three},
		{Name: "junk behind the archive", Body: append(bytes.Clone(good), "\r\n--boundary--\r\n"...), Cards: three},
		{Name: "junk before the archive", Body: append([]byte("X-Gateway: 1\r\n"), good...), Refused: "not_workbook"},
		{Name: "archive within", Body: add("xl/embeddings/a.zip", inner.String()), Cards: three},
		{Name: "cut in the middle", Body: good[:len(good)/2], Refused: "damaged"},
		{Name: "cut at its end", Body: good[:len(good)-1], Refused: "damaged"},
		{Name: "cut after its first bytes", Body: good[:4], Refused: "damaged"},
		{Name: "middle overwritten", Body: overwritten(good), Found: []string{"list_damaged /card_list"}},
		{Name: "wrong checksum", Body: wrong, Found: []string{"list_damaged /card_list"}},
		{Name: "entry under a password", Body: flagged, Refused: "encrypted"},
		{Name: "entry packed in an unknown way", Body: unknown, Found: []string{"list_damaged /card_list"}},
		{Name: "entry given twice", Body: twice(t, good), Refused: "damaged"},
		{Name: "bomb of many entries", Body: small.Bytes(), Refused: "too_large"},
		{Name: "bomb of one entry", Body: add("xl/media/a", strings.Repeat("0", 80<<20)), Refused: "too_large"},
		{Name: "bomb of the sheet", Body: hand(t, sheetHead+strings.Repeat(" ", 40<<20)+sheetTail), Found: []string{"list_too_large /card_list"}},
		{Name: "bomb of entries on top of each other", Body: overlapping(t), Refused: "too_large"},
		{Name: "bomb that says it is small", Body: liar(t, 100), Found: []string{"list_damaged /card_list"}},
		{Name: "entry that says it is huge", Body: liar(t, 1<<30), Refused: "too_large"},
		{Name: "entry that says it is larger", Body: liar(t, 9<<20), Found: []string{"list_damaged /card_list"}},
	}
}

func copyAll(t testing.TB, w *zip.Writer, file []byte) {
	r, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	for _, f := range r.File {
		require.NoError(t, w.Copy(f))
	}
}

// rewritten writes every entry again by put.
func rewritten(t testing.TB, file []byte, head func(name string) *zip.FileHeader) []byte {
	r, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range r.File {
		rc, err := f.Open()
		require.NoError(t, err)
		e, err := w.CreateHeader(head(f.Name))
		require.NoError(t, err)
		_, err = io.Copy(e, rc) //nolint:gosec // our own small file
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func recompressed(t testing.TB, file []byte, method uint16) []byte {
	return rewritten(t, file, func(name string) *zip.FileHeader { return &zip.FileHeader{Name: name, Method: method} })
}

func slashed(t testing.TB, file []byte) []byte {
	return rewritten(t, file, func(name string) *zip.FileHeader {
		return &zip.FileHeader{Name: strings.ReplaceAll(name, "/", `\`), Method: zip.Deflate}
	})
}

func twice(t testing.TB, file []byte) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	copyAll(t, w, file)
	_, err := w.Create(strings.ToUpper(sheetPart))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// patched overwrites bytes of an entry's head in the directory (APPNOTE.TXT 4.3.12).
func patched(t testing.TB, file []byte, name string, offset int, with []byte) []byte {
	b := bytes.Clone(file)
	head := bytes.LastIndex(b, []byte(name)) - 46
	require.Equal(t, "PK\x01\x02", string(b[head:head+4]))
	copy(b[head+offset:], with)
	return b
}

// overwritten spoils the bytes of the sheet.
func overwritten(file []byte) []byte {
	b := bytes.Clone(file)
	begin := bytes.Index(b, []byte(sheetPart)) + len(sheetPart)
	for i := range 200 {
		b[begin+i] = byte(i * 7)
	}
	return b
}

// liar is a list whose sheet has 8 MB and says that it has size bytes.
func liar(t testing.TB, size uint32) []byte {
	body := sheetHead + strings.Repeat(" ", 8<<20) + sheetTail
	b := patched(t, hand(t, body), sheetPart, 24, binary.LittleEndian.AppendUint32(nil, size))
	if int(size) < len(body) { // and that its checksum is that of those
		return patched(t, b, sheetPart, 16, binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body[:size]))))
	}
	return b
}

// overlapping has forty names in its directory for the same megabyte.
func overlapping(t testing.TB) []byte {
	const name = "xl/media/a00.bin"
	good := changed(t, plain(t), map[string]func(string) string{name: to(strings.Repeat("0", 1<<20))})
	end := bytes.LastIndex(good, []byte("PK\x05\x06"))
	begin := int(binary.LittleEndian.Uint32(good[end+16:]))
	head := bytes.LastIndex(good[:end], []byte(name)) - 46
	entry := good[head : head+46+len(name)]
	require.Equal(t, "PK\x01\x02", string(entry[:4]))
	length := len(entry) + int(binary.LittleEndian.Uint16(entry[30:])) + int(binary.LittleEndian.Uint16(entry[32:]))
	entry = good[head : head+length]
	out := bytes.Clone(good[:end])
	for i := range 80 {
		more := bytes.Clone(entry)
		copy(more[46+len("xl/media/a"):], []byte{byte('1' + i/10), byte('0' + i%10)})
		out = append(out, more...)
	}
	tail := bytes.Clone(good[end:])
	count := binary.LittleEndian.Uint16(tail[10:]) + 80
	binary.LittleEndian.PutUint16(tail[8:], count)
	binary.LittleEndian.PutUint16(tail[10:], count)
	binary.LittleEndian.PutUint32(tail[12:], uint32(len(out)-begin))
	return append(out, tail...)
}

// otherFormats are no workbooks of Excel.
func otherFormats(t testing.TB) []Sheet {
	csv := "No.;No. Seri Kartu SAM;No. Seri Reader\r\n1;SAM-000001;R-000001\r\n"
	var wide []byte
	for _, c := range []byte(csv) {
		wide = append(wide, c, 0)
	}
	ods := changed(t, plain(t), map[string]func(string) string{typesPart: to(""), "mimetype": to("application/vnd.oasis.opendocument.spreadsheet")})
	compound := append([]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), make([]byte, 600)...)
	return []Sheet{
		{Name: "nothing at all", Refused: "empty"},
		{Name: "CSV", Body: []byte(csv), Refused: "plain_text"},
		{Name: "CSV in UTF-16", Body: append([]byte("\xff\xfe"), wide...), Refused: "plain_text"},
		{Name: "table of HTML called XLS", Body: []byte("<html><table><tr><td>SAM-000001</td></tr></table></html>"), Refused: "not_workbook"},
		{Name: "spreadsheet of XML 2003", Body: []byte("<?xml version=\"1.0\"?>\n<Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\"/>"), Refused: "not_workbook"},
		{Name: "PDF as a list", Body: PDF(), Refused: "not_workbook"},
		{Name: "picture as a list", Body: picture(t, "interlaced.png"), Refused: "not_workbook"},
		{Name: "OpenDocument by hand", Body: ods, Refused: "open_document"},
		{Name: "another archive", Body: changed(t, plain(t), map[string]func(string) string{typesPart: to("")}), Refused: "not_workbook"},
		{Name: "another compound file", Body: compound, Refused: "not_workbook"},
		{Name: "zeros", Body: make([]byte, 5000), Refused: "not_workbook"},
	}
}
