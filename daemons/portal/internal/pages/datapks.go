package pages

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

var pksTones = map[string]string{institution.PKSInForce: good, institution.PKSWithdrawn: bad, institution.PKSExpired: bad}

var pksCrumbs = []crumb{dataCrumb, {"PKS", pksPath}}

func (p *Pages) listPKS(w http.ResponseWriter, r *http.Request) error {
	body, after := looked(r, pksPath)
	list, err := p.desk.ListPKS(r.Context(), signin.Account(r), institution.PKSFilter{Search: body.Search, After: after, Limit: dataShown + 1})
	if err != nil {
		return err
	}
	body.Links = []crumb{{"Daftarkan PKS", pksPath + "/baru"}}
	t := rowsTable{Caption: "PKS, terbaru lebih dahulu", Empty: "tidak ada.", Heads: []string{"Nomor", "Lembaga", "Berlaku", "Status"}}
	for _, k := range cutRows(&body, list, func(k masterdata.PKS) string { return k.ID }) {
		t.Rows = append(t.Rows, []cell{{Text: k.Number, Path: pksPath + "/" + k.ID}, {Text: k.Institution},
			{Text: terbilang.FormatPeriod(k.ValidFrom, k.ValidTo)}, {Tag: tag{pksTones[k.Status], k.StatusLabel}}})
	}
	body.Tables = []rowsTable{t}
	p.show(w, r, http.StatusOK, "rows", "PKS", body)
	return nil
}

// pksOf is the agreement in the address.
func (p *Pages) pksOf(r *http.Request) (masterdata.PKS, error) {
	id, err := rowOf(r)
	if err != nil {
		return masterdata.PKS{}, err
	}
	return p.desk.PKS(r.Context(), signin.Account(r), id)
}

var pksActions = map[string]string{
	"pks.create": "Didaftarkan", "pks.change": "Diubah", "pks.withdraw": "Dicabut", "pks.reinstate": "Diberlakukan kembali",
	"pks.resume_readers": "Reader diaktifkan kembali",
}

// onePKS shows an agreement, what was done to it, and what it leaves to decide.
func (p *Pages) onePKS(w http.ResponseWriter, r *http.Request) error {
	k, err := p.pksOf(r)
	if err != nil {
		return err
	}
	at := pksPath + "/" + k.ID
	body := rowsBody{Crumbs: []crumb{dataCrumb, {"PKS", pksPath}}, Summary: []pair{
		{"Lembaga", k.Institution}, {"Berlaku", terbilang.FormatPeriod(k.ValidFrom, k.ValidTo)}, {"Status", k.StatusLabel},
	}}
	if k.State == institution.PKSWithdrawn {
		if k.WithdrawnOn != nil {
			body.Summary = append(body.Summary, pair{"Dicabut", terbilang.FormatDate(*k.WithdrawnOn) + " oleh " + k.WithdrawnBy})
		}
		body.Summary = append(body.Summary, pair{"Alasan", k.WithdrawnReason})
		body.Links = []crumb{{"Berlakukan kembali", at + "/berlakukan"}, {"Ubah", at + "/ubah"}}
	} else {
		body.Links = []crumb{{"Ubah", at + "/ubah"}, {"Cabut", at + "/cabut"}}
	}
	if k.SuspendedReaders > 0 {
		body.Notice = number(k.SuspendedReaders) + " reader " + k.Institution + " masih ditangguhkan karena PKS yang dicabut dahulu. PKS ini berlaku; reader-reader itu aktif kembali hanya bila kantor memutuskannya."
		body.Links = append([]crumb{{"Aktifkan kembali semua", at + "/lanjutkan"}}, body.Links...)
	} else if n, err := strconv.Atoi(r.URL.Query().Get("lanjut")); err == nil && n > 0 {
		body.Notice = number(n) + " reader diaktifkan kembali."
	}
	if k.Status == institution.PKSWithdrawn || k.Status == institution.PKSExpired {
		body.Notice = "Permohonan baru dengan PKS ini tidak dapat diterima."
		t := rowsTable{Caption: "Menunggu keputusan Kasubdit KI: sudah diterima dan belum selesai", Empty: "tidak ada permohonan.",
			Heads: []string{"Kode tiket", "Judul", "Pemohon", "Keadaan", "Kartu"}}
		for _, a := range k.ToDecide {
			t.Rows = append(t.Rows, []cell{{Text: a.Ticket, Path: "/permohonan/" + a.Ticket}, {Text: a.Title}, {Text: a.Institution},
				{Text: a.StateLabel}, {Text: number(a.CardCount)}})
		}
		if len(t.Rows) > 0 {
			body.Notice += " Permohonan di bawah ini tetap berjalan kecuali ditahan oleh Kasubdit KI."
		}
		body.Tables = append(body.Tables, t)
	}
	history := rowsTable{Caption: "Riwayat, terbaru lebih dahulu", Empty: "belum ada perubahan.", Heads: []string{"Perubahan", "Waktu", "Oleh", "Alasan"}}
	var people []*string
	for i := range k.History {
		people = append(people, &k.History[i].Actor)
	}
	if err := p.named(r.Context(), people...); err != nil {
		return err
	}
	for _, e := range k.History {
		var d struct{ Reason string }
		_ = json.Unmarshal(e.Detail, &d) // our own JSON; without a reason there is none
		history.Rows = append(history.Rows, []cell{{Text: pksActions[e.Action]}, {Text: terbilang.FormatDateTime(e.At)}, {Text: e.Actor}, {Text: d.Reason}})
	}
	body.Tables = append(body.Tables, history)
	p.show(w, r, http.StatusOK, "rows", "PKS nomor "+k.Number, body)
	return nil
}

func pksForm(k institution.PKS, action, submit string) formBody {
	return formBody{Crumbs: pksCrumbs, Action: action, Submit: submit, Version: k.Version, Fields: []field{
		{Name: "number", Label: "Nomor PKS", Kind: "text", Value: k.Number},
		{Name: "valid_from", Label: "Mulai berlaku", Kind: "date", Value: k.ValidFrom.String()},
		{Name: "valid_to", Label: "Hari terakhir berlaku", Kind: "date", Value: k.ValidTo.String()},
	}}
}

func typedPKS(r *http.Request, k institution.PKS) institution.PKS {
	k.Number, k.ValidFrom, k.ValidTo, k.Version = r.PostForm.Get("number"), typedDate(r, "valid_from"), typedDate(r, "valid_to"), seenVersion(r)
	return k
}

func (p *Pages) newPKS() editor {
	return editor{"Daftarkan PKS",
		func(r *http.Request) (formBody, error) {
			list, err := p.desk.Institutions(r.Context(), signin.Account(r),
				institution.Filter{Kinds: []string{institution.Lembaga}, Active: new(true), Limit: choicesMost})
			body := pksForm(institution.PKS{}, pksPath+"/baru", "Daftarkan")
			body.Fields = append([]field{{Name: "institution_id", Label: "Lembaga pengguna", Kind: "select", Options: choices(list, "")}}, body.Fields...)
			return body, err
		},
		func(r *http.Request) (string, error) {
			id, _ := uuid.Parse(r.PostForm.Get("institution_id")) // none is no institution's
			made, err := p.desk.CreatePKS(r.Context(), signin.Account(r), typedPKS(r, institution.PKS{InstitutionID: id.String()}))
			if made.SuspendedReaders > 0 { // there is something to decide
				return pksPath + "/" + made.ID, err
			}
			return pksPath + "?tersimpan=1", err
		}}
}

func (p *Pages) editPKS() editor {
	return editor{"Ubah PKS",
		func(r *http.Request) (formBody, error) {
			k, err := p.pksOf(r)
			body := pksForm(k.PKS, pksPath+"/"+k.ID+"/ubah", "Simpan")
			body.Lead = "PKS dengan " + k.Institution + "."
			return body, err
		},
		func(r *http.Request) (string, error) {
			k, err := p.pksOf(r)
			if err == nil {
				_, err = p.desk.ChangePKS(r.Context(), signin.Account(r), typedPKS(r, k.PKS))
			}
			return pksPath + "/" + k.ID, err
		}}
}

func (p *Pages) withdrawal() editor {
	return editor{"Cabut PKS",
		func(r *http.Request) (formBody, error) {
			k, err := p.pksOf(r)
			return formBody{Crumbs: pksCrumbs, Action: pksPath + "/" + k.ID + "/cabut", Submit: "Cabut PKS", Version: k.Version,
				Lead:    "PKS nomor " + k.Number + " dengan " + k.Institution + ".",
				Warning: "Setelah dicabut, permohonan baru dengan PKS ini tidak dapat diterima. Permohonan yang sudah diterima tidak ditahan dengan sendirinya; daftarnya ditampilkan untuk diputuskan Kasubdit KI.",
				Fields: []field{
					{Name: "date", Label: "Tanggal pencabutan", Kind: "date", Value: p.desk.Today().String()},
					{Name: "reason", Label: "Alasan pencabutan", Kind: "textarea"},
				}}, err
		},
		func(r *http.Request) (string, error) {
			k, err := p.pksOf(r)
			if err == nil {
				_, err = p.desk.WithdrawPKS(r.Context(), signin.Account(r), k.ID, seenVersion(r), typedDate(r, "date"), r.PostForm.Get("reason"))
			}
			return pksPath + "/" + k.ID, err
		}}
}

// readersResumption asks once more before all readers of a lembaga count again.
func (p *Pages) readersResumption() editor {
	return editor{"Aktifkan kembali semua reader",
		func(r *http.Request) (formBody, error) {
			k, err := p.pksOf(r)
			return formBody{Crumbs: pksCrumbs, Action: pksPath + "/" + k.ID + "/lanjutkan", Submit: "Aktifkan kembali semua", Version: k.Version,
				Lead:    number(k.SuspendedReaders) + " reader " + k.Institution + " ditangguhkan karena PKS dicabut, dan kini PKS nomor " + k.Number + " berlaku.",
				Warning: "Semuanya kembali ke keadaan sebelum ditangguhkan dan keluar dari daftar pencabutan. Yang ditangguhkan karena sebab lain, dan yang sudah dicabut, tidak berubah.",
				Fields:  []field{{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 2000}}}, err
		},
		func(r *http.Request) (string, error) {
			k, err := p.pksOf(r)
			if err == nil {
				_, err = p.desk.ResumeReaders(r.Context(), signin.Account(r), k.ID, seenVersion(r), r.PostForm.Get("reason"))
			}
			return pksPath + "/" + k.ID + "?lanjut=" + strconv.Itoa(k.SuspendedReaders), err
		}}
}

func (p *Pages) reinstatement() editor {
	return editor{"Berlakukan kembali PKS",
		func(r *http.Request) (formBody, error) {
			k, err := p.pksOf(r)
			return formBody{Crumbs: pksCrumbs, Action: pksPath + "/" + k.ID + "/berlakukan", Submit: "Berlakukan kembali", Version: k.Version,
				Lead:   "PKS nomor " + k.Number + " dengan " + k.Institution + ".",
				Fields: []field{{Name: "reason", Label: "Alasan pemberlakuan kembali", Kind: "textarea"}}}, err
		},
		func(r *http.Request) (string, error) {
			k, err := p.pksOf(r)
			if err == nil {
				_, err = p.desk.ReinstatePKS(r.Context(), signin.Account(r), k.ID, seenVersion(r), r.PostForm.Get("reason"))
			}
			return pksPath + "/" + k.ID, err
		}}
}

var machineCrumbs = []crumb{dataCrumb, {"Jenis mesin", machinesPath}}

func (p *Pages) machineTypes(w http.ResponseWriter, r *http.Request) error {
	body, _ := looked(r, machinesPath)
	body.Searched = false
	list, err := p.desk.MachineTypes(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	body.Links = []crumb{{"Daftarkan jenis mesin", machinesPath + "/baru"}}
	t := rowsTable{Caption: "Jenis mesin menurut nama", Empty: "belum ada.", Heads: []string{"Nama", "Kode", "Pola kartu SAM", "Pola reader", "Status"}}
	for _, m := range list {
		t.Rows = append(t.Rows, []cell{{Text: m.Name, Path: machinesPath + "/" + m.Code}, {Text: m.Code}, {Text: m.SAMPattern}, {Text: m.ReaderPattern},
			{Tag: activeTag(m.Active)}})
	}
	body.Tables = []rowsTable{t}
	p.show(w, r, http.StatusOK, "rows", "Jenis mesin", body)
	return nil
}

func machineForm(m institution.MachineType, action, submit string) formBody {
	const hint = "Ekspresi reguler (RE2) untuk nomor seri secara utuh, misalnya [A-Z0-9]{6,20}."
	body := formBody{Crumbs: machineCrumbs, Action: action, Submit: submit, Version: m.Version, Fields: []field{
		{Name: "name", Label: "Nama jenis mesin", Kind: "text", Value: m.Name},
		{Name: "sam_pattern", Label: "Pola nomor seri kartu SAM", Kind: "text", Value: m.SAMPattern, Hint: hint},
		{Name: "sam_examples", Label: "Contoh nomor seri kartu SAM", Kind: "textarea", Value: strings.Join(m.SAMExamples, "\n"),
			Hint: "Satu per baris. Tiap contoh harus sesuai dengan pola."},
	}}
	if m.UsesReader || m.Code == "" {
		body.Fields = append(body.Fields,
			field{Name: "reader_pattern", Label: "Pola nomor seri reader", Kind: "text", Value: m.ReaderPattern, Optional: m.Code == ""},
			field{Name: "reader_examples", Label: "Contoh nomor seri reader", Kind: "textarea", Value: strings.Join(m.ReaderExamples, "\n"), Optional: m.Code == ""})
	}
	return body
}

func typedMachine(r *http.Request, m institution.MachineType) institution.MachineType {
	m.Name, m.SAMPattern, m.ReaderPattern = r.PostForm.Get("name"), r.PostForm.Get("sam_pattern"), r.PostForm.Get("reader_pattern")
	m.SAMExamples, m.ReaderExamples = strings.Split(r.PostForm.Get("sam_examples"), "\n"), strings.Split(r.PostForm.Get("reader_examples"), "\n")
	m.Version = seenVersion(r)
	return m
}

func (p *Pages) newMachineType() editor {
	return editor{"Daftarkan jenis mesin",
		func(*http.Request) (formBody, error) {
			body := machineForm(institution.MachineType{}, machinesPath+"/baru", "Daftarkan")
			body.Fields = append([]field{
				{Name: "code", Label: "Kode", Kind: "text", Hint: "Huruf kecil, angka, dan tanda hubung; dipakai perangkat lunak produsen dan tidak dapat diubah."},
				{Name: "uses_reader", Label: "Pemakaian", Kind: "checkboxes", Options: []option{{"ya", "Memakai mesin (reader)", true}}},
			}, body.Fields...)
			return body, nil
		},
		func(r *http.Request) (string, error) {
			m := typedMachine(r, institution.MachineType{Code: r.PostForm.Get("code"), UsesReader: r.PostForm.Get("uses_reader") != ""})
			_, err := p.desk.CreateMachineType(r.Context(), signin.Account(r), m)
			return machinesPath + "?tersimpan=1", err
		}}
}

func (p *Pages) machineOf(r *http.Request) (institution.MachineType, error) {
	return p.desk.MachineType(r.Context(), signin.Account(r), chi.URLParam(r, "code"))
}

func (p *Pages) editMachineType() editor {
	return editor{"Ubah jenis mesin",
		func(r *http.Request) (formBody, error) {
			m, err := p.machineOf(r)
			body := machineForm(m, machinesPath+"/"+m.Code, "Simpan")
			body.Lead = "Kode " + m.Code + ", " + strings.ToLower(activeTag(m.Active).Text) + "."
			body.Also = []crumb{{toggleLabel(m.Active), machinesPath + "/" + m.Code + "/status"}}
			return body, err
		},
		func(r *http.Request) (string, error) {
			m, err := p.machineOf(r)
			if err == nil {
				_, err = p.desk.ChangeMachineType(r.Context(), signin.Account(r), typedMachine(r, m))
			}
			return machinesPath + "?tersimpan=1", err
		}}
}

func (p *Pages) machineStatus() editor {
	return editor{"Ubah status jenis mesin",
		func(r *http.Request) (formBody, error) {
			m, err := p.machineOf(r)
			body := formBody{Crumbs: machineCrumbs, Action: machinesPath + "/" + m.Code + "/status", Submit: toggleLabel(m.Active), Version: m.Version, Lead: m.Name}
			if m.Active {
				body.Warning = "Permohonan baru tidak dapat lagi memakai jenis mesin ini. Permohonan yang sudah ada tidak berubah."
			}
			return body, err
		},
		func(r *http.Request) (string, error) {
			m, err := p.machineOf(r)
			if err == nil {
				_, err = p.desk.SetMachineTypeActive(r.Context(), signin.Account(r), m.Code, seenVersion(r), !m.Active)
			}
			return machinesPath + "?tersimpan=1", err
		}}
}
