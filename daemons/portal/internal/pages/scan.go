package pages

import (
	"errors"
	"net/http"
	"net/url"

	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// scanEditor is an editor whose form carries a signed scan.
type scanEditor struct {
	title string
	body  func(r *http.Request) (formBody, error)
	// save takes it in; wrong is what is wrong with the scan.
	save func(r *http.Request, scan *upload.File, wrong form.Faults) (next string, err error)
}

// scanField is where the scan is chosen.
func scanField(label string) field {
	return field{Name: upload.ScanPart, Label: label, Kind: "file", Value: "application/pdf", Hint: "PDF, paling besar 10 MB."}
}

func (e scanEditor) editor() editor { return editor{e.title, e.body, nil} }

// saveScan answers the form: what was typed is shown again when it was not taken, and
// only the file has to be chosen once more.
func (p *Pages) saveScan(e scanEditor) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := e.body(r)
		if err != nil { // before a file is taken in
			return err
		}
		names := []string{"versi"}
		for _, f := range body.Fields {
			if f.Kind != "file" {
				names = append(names, f.Name)
			}
		}
		parcel, wrong, err := p.spool.ReadScan(r, names...)
		if err != nil {
			return err
		}
		defer parcel.Close()
		r.PostForm = url.Values{}
		for name, value := range parcel.Fields {
			r.PostForm.Set(name, value)
		}
		next, err := e.save(r, parcel.Files[upload.ScanPart], wrong)
		switch {
		case errors.Is(err, postgres.ErrStale):
			return p.overtaken(w, r, e.editor(), err)
		case err != nil:
			if v := seenVersion(r); v > 0 {
				body.Version = v
			}
			return p.again(w, r, e.title, body, err)
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
}
