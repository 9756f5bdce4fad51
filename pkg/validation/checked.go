package validation

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"dukcapil.go.id/sifilma/pkg/request"
)

// Checked returns a card list that was judged before it is submitted, with the
// findings marked in it; nothing of it is stored. r is the request that it would
// correct, without a ticket for a new one. It waits for its turn until wait ends,
// as HandBack does. Errors: ErrOwnTurn, *UnmarkableError, or wait's.
func (m *Marker) Checked(wait context.Context, r request.Request, list io.ReaderAt, size int64, found []Finding) ([]byte, error) {
	leave, err := m.turn(wait, r.InstitutionID)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out bytes.Buffer
	if err := Mark(&out, list, size, r.Ticket, 0, found); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// CheckedName is the name of the file that Checked returns.
func CheckedName(r request.Request) string {
	if r.Ticket == "" {
		return "Daftar-Kartu-temuan.xlsx"
	}
	return "Daftar-Kartu-" + r.Ticket + "-temuan.xlsx"
}

// judged names what the page of findings is about; submission is 0 for a list that
// is not submitted.
func judged(ticket string, submission int) string {
	switch {
	case submission > 0:
		return fmt.Sprintf("Permohonan %s, pengajuan ke-%d", ticket, submission)
	case ticket != "":
		return "Pemeriksaan sebelum permohonan " + ticket + " diajukan kembali"
	}
	return "Pemeriksaan sebelum diajukan"
}
