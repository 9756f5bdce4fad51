package ceremony

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// What was typed is gone from memory once it was read, also when it was wrong.
func TestTypedLinesAreWiped(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0011 2233-4455\t6677": "", "00112233445566": "Terbaca 14 digit; seharusnya 16.", "0011223344556677 8": "Terbaca 17 digit; seharusnya 16.",
		"00112233445566GG": "Karakter ke-15 bukan digit", "": "Terbaca 0 digit",
	} {
		line := []byte(text)
		got, err := parse(line, 8)
		require.Equal(t, make([]byte, len(text)), line, text)
		if want == "" {
			require.NoError(t, err)
			require.Equal(t, []byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77}, got)
			continue
		}
		require.ErrorContains(t, err, want)
		require.Nil(t, got)
	}
	w := &work{components: [][]byte{bytes.Repeat([]byte{7}, 8), nil, bytes.Repeat([]byte{9}, 8)}}
	kept := w.components[0]
	w.wipe()
	require.Equal(t, make([]byte, 8), kept)
	require.Equal(t, "0123 4567 89AB CDEF\n01", spell([]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0x01}))
}
