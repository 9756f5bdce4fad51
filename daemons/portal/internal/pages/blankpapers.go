package pages

import (
	"net/http"
	"slices"

	"dukcapil.go.id/sifilma/daemons/portal/internal/blanks"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// papersTable lists papers about blanks with the file to print.
func papersTable(caption string, papers []blanks.Paper) rowsTable {
	t := rowsTable{Caption: caption, Empty: "belum ada.", Heads: []string{"Naskah", "Keadaan", "Berkas"}}
	for i, p := range papers {
		name, file := "Ke-"+number(i+1), cell{}
		if p.Number != "" {
			name = "Nomor " + p.Number
		}
		for _, format := range []string{"pdf", "scan"} { // the signed one, where there is one
			if slices.Contains(p.Formats, format) {
				file = cell{Text: formatNames[format], Path: "/api/v1/documents/" + p.ID + "/files/" + format}
			}
		}
		if len(p.Formats) == 0 && (p.State == letter.Drafted || p.State == letter.Numbered) {
			file = cell{Text: "sedang disusun"}
		}
		t.Rows = append(t.Rows, []cell{{Text: name}, {Tag: tagOf(letter.Machine)(p.State)}, file})
	}
	return t
}

// attesting asks for the receipt for blanks that came in.
func (p *Pages) attesting() editor {
	return editor{stock.Words.VerbLabel(stock.AttestVerb),
		func(r *http.Request) (formBody, error) {
			v, err := p.onBlanks(r, stock.AttestVerb)
			if err != nil {
				return formBody{}, err
			}
			arrivals := []option{{"", "Yang dihitung saat pendaftaran", true}}
			for _, m := range v.Movements {
				if m.Kind == stock.Receipt && !m.Reversed && m.Reverses == nil {
					arrivals = append(arrivals, option{m.ID, "Susulan " + terbilang.FormatDate(m.Happened) + ": " + number(m.Quantity) + " keping dari " + m.Party, false})
				}
			}
			return formBody{Crumbs: bookCrumbs(v.Ticket), Action: home + "/" + v.Ticket + blanksEnd + attestEnd, Submit: "Susun tanda terima",
				Lead: "Tanda terima menyebut jumlah yang dihitung dan apakah sama dengan daftar kartu. Keduanya menandatangani; pindaiannya diunggah pada dokumen permohonan.",
				Fields: []field{
					{Name: "movement", Label: "Blangko yang mana", Kind: "select", Options: arrivals},
					{Name: "brought_by", Label: "Yang menyerahkan: nama", Kind: "text", Longest: 200, Hint: "Orang yang membawa blangkonya."},
					{Name: "post", Label: "Yang menyerahkan: jabatan", Kind: "text", Longest: 200, Value: "PIC Produsen"},
				}}, nil
		},
		func(r *http.Request) (string, error) {
			v, err := p.onBlanks(r, stock.AttestVerb)
			if err != nil {
				return "", err
			}
			return blanksKept(v) + "&" + attestMark + "=1", p.vault().Attest(r.Context(), signin.Account(r), v.Ticket, blanks.Brought{
				MovementID: r.PostForm.Get("movement"), By: letter.Signature{Name: r.PostForm.Get("brought_by"), Post: r.PostForm.Get("post")},
			})
		}}
}

// printing asks for the paper of a day sheet.
func (p *Pages) printing() editor {
	return editor{stock.Words.VerbLabel(stock.SheetVerb),
		func(r *http.Request) (formBody, error) {
			if err := stock.May(stock.SheetVerb, signin.Account(r).Role); err != nil {
				return formBody{}, err
			}
			day := p.desk.Today()
			if text := r.URL.Query().Get("hari"); text != "" {
				var err error
				if day, err = shownDay(text); err != nil {
					return formBody{}, err
				}
			}
			return formBody{Crumbs: []crumb{{"Papan kapasitas", boardPath}, {"Lembar harian blangko", vaultPath + "?hari=" + day.String()}}, Action: vaultPath + "/cetak", Submit: "Susun lembar harian",
				Lead: "Lembar harian memuat kartu yang dikerjakan menurut permohonan dan stasiun, blangko, dan ujung rantai catatan audit pada saat disusun. Cetak, tanda tangani bersama " +
					request.RoleLabels[request.Kasubdit] + ", lalu simpan di luar komputer.",
				Fields: []field{{Name: "day", Label: "Tanggal", Kind: "date", Value: day.String()}}}, nil
		},
		func(r *http.Request) (string, error) {
			day := typedDate(r, "day")
			return vaultPath + "?hari=" + day.String() + "&" + justKept(), p.vault().Print(r.Context(), signin.Account(r), day)
		}}
}

// daySheets lists the day sheets that were asked for, those that wait with why.
func (p *Pages) daySheets(w http.ResponseWriter, r *http.Request) error {
	list, err := p.vault().Sheets(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	t := rowsTable{Caption: "Lembar harian menurut waktu diminta, terbaru lebih dahulu", Empty: "belum ada.", Heads: []string{"Hari", "Diminta oleh", "Pada", "Keadaan", "Keterangan", "Berkas"}}
	var people []*string
	for i := range list {
		people = append(people, &list[i].AskedBy)
	}
	if err := p.named(r.Context(), people...); err != nil {
		return err
	}
	for _, s := range list {
		file := cell{}
		if slices.Contains(s.Formats, "pdf") {
			file = cell{Text: formatNames["pdf"], Path: "/api/v1/documents/" + s.ID + "/files/pdf"}
		}
		t.Rows = append(t.Rows, []cell{
			{Text: terbilang.FormatDayDate(s.Day), Path: vaultPath + "?hari=" + s.Day.String()}, {Text: s.AskedBy}, {Text: terbilang.FormatDateTime(s.AskedAt)},
			{Tag: tagOf(letter.Machine)(s.State)}, {Text: s.Waits}, file,
		})
	}
	body := rowsBody{Crumbs: []crumb{{"Papan kapasitas", boardPath}, {"Lembar harian blangko", vaultPath}}, Tables: []rowsTable{t},
		Lead: "Lembar harian tidak dibatalkan dan tidak diganti: bila keliru atau keadaannya sudah lain, susun yang baru; keduanya tersimpan."}
	if stock.May(stock.SheetVerb, signin.Account(r).Role) == nil {
		body.Links = []crumb{{"Susun lembar harian untuk dicetak", vaultPath + "/cetak"}}
	}
	p.show(w, r, http.StatusOK, "rows", "Lembar harian yang disusun", body)
	return nil
}
