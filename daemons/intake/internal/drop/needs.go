package drop

import (
	"cmp"
	"context"
	"net/http"

	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Need is a body with a lembaga's request, read and found whole. Close it.
type Need struct {
	*Drop
	Form need.Form
	// DropList says that a corrected request's present list goes.
	DropList bool
}

// List is its Excel list, or nil.
func (n *Need) List() *File {
	for _, f := range n.Files {
		if f.Kind == need.FileList {
			return f
		}
	}
	return nil
}

// needForm is the JSON of a lembaga's request, as clients write it.
type needForm struct {
	Reference   string `json:"reference"`
	Produsen    string `json:"produsen"`
	Title       string `json:"title"`
	Quantity    int    `json:"quantity"`
	MachineType string `json:"machine_type"`
	Remarks     string `json:"remarks"`
	DropList    bool   `json:"drop_list"`
}

// ReadNeed takes a lembaga's request in: its letter, and an Excel list that may be
// left out. fixed, when not nil, is the one that is corrected, whose reference and
// produsen stay, and whose letter too may be left out; more is as Read has it.
// Errors are those of Read.
func (rd *Reader) ReadNeed(ctx context.Context, r *http.Request, fixed *need.Form,
	more func(n *Need, faults []web.FieldError) ([]web.FieldError, error)) (*Need, error) {
	n := &Need{}
	d, found, err := rd.read(ctx, r, nil, []string{need.FileLetter, need.FileList}, func(in *intake) []string {
		if in.form != nil {
			var form needForm
			decodeStrict(in.form, &form, in.faults)
			n.DropList = form.DropList
			n.Form = need.Form{Reference: form.Reference, Produsen: form.Produsen, Title: form.Title, Quantity: form.Quantity,
				MachineType: form.MachineType, Remarks: form.Remarks}
			checkNeed(&n.Form, in.faults, in.limits, fixed)
			if n.DropList && fixed == nil {
				in.faults.add("/drop_list", "not_used", "Permintaan baru belum memiliki daftar alat yang dapat dihapus. Kosongkan isian ini.")
			}
		}
		if fixed != nil {
			return nil
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
	c.text(&n.Reference, "/reference", "No. Aktivasi", maxShort, fixed == nil, false)
	c.text(&n.Produsen, "/produsen", "Produsen Dituju", maxLong, fixed == nil, false)
	if fixed != nil {
		if n.Reference != "" && n.Reference != fixed.Reference {
			c.fault("/reference", "fixed", "No. Aktivasi tidak dapat diubah. Ajukan permintaan baru bila perlu.")
		}
		n.Reference, n.Produsen = fixed.Reference, cmp.Or(n.Produsen, fixed.Produsen)
	}
	c.text(&n.Title, "/title", "Judul Permintaan", maxLong, true, false)
	c.count(n.Quantity, "/quantity", "Jumlah kartu", limits.Cards)
	c.text(&n.MachineType, "/machine_type", "Jenis Mesin", maxShort, true, false)
	c.text(&n.Remarks, "/remarks", "Keterangan", maxNotes, false, true)
}
