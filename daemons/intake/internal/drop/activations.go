package drop

import (
	"context"
	"net/http"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Activation is a body with a surat permohonan aktivasi, read and found whole. Close it.
type Activation struct {
	*Drop
	Form    activation.Form
	Lembaga string // whose letter a produsen prepares
	Lines   []activation.Line
	Draft   bool
}

// activationForm is the JSON of a letter, as clients write it.
type activationForm struct {
	Lembaga    string            `json:"lembaga"`
	Produsen   string            `json:"produsen"`
	Number     string            `json:"number"`
	Date       string            `json:"date"`
	Subject    string            `json:"subject"`
	Leader     string            `json:"leader"`
	LeaderPost string            `json:"leader_post"`
	Notes      string            `json:"notes"`
	Draft      bool              `json:"draft"`
	Lines      []activation.Line `json:"lines"`
}

// ReadActivation takes a letter in with its scan, which a draft may lack. own is the name of
// the produsen that prepares it, or empty for the lembaga itself; more is as Read has it.
// Errors are those of Read.
func (rd *Reader) ReadActivation(ctx context.Context, r *http.Request, own string, today clock.Date,
	more func(a *Activation, faults []web.FieldError) ([]web.FieldError, error)) (*Activation, error) {
	a := &Activation{}
	d, found, err := rd.read(ctx, r, nil, []string{request.FileLetter}, func(in *intake) []string {
		if in.form != nil {
			var f activationForm
			decodeStrict(in.form, &f, in.faults)
			a.Lembaga, a.Lines, a.Draft = f.Lembaga, f.Lines, f.Draft || own != ""
			a.Form = activation.Form{Produsen: f.Produsen, Number: f.Number, Subject: f.Subject, Leader: f.Leader, LeaderPost: f.LeaderPost, Notes: f.Notes}
			if own != "" {
				a.Form.Produsen = own
			}
			var wrong bool
			if f.Date != "" {
				var err error
				if a.Form.Date, err = clock.ParseDate(f.Date); err != nil {
					wrong, a.Form.Date = true, today
					in.faults.add("/date", "wrong_type", "Tanggal surat harus berbentuk TTTT-BB-HH, seperti 2026-11-23.")
				}
			}
			for _, fault := range activation.Tidy(&a.Form, a.Lines, a.Draft, today) {
				if !wrong || fault.Pointer != "/date" {
					in.faults.add(fault.Pointer, fault.Code, fault.Detail)
				}
			}
		}
		if a.Draft {
			return nil
		}
		return []string{request.FileLetter}
	})
	if err != nil {
		return nil, err
	}
	a.Drop = d
	err = found.refusal(d, func(_ *Drop, faults []web.FieldError) ([]web.FieldError, error) { return more(a, faults) })
	if err != nil {
		return nil, err
	}
	return a, nil
}
