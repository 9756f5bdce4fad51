package validation

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// onNeed are the fields of a lembaga's request, for findings that know those of a
// permohonan.
var onNeed = map[string]string{wholeList: "/list", "/card_count": "/quantity"}

// NeedList reads the list of a lembaga's request, of size bytes, and judges it by
// the rules of a card list, with the bounds of one (features.md C11, C12). The list
// tells of machines: where the machine type has readers, the SAM cards for them may
// still be unknown. Whether a serial is in use is for the permohonan to find out,
// which may come much later. faults are what the request is refused for; the error
// is this machine's or the database's.
func NeedList(ctx context.Context, rd postgres.Reader, r io.ReaderAt, size int64, f need.Form) (cards []need.Card, faults form.Faults, err error) {
	list, err := ReadList(r, size)
	if err != nil {
		return nil, nil, err
	}
	m, err := institution.MachineTypeByCode(ctx, rd, f.MachineType)
	known := err == nil
	if err != nil && !errors.Is(err, institution.ErrNotFound) {
		return nil, nil, err
	}
	found := list.Faults
	if known { // else the form's own fault says it
		if m.UsesReader {
			found = slices.DeleteFunc(slices.Clone(found), func(f Finding) bool { return f.Code == serialMissing })
		}
		c := &check{list: list, machineType: &m, cells: newGrouped()}
		if err := c.serials(); err != nil {
			return nil, nil, err
		}
		found = append(found, c.found...)
	}
	for _, one := range Errors(found) {
		pointer, ok := onNeed[one.Pointer]
		if !ok {
			pointer = one.Pointer
		}
		// A workbook is refused by the same code whether that shows when it is opened
		// or in its rows.
		faults.Add(pointer, strings.TrimPrefix(one.Code, "list_"), "%s", one.Detail)
	}
	if n := list.Len(); n > 0 && n != f.Quantity {
		faults.Add("/quantity", "card_count", "Jumlah kartu yang diminta %s, sedangkan daftar alat berisi %s. Samakan keduanya.",
			terbilang.FormatInt(int64(f.Quantity)), terbilang.FormatInt(int64(n)))
	}
	for _, row := range list.Rows() {
		cards = append(cards, need.Card{Row: row.Row.Row, Serial: row.Serial, ReaderSerial: row.ReaderSerial, Kind: row.Kind, Remarks: row.Remarks})
	}
	return cards, faults, nil
}
