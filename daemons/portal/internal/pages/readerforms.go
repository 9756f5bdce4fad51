package pages

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/readers"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/readersheet"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// readersEditor is an editor whose form carries the scan of a letter and a workbook of
// readers.
type readersEditor struct {
	title string
	body  func(r *http.Request) (formBody, error)
	save  func(r *http.Request, t readers.Typed, scan *upload.File, wrong form.Faults) (next string, err error)
}

func (e readersEditor) editor() editor { return editor{e.title, e.body, nil} }

// kept are the readers that a form showed before somebody typed.
func (e readersEditor) kept(body formBody) []activation.Line {
	n := 0
	values := map[string]string{}
	for _, f := range body.Fields {
		n += len(f.Lines)
		for _, row := range f.Lines {
			for _, one := range row.Fields {
				values[one.Name] = one.Value
			}
		}
	}
	values[rowsField] = strconv.Itoa(n)
	lines, _ := typedRows(func(name string) string { return values[name] })
	return lines
}

// saveReaders answers the form: what was typed is shown again when it was not taken, and
// only files have to be chosen once more.
func (p *Pages) saveReaders(e readersEditor) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := e.body(r)
		if err != nil { // before a file is taken in
			return err
		}
		names := append([]string{"versi"}, rowNames()...)
		for _, f := range body.Fields {
			if f.Kind != "file" && f.Kind != "rows" {
				names = append(names, f.Name)
			}
		}
		l, wrong, err := p.spool.ReadListedLetter(r, names, []string{"notes"}, "letter", "", "list")
		if err != nil {
			return err
		}
		defer l.Close()
		r.PostForm = url.Values{}
		for name, value := range l.Fields {
			r.PostForm.Set(name, value)
		}
		value := r.PostForm.Get
		t := readers.Typed{Lembaga: value("lembaga"), Draft: value("draft") != "", Form: activation.Form{
			Produsen: value("produsen"), Number: value("number"), Subject: value("subject"), Leader: value("leader"), LeaderPost: value("leader_post"), Notes: value("notes"),
		}}
		t.Date = typedDate(r, "date")
		now := body.Version
		rows, asked := typedRows(value)
		if v := seenVersion(r); v > 0 {
			body.Version = v
		}
		if value(moreField) != "" {
			fill(body.Fields, r)
			if err := p.retypeRows(r, &body, rows, moreRows); err != nil {
				return err
			}
			p.show(w, r, http.StatusOK, "form", e.title, body)
			return nil
		}
		if list := l.Files["list"]; asked && (list == nil || !slices.Equal(rows, e.kept(body))) { // a workbook takes the place of what nobody touched
			t.Lines = slices.Clone(rows) // as they were typed they may be shown again
		}
		if list := l.Files["list"]; list != nil && !slices.ContainsFunc(wrong, func(f form.Fault) bool { return f.Pointer == "/list" }) {
			more, err := p.readerDesk().ReadSheet(r.Context(), &t, list)
			if err != nil {
				return err
			}
			wrong = append(wrong, more...)
		}
		next, err := e.save(r, t, l.Files["letter"], wrong)
		if err != nil {
			if errors.Is(err, postgres.ErrStale) {
				body.Version = now
			}
			if asked {
				if err := p.retypeRows(r, &body, rows, max(1, firstRows-len(rows))); err != nil {
					return err
				}
			}
			return p.again(w, r, e.title, body, sheetFaults(err))
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
}

// sheetFaults says of faults in the cells of a workbook where they are, at the field of the
// workbook.
func sheetFaults(err error) error {
	var faults form.Faults
	if !errors.As(err, &faults) {
		return err
	}
	all := slices.Clone(faults)
	if slices.ContainsFunc(all, func(f form.Fault) bool { return f.Pointer == "/list" }) { // it came, and is told of already
		all = slices.DeleteFunc(all, func(f form.Fault) bool { return f.Pointer == "/lines" && f.Code == "missing" })
	}
	for i := range all {
		if cell, listed := strings.CutPrefix(all[i].Pointer, "list!"); listed {
			place, _ := cellOf("sheet!" + cell)
			all[i].Pointer, all[i].Detail = "/list", place+": "+all[i].Detail
		}
		if all[i].Pointer == "/lines" {
			all[i].Pointer, all[i].Detail = "/list", "Pilih daftar reader: buku kerja Excel menurut templat, atau isi reader satu per satu."
		}
	}
	return all
}

// pointed puts faults of rows at the cells of the workbook that they were read from.
func pointed(err error, c readersheet.Content) error {
	var faults form.Faults
	if !errors.As(err, &faults) {
		return err
	}
	return c.Point(slices.Clone(faults))
}

// headFields are the fields of a letter.
func (p *Pages) headFields(r *http.Request, v *report.ActivationLetter) ([]field, error) {
	if v == nil {
		v = &report.ActivationLetter{}
	}
	var date string
	if !v.Date.IsZero() {
		date = v.Date.String()
	}
	var first field
	if signin.Account(r).Role == request.Produsen {
		first = field{Name: "lembaga", Label: "Lembaga pengguna", Hint: "Nama lengkap, sebagaimana terdaftar.", Kind: "text", Value: v.Lembaga, Longest: 200}
		if v.Ticket != "" {
			first.Kind = "hidden"
		}
	} else {
		choices, _, err := report.NeedChoices(r.Context(), p.db, "")
		if err != nil {
			return nil, err
		}
		first = field{Name: "produsen", Label: "Produsen yang memasang manifest", Kind: "select"}
		for _, c := range choices {
			first.Options = append(first.Options, option{c.Code, c.Name, c.Code == v.Produsen})
		}
	}
	list := field{Name: "list", Label: "Daftar reader (Excel)", Kind: "file", Value: ".xlsx", Optional: true, Hint: "Untuk banyak reader, sebagai ganti baris di atas: menurut templat, paling besar 5 MB."}
	scan := field{Name: "letter", Label: "Pindaian surat permohonan", Kind: "file", Value: ".pdf,.jpg,.jpeg,.png", Hint: "PDF, JPG, atau PNG, paling besar 3 MB."}
	if v.Ticket != "" {
		scan.Optional = v.HasScan
	}
	all := []field{
		first, {Name: "number", Label: "Nomor surat", Kind: "text", Value: v.Number, Longest: 200}, {Name: "date", Label: "Tanggal surat", Kind: "date", Value: date},
		{Name: "subject", Label: "Perihal", Kind: "text", Value: v.Subject, Longest: 200},
		{Name: "leader", Label: "Nama pimpinan yang menandatangani", Kind: "text", Value: v.Leader, Longest: 200},
		{Name: "leader_post", Label: "Jabatan pimpinan", Hint: "Direktur, kepala, atau pimpinan sederajat.", Kind: "text", Value: v.LeaderPost, Longest: 200},
		{Name: "notes", Label: "Catatan", Kind: "textarea", Value: v.Notes, Longest: 2000, Optional: true},
	}
	if v.Readers <= mostRows {
		rows, err := p.rows(r, linesOf(v), max(1, firstRows-v.Readers))
		if err != nil {
			return nil, err
		}
		all = append(all, rows)
	} else {
		list.Hint = "Menurut templat, paling besar 5 MB. Bila tidak dipilih, " + number(v.Readers) + " reader pada rancangan tetap."
	}
	return append(all, list, scan), nil
}

// linesOf are the readers of a draft.
func linesOf(v *report.ActivationLetter) (lines []activation.Line) {
	for _, l := range v.Lines {
		lines = append(lines, l.Line)
	}
	return lines
}

var readersCrumbs = []crumb{{"Aktivasi reader", readersPath}}

// newReaders takes a new letter in, as a draft or submitted.
func (p *Pages) newReaders() readersEditor {
	return readersEditor{"Permohonan aktivasi reader",
		func(r *http.Request) (formBody, error) {
			who := signin.Account(r)
			if err := activation.LetterMachine.MayEver(activation.VerbDraft, who.Role); err != nil {
				return formBody{}, err
			}
			fields, err := p.headFields(r, nil)
			body := formBody{Crumbs: readersCrumbs, Upload: true, Action: readersPath + "/baru", Submit: "Kirim", Also: []crumb{{"Unduh templat daftar reader", "/api/v1/activations/template.xlsx"}}}
			body.Lead = "Setiap reader diperiksa tersendiri: yang salah dikembalikan dengan temuannya, yang lain berjalan terus."
			draft := field{Name: "draft", Label: "Simpan dahulu sebagai rancangan, belum diajukan", Kind: "checkbox"}
			if who.Role == request.Produsen {
				body.Lead, body.Submit = "Rancangan ini dilihat dan diajukan oleh lembaga pengguna sendiri.", "Simpan rancangan"
				draft = field{Name: "draft", Kind: "hidden", Value: "1"}
				fields[len(fields)-1].Optional = true
			}
			body.Fields = append(fields, draft, field{Name: keyField, Kind: "hidden", Value: uuid.NewString()})
			return body, err
		},
		func(r *http.Request, t readers.Typed, scan *upload.File, wrong form.Faults) (string, error) {
			key := r.PostForm.Get(keyField)
			if _, err := uuid.Parse(key); err != nil {
				key = ""
			}
			done, err := p.readerDesk().Create(r.Context(), signin.Account(r), t, scan, cmp.Or(key, uuid.NewString()), wrong)
			return readersPath + "/" + path.Base(done.Location) + "?" + justKept(), err
		}}
}

// editReaders changes a draft, or submits it as it is changed.
func (p *Pages) editReaders(verb machine.Verb) readersEditor {
	title, end, submit := "Ubah rancangan", "/ubah", "Simpan rancangan"
	if verb == activation.VerbSubmit {
		title, end, submit = "Ajukan permohonan aktivasi", "/ajukan", "Ajukan"
	}
	return readersEditor{title,
		func(r *http.Request) (formBody, error) {
			v, err := report.LoadActivation(r.Context(), p.db, chi.URLParam(r, "ticket"), signin.Account(r))
			if err == nil {
				err = activation.LetterMachine.May(v.State, verb, signin.Account(r).Role)
			}
			if err == nil && !slices.Contains(v.Offers, verb) {
				err = &machine.RoleError{Machine: activation.LetterMachine.Name, Verb: verb, Role: signin.Account(r).Role}
			}
			if err != nil {
				return formBody{}, err
			}
			fields, err := p.headFields(r, v)
			at := readersPath + "/" + v.Ticket
			return formBody{Crumbs: append(slices.Clone(readersCrumbs), crumb{v.Ticket, at}), Upload: true, Action: at + end, Submit: submit, Version: v.Version, Fields: fields,
				Facts: []fact{{"Lembaga pengguna", v.Lembaga}, {"Produsen", v.Produsen}}, Also: []crumb{{"Unduh templat daftar reader", "/api/v1/activations/template.xlsx"}}}, err
		},
		func(r *http.Request, t readers.Typed, scan *upload.File, wrong form.Faults) (string, error) {
			ticket := chi.URLParam(r, "ticket")
			l, err := p.readerDesk().Find(r.Context(), signin.Account(r), ticket)
			if err != nil {
				return "", err
			}
			if t.Lines == nil {
				if t.Lines, err = l.DraftLines(); err != nil {
					return "", err
				}
			}
			return readersPath + "/" + l.Ticket + "?" + justKept(), p.readerDesk().Write(r.Context(), signin.Account(r), ticket, seenVersion(r), verb, &t, scan, wrong)
		}}
}

// readerOf is the line of the address, with the letter that it is of.
func (p *Pages) readerOf(r *http.Request, verb machine.Verb) (*report.ActivationLetter, report.ActivationLine, error) {
	who := signin.Account(r)
	v, err := report.LoadActivation(r.Context(), p.db, chi.URLParam(r, "ticket"), who)
	if err == nil {
		err = activation.Machine.MayEver(verb, who.Role)
	}
	if err != nil {
		return nil, report.ActivationLine{}, err
	}
	i := slices.IndexFunc(v.Lines, func(l report.ActivationLine) bool { return strconv.Itoa(l.Number) == chi.URLParam(r, "line") })
	if i < 0 {
		return nil, report.ActivationLine{}, report.ErrNotFound
	}
	return v, v.Lines[i], activation.Machine.May(v.Lines[i].State, verb, who.Role)
}

func readerBody(v *report.ActivationLetter, l report.ActivationLine, end, submit string, fields []field) formBody {
	at := readersPath + "/" + v.Ticket
	return formBody{
		Crumbs: append(slices.Clone(readersCrumbs), crumb{v.Ticket, at}), Action: at + "/baris/" + strconv.Itoa(l.Number) + "/" + end, Submit: submit, Version: v.Version, Fields: fields,
		Facts: []fact{{"Baris", strconv.Itoa(l.Number)}, {"Reader", l.Reader}, {"Kartu SAM", l.SAM}, {"Status", l.StateLabel}},
	}
}

// correctReader sends a returned line in again.
func (p *Pages) correctReader() editor {
	return editor{"Perbaiki reader",
		func(r *http.Request) (formBody, error) {
			v, l, err := p.readerOf(r, activation.VerbResubmit)
			if err != nil {
				return formBody{}, err
			}
			types, err := institution.MachineTypes(r.Context(), p.db)
			if err != nil {
				return formBody{}, err
			}
			kind := field{Name: "machine_type", Label: "Jenis reader", Kind: "select", Options: readerTypes(types, l.MachineType)}
			mode := field{Name: "mode", Label: "Mode", Hint: activation.OnlineDuty, Kind: "select"}
			for _, code := range []string{activation.Online, activation.Offline} {
				mode.Options = append(mode.Options, option{code, activation.ModeLabels[code], code == l.Mode})
			}
			text := func(name, label, value string) field {
				f := field{Name: name, Label: label, Kind: "text", Value: value, Longest: 200}
				if r.Method == http.MethodGet { // of what is sent now other things may be wrong
					for _, found := range l.Findings {
						if found.Field == name {
							f.Error = strings.TrimSpace(f.Error + " " + found.Detail)
						}
					}
				}
				return f
			}
			origin := text("origin_no", "Nomor asal SAM", originTyped(l.Line))
			origin.Optional, origin.Hint = true, originHint
			b := readerBody(v, l, "perbaiki", "Ajukan kembali", []field{
				text("reader_serial", "No. Seri Reader", l.Reader), text("sam_serial", "No. Seri Kartu SAM", l.SAM), origin,
				text("perso_no", "Nomor SAM hasil perso", l.Perso), text("pcid", "PCID", l.PCID), kind, mode, text("address", "Alamat penempatan", l.Address), text("region", "Wilayah penggunaan", l.Region),
			})
			b.Warning = l.Reason
			return b, nil
		},
		func(r *http.Request) (string, error) {
			n, err := strconv.Atoi(chi.URLParam(r, "line"))
			if err != nil {
				return "", report.ErrNotFound
			}
			value := r.PostForm.Get
			ticket := chi.URLParam(r, "ticket")
			err = p.readerDesk().Correct(r.Context(), signin.Account(r), ticket, seenVersion(r), []readers.Corrected{{Number: n, Line: activation.Line{
				Reader: value("reader_serial"), SAM: value("sam_serial"), Origin: value("origin_no"), Perso: value("perso_no"), PCID: value("pcid"),
				MachineType: value("machine_type"), Mode: value("mode"), Address: value("address"), Region: value("region"),
			}}})
			return readersPath + "/" + ticket + "?" + justKept(), atTop(err)
		}}
}

// atTop takes the place of a single line out of the pointers of its faults.
func atTop(err error) error {
	var faults form.Faults
	if !errors.As(err, &faults) {
		return err
	}
	all := slices.Clone(faults)
	for i := range all {
		all[i].Pointer = "/" + path.Base(all[i].Pointer)
	}
	return all
}

// placeReader moves a reader, or puts another in its place.
func (p *Pages) placeReader(verb machine.Verb) editor {
	title, end := "Pindahkan reader", "pindahkan"
	if verb == activation.VerbReplace {
		title, end = "Ganti reader", "ganti"
	}
	return editor{title,
		func(r *http.Request) (formBody, error) {
			v, l, err := p.readerOf(r, verb)
			if err != nil {
				return formBody{}, err
			}
			fields := []field{
				{Name: "address", Label: "Alamat penempatan", Kind: "text", Value: l.Address, Longest: 200}, {Name: "region", Label: "Wilayah penggunaan", Kind: "text", Value: l.Region, Longest: 200},
				{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 2000},
			}
			b := readerBody(v, l, end, title, fields)
			b.Lead = "Manifest reader ini tetap berlaku."
			if verb == activation.VerbReplace {
				b.Fields = append([]field{{Name: "reader_serial", Label: "No. Seri Reader pengganti", Kind: "text", Longest: 64}}, fields...)
				b.Lead = ""
				b.Warning = "Aktivasi reader lama dicabut dan tidak dapat dipakai lagi. Reader pengganti mendapat manifest dan surat balasan sendiri."
			}
			return b, nil
		},
		func(r *http.Request) (string, error) {
			n, err := strconv.Atoi(chi.URLParam(r, "line"))
			if err != nil {
				return "", report.ErrNotFound
			}
			do := p.readerDesk().Move
			if verb == activation.VerbReplace {
				do = p.readerDesk().Replace
			}
			value, ticket := r.PostForm.Get, chi.URLParam(r, "ticket")
			return readersPath + "/" + ticket + "?" + justKept(), do(r.Context(), signin.Account(r), ticket, seenVersion(r), n, readers.Place{
				Reader: value("reader_serial"), Address: value("address"), Region: value("region"), Reason: value("reason"),
			})
		}}
}
