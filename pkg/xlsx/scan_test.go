package xlsx

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// events lists what the scanner makes of a text, joined text pieces and all.
func events(r io.Reader) ([]string, error) { return eventsOf(newScanner(r, windowBytes)) }

func eventsOf(s *scanner) ([]string, error) {
	var list []string
	var text []byte
	flush := func() {
		if len(text) > 0 {
			list = append(list, "text "+string(text))
		}
		text = text[:0]
	}
	for {
		kind, err := s.next()
		if err != nil {
			return list, err
		}
		switch kind {
		case atText:
			if text, err = appendText(text, s.chunk, s.cdata); err != nil {
				return list, err
			}
			continue
		case atStart:
			flush()
			line := "start " + string(s.name)
			for _, a := range s.attrs {
				value, err := appendText(nil, a.value, false)
				if err != nil {
					return list, err
				}
				line += fmt.Sprintf(" %s=%q", a.name, value)
			}
			list = append(list, line)
		case atEnd:
			flush()
			list = append(list, "end "+string(s.name))
		case atEOF:
			return list, nil
		}
	}
}

// standard lists the same by encoding/xml.
func standard(b []byte) ([]string, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	var list []string
	var text []byte
	flush := func() {
		if len(text) > 0 {
			list = append(list, "text "+string(text))
		}
		text = text[:0]
	}
	depth := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		switch token := token.(type) {
		case xml.CharData:
			if depth > 0 {
				text = append(text, token...)
			}
		case xml.StartElement:
			flush()
			line := "start " + token.Name.Local
			for _, a := range token.Attr {
				line += fmt.Sprintf(" %s=%q", a.Name.Local, a.Value)
			}
			list = append(list, line)
			depth++
		case xml.EndElement:
			flush()
			list = append(list, "end "+token.Name.Local)
			depth--
		}
	}
}

const scanSample = `<?xml version="1.0" encoding="UTF-8"?><!-- c --> <a:b xmlns:a="n" k='1 &lt; 2'><c/>x&#65;&amp;<![CDATA[<&]]>` + "\r\ny\rz" + `<d e="1" /></a:b> `

// TestScannerWindows reads the same text in pieces of every size.
func TestScannerWindows(t *testing.T) {
	t.Parallel()
	want, err := standard([]byte(scanSample))
	require.NoError(t, err)
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(scanSample), "bytes": iotest.OneByteReader(strings.NewReader(scanSample)),
		"half": iotest.HalfReader(strings.NewReader(scanSample)), "error with data": iotest.DataErrReader(strings.NewReader(scanSample)),
	} {
		got, err := events(r)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
	// A part that is larger than it said.
	long := strings.Replace(scanSample, "</", strings.Repeat("text ", 1000)+"</", 1)
	have, err := events(strings.NewReader(long))
	require.NoError(t, err)
	got, err := eventsOf(newScanner(strings.NewReader(long), 0))
	require.NoError(t, err)
	require.Equal(t, have, got)
	// Texts and tags that lie across the edges of the window.
	for pad := windowBytes - 60; pad < windowBytes+10; pad++ {
		long := "<r>" + strings.Repeat("x", pad) + "&amp;é\r\n</r>"
		got, err := events(strings.NewReader(long))
		require.NoError(t, err)
		require.Equal(t, []string{"start r", "text " + strings.Repeat("x", pad) + "&é\n", "end r"}, got)
		got, err = events(strings.NewReader(strings.Repeat(" ", pad) + scanSample[38:]))
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = events(strings.NewReader("<r><!--" + strings.Repeat("-x", pad/2) + "--><s>t</s></r>"))
		require.NoError(t, err)
		require.Len(t, got, 5)
	}
	_, err = events(iotest.ErrReader(io.ErrClosedPipe))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	_, err = events(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(scanSample))))
	require.ErrorIs(t, err, iotest.ErrTimeout)
}

// FuzzScanner holds the scanner against encoding/xml: where both accept, both see the same.
func FuzzScanner(f *testing.F) {
	f.Add([]byte(scanSample))
	f.Add([]byte(`<a><b t="s"><v>1</v></b></a>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := events(bytes.NewReader(b))
		slow, slowErr := events(iotest.OneByteReader(bytes.NewReader(b)))
		require.Equal(t, err == nil, slowErr == nil, "the size of reads changes nothing")
		if err != nil {
			return
		}
		require.Equal(t, got, slow)
		want, err := standard(b)
		if err == nil {
			require.Equal(t, want, got)
		}
	})
}
