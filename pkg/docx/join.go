package docx

import (
	"bytes"
	"fmt"
	"io"

	"github.com/pdfcpu/pdfcpu/pkg/api"
)

// Join makes one PDF of several, in their order.
func Join(pdfs [][]byte) ([]byte, error) {
	if len(pdfs) == 1 {
		return pdfs[0], nil
	}
	disableConfigDir()
	readers := make([]io.ReadSeeker, len(pdfs))
	for i, b := range pdfs {
		readers[i] = bytes.NewReader(b)
	}
	var out bytes.Buffer
	if err := api.MergeRaw(readers, &out, false, nil); err != nil {
		return nil, fmt.Errorf("docx: joining PDFs: %w", err)
	}
	return out.Bytes(), nil
}
