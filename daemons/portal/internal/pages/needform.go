package pages

import (
	"cmp"
	"errors"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/needs"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// needForm is the form of a need with what was typed and what is wrong with it.
type needForm struct {
	Values             map[string]string
	Faults             map[string]string // sentences by field
	ListFaults         []string          // sentences on cells of the list
	Produsen, Machines []report.Choice
	Problem            string
	Key                string // of a new one; see pkg/idempotency
	Template           string // address of the template of a list; empty when it is not known
	// Of a correction: the need as it is, its files, and what it is called.
	Need *report.Need
	needFiles
	Returned bool
}

// correction is the verb by which what is offered can be corrected, or none.
func correction(offers []machine.Verb) machine.Verb {
	for _, verb := range []machine.Verb{need.Edit, need.Resubmit} {
		if slices.Contains(offers, verb) {
			return verb
		}
	}
	return ""
}

func onlyLembaga(r *http.Request) error {
	if err := needs.May(signin.Account(r), need.Submit); err != nil {
		return web.Forbidden("Hanya lembaga pengguna yang dapat mengajukan permintaan personalisasi.")
	}
	return nil
}

// newNeed shows the empty form.
func (p *Pages) newNeed(w http.ResponseWriter, r *http.Request) error {
	if err := onlyLembaga(r); err != nil {
		return err
	}
	return p.showNeedForm(w, r, http.StatusOK, needForm{Values: map[string]string{}})
}

// editNeed shows the page Data Permintaan (features.md C18): the form as it was
// filled in.
func (p *Pages) editNeed(w http.ResponseWriter, r *http.Request) error {
	v, verb, err := p.correctable(r)
	if err != nil {
		return err
	}
	if verb == "" {
		return p.tooLateToEdit(w, r, v)
	}
	return p.showNeedForm(w, r, http.StatusOK, formOf(v))
}

// correctable reads the need of the address and the verb by which its lembaga can
// correct it now.
func (p *Pages) correctable(r *http.Request) (*report.Need, machine.Verb, error) {
	v, err := report.LoadNeed(r.Context(), p.db, chi.URLParam(r, "number"), signin.Account(r))
	if err == nil {
		err = onlyLembaga(r)
	}
	if err != nil {
		return nil, "", err
	}
	return v, correction(v.Offers), nil
}

func (p *Pages) tooLateToEdit(w http.ResponseWriter, r *http.Request, v *report.Need) error {
	http.Redirect(w, r, needsPath+"/"+v.Number+"?masalah=langkah", http.StatusSeeOther) //nolint:gosec // the number is the row's, not the address's
	return nil
}

// formOf is the form of a need as it stands.
func formOf(v *report.Need) needForm {
	return needForm{
		Need: v, needFiles: filesOf(v.NeedSummary), Returned: v.State == need.Returned,
		Values: map[string]string{
			"reference": v.Reference, "produsen": v.Produsen, "title": v.Title, "quantity": strconv.Itoa(v.Quantity),
			"machine_type": v.MachineType, "remarks": v.Remarks,
		},
	}
}

func (p *Pages) showNeedForm(w http.ResponseWriter, r *http.Request, status int, form needForm) (err error) {
	title, present := "Permintaan personalisasi", ""
	if form.Need != nil {
		title, present = "Data Permintaan", form.Need.MachineType
	}
	if form.Produsen, form.Machines, err = report.NeedChoices(r.Context(), p.db, present); err != nil {
		return err
	}
	if form.Need == nil && form.Key == "" {
		form.Key = uuid.NewString()
	}
	if p.intake != "" {
		form.Template = p.intake + "/api/v1/templates/card-list.xlsx"
	}
	p.show(w, r, status, "need-form", title, form)
	return nil
}

// keyField holds the key of the form, so that a form that is sent twice makes one
// need.
const keyField = "kunci"

// askNeed takes the form in: a new need, or the form again with what is wrong.
func (p *Pages) askNeed(w http.ResponseWriter, r *http.Request) error {
	if err := onlyLembaga(r); err != nil {
		return err
	}
	parcel, err := p.spool.ReadParcel(r, append([]string{keyField}, needs.Fields...), need.FileLetter, need.FileList)
	form := needForm{Values: map[string]string{}}
	if parcel != nil {
		defer parcel.Close()
		form.Values = parcel.Fields
		if key, err := uuid.Parse(parcel.Fields[keyField]); err == nil { // else it gets one of ours
			form.Key = key.String()
		}
	}
	if err == nil {
		var done idempotency.Answer
		if done, err = p.needDesk().Submit(r.Context(), signin.Account(r), parcel, cmp.Or(form.Key, uuid.NewString())); err == nil {
			http.Redirect(w, r, needsPath+"/"+path.Base(done.Location)+"?sudah=diajukan", http.StatusSeeOther)
			return nil
		}
	}
	if !form.tell(err) {
		return err
	}
	status := http.StatusUnprocessableEntity
	if problem := (*web.Problem)(nil); errors.As(err, &problem) {
		switch problem.Code() {
		case "idempotency-key-reused":
			form.Key = ""
			form.Problem = "Formulir ini sudah terkirim sebelumnya dengan isi lain. Ubah permintaan itu dari daftar permintaan, " +
				"atau kirim kembali formulir ini sebagai permintaan baru dengan No. Aktivasi lain."
		case "idempotency-key-in-use":
			status = http.StatusConflict
			form.Problem = "Kiriman yang sama masih diproses. Tunggu sebentar, lalu lihat daftar permintaan; " +
				"bila belum ada di sana, ajukan sekali lagi. Tidak akan ada dua permintaan."
		}
	}
	return p.showNeedForm(w, r, status, form)
}

// correctNeed takes a correction in. If somebody was faster, what was typed comes
// back over the need as it now is, unless it can no longer be corrected.
func (p *Pages) correctNeed(w http.ResponseWriter, r *http.Request) error {
	v, verb, err := p.correctable(r)
	if err != nil {
		return err
	}
	if verb == "" {
		return p.tooLateToEdit(w, r, v)
	}
	form := formOf(v)
	parcel, err := p.spool.ReadParcel(r, append([]string{"versi"}, needs.CorrectionFields...), need.FileLetter, need.FileList)
	if parcel != nil {
		defer parcel.Close()
		form.Values = parcel.Fields
	}
	if err == nil {
		version, _ := strconv.ParseInt(parcel.Fields["versi"], 10, 64) // none is not the present one
		if _, err = p.needDesk().Correct(r.Context(), signin.Account(r), v.Number, verb, version, parcel); err == nil {
			done := map[machine.Verb]string{need.Edit: "diubah", need.Resubmit: "diajukan"}[verb]
			http.Redirect(w, r, needsPath+"/"+v.Number+"?sudah="+done, http.StatusSeeOther)
			return nil
		}
	}
	status := http.StatusUnprocessableEntity
	var illegal *machine.IllegalError
	switch {
	case errors.As(err, &illegal):
		return p.tooLateToEdit(w, r, v)
	case errors.Is(err, postgres.ErrStale):
		if v, verb, err = p.correctable(r); err != nil {
			return err
		}
		if verb == "" {
			return p.tooLateToEdit(w, r, v)
		}
		typed := form.Values
		status, form = http.StatusPreconditionFailed, formOf(v)
		form.Values, form.Problem = typed, "Permintaan ini sudah berubah sejak Anda membukanya. Isian Anda masih ada di bawah ini dan belum disimpan; "+
			"periksa, pilih kembali berkas yang hendak diganti, lalu simpan."
	case !form.tell(err):
		return err
	}
	form.Values["reference"], form.Values["produsen"] = v.Reference, v.Produsen
	return p.showNeedForm(w, r, status, form)
}

// tell puts what is wrong beside the fields; false is a fault of another kind.
func (f *needForm) tell(err error) bool {
	f.Faults = map[string]string{}
	var problem *web.Problem
	switch {
	case errors.Is(err, need.ErrReferenceUsed):
		f.Faults["reference"] = "No. Aktivasi ini sudah dipakai. Pakai nomor lain."
	case errors.As(err, &problem) && problem.Status < http.StatusInternalServerError:
		for _, e := range problem.Errors {
			if field, ok := strings.CutPrefix(e.Pointer, "/"); ok {
				f.Faults[field] = e.Detail
			} else {
				f.ListFaults = append(f.ListFaults, e.Detail)
			}
		}
		f.Problem = problem.Detail
	default:
		return false
	}
	if f.Problem == "" {
		f.Problem = "Ada isian yang perlu diperbaiki."
	}
	return true
}
