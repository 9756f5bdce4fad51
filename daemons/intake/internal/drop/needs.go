package drop

import (
	"context"
	"net/http"

	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Need is a body with a lembaga's request, read and found whole. Close it.
type Need struct {
	*Drop
	Form need.Form
}

// needForm is the JSON of a lembaga's request, as clients write it.
type needForm struct {
	Reference   string `json:"reference"`
	Produsen    string `json:"produsen"`
	Title       string `json:"title"`
	Quantity    int    `json:"quantity"`
	MachineType string `json:"machine_type"`
	Remarks     string `json:"remarks"`
}

// ReadNeed takes a lembaga's request in: its letter, and an Excel list that may be
// left out. fixed, when not nil, is the returned one that is corrected, whose
// reference and produsen stay; more is as Read has it. Errors are those of Read.
func (rd *Reader) ReadNeed(ctx context.Context, r *http.Request, fixed *need.Form,
	more func(n *Need, faults []web.FieldError) ([]web.FieldError, error)) (*Need, error) {
	n := &Need{}
	d, found, err := rd.read(ctx, r, nil, []string{need.FileLetter, need.FileList}, func(in *intake) []string {
		if in.form != nil {
			var form needForm
			decodeStrict(in.form, &form, in.faults)
			n.Form = need.Form(form)
			checkNeed(&n.Form, in.faults, in.limits, fixed)
		}
		return []string{need.FileLetter}
	})
	if err != nil {
		return nil, err
	}
	n.Drop = d
	err = found.refusal(d, func(_ *Drop, faults []web.FieldError) ([]web.FieldError, error) { return more(n, faults) })
	if err != nil {
		return nil, err
	}
	return n, nil
}

func checkNeed(n *need.Form, f *faults, limits Limits, fixed *need.Form) {
	c := &checker{f: f, said: map[string]bool{}}
	for _, e := range f.list {
		c.said[e.Pointer] = true
	}
	for _, field := range []struct {
		value         *string
		fixed         func(*need.Form) string
		pointer, name string
		longest       int
	}{
		{&n.Reference, func(f *need.Form) string { return f.Reference }, "/reference", "No. Aktivasi", maxShort},
		{&n.Produsen, func(f *need.Form) string { return f.Produsen }, "/produsen", "Produsen Dituju", maxLong},
	} {
		c.text(field.value, field.pointer, field.name, field.longest, fixed == nil, false)
		if fixed == nil {
			continue
		}
		if *field.value != "" && *field.value != field.fixed(fixed) {
			c.fault(field.pointer, "fixed", field.name+" tidak dapat diubah pada pengajuan kembali.")
		}
		*field.value = field.fixed(fixed)
	}
	c.text(&n.Title, "/title", "Judul Permintaan", maxLong, true, false)
	c.count(n.Quantity, "/quantity", "Jumlah kartu", limits.Cards)
	c.text(&n.MachineType, "/machine_type", "Jenis Mesin", maxShort, true, false)
	c.text(&n.Remarks, "/remarks", "Keterangan", maxNotes, false, true)
}
