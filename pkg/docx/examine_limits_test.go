package docx_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/docx"
)

// hugePNG is the beginning of a picture that is small as a file and gigabytes unpacked.
func hugePNG() string {
	head := make([]byte, 0, 17)
	head = append(head, "IHDR"...)
	head = binary.BigEndian.AppendUint32(head, 60_000)
	head = binary.BigEndian.AppendUint32(head, 60_000)
	head = append(head, 8, 2, 0, 0, 0)
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d")
	b.Write(head)
	b.Write(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(head)))
	return b.String()
}

// TestExamineRefusesWhatGrows: each of these is a few kilobytes as a file, and took
// minutes of a processor or gigabytes of memory here, or where its sample is filled and
// printed.
func TestExamineRefusesWhatGrows(t *testing.T) {
	t.Parallel()
	whole := par(run(rightLetter)) + rightTable()
	codes := strings.Repeat(`<w:instrText>`+strings.Repeat("x", 20)+`</w:instrText>`, 50_000) // of one field, in very many pieces
	for name, file := range map[string][]byte{
		"elements in a repeated row": word(t, par(run(rightLetter))+table(row("{{#cards}}{{no}}"+`</w:t>`+strings.Repeat("<w:br/>", 6_000)+`<w:t>`, "{{serial}}{{/cards}}"))),
		"text in a repeated row":     word(t, par(run(rightLetter))+table(row("{{#cards}}{{no}}"+strings.Repeat("x", 1<<20), "{{serial}}{{/cards}}"))),
		"tags":                       word(t, whole+par(run(strings.Repeat("{{ticket}}", 100_000)))),
		"bad tags":                   word(t, whole+par(run(strings.Repeat("{{A}}", 100_000)))),
		"dots of a picture":          word(t, whole, entry{"word/media/image1.png", hugePNG()}),
	} {
		found := docx.Examine(file, letterRules)
		require.NotEmpty(t, found, name)
		require.Equal(t, docx.TooLarge, found[0].Code, name)
	}
	require.Empty(t, docx.Examine(word(t, whole+par(`<w:r><w:fldChar w:fldCharType="begin"/>`+codes+`<w:fldChar w:fldCharType="end"/></w:r>`)), letterRules), "a long field code")
}
