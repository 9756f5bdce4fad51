package pages

import (
	"net/http"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// keysOf lists the live API keys that a person made: shutting the person out does
// not end them.
func (p *Pages) keysOf(w http.ResponseWriter, r *http.Request) error {
	a, err := p.personOf(r)
	if err != nil {
		return err
	}
	list, err := p.desk.KeysMadeBy(r.Context(), signin.Account(r), a)
	if err != nil {
		return err
	}
	body := rowsBody{
		Crumbs: append(peopleCrumbs[:len(peopleCrumbs):len(peopleCrumbs)], crumb{a.Username, peoplePath + "/" + a.ID}),
		Lead:   "Kunci yang dibuat " + a.Name + " (" + a.Username + ") tetap berlaku, juga bila akunnya dinonaktifkan. Cabut yang mungkin masih ia simpan.",
	}
	if r.URL.Query().Get("dinonaktifkan") != "" {
		body.Notice = "Akun dinonaktifkan."
	}
	t := rowsTable{Caption: "Kunci yang masih berlaku", Empty: "tidak ada.", Heads: []string{"Keperluan", "Lembaga", "Berlaku sampai", "Terakhir dipakai", "Tindakan"}}
	for _, k := range list {
		used := "Belum pernah"
		if k.LastUsedAt != nil {
			used = terbilang.FormatDateTime(*k.LastUsedAt)
		}
		t.Rows = append(t.Rows, []cell{{Text: k.Label}, {Text: k.Institution}, {Text: terbilang.FormatDate(clock.DateOf(k.ExpiresAt.Add(-1)))}, {Text: used},
			{Text: "Cabut", Path: keysPath + "/" + k.ID + "/cabut"}})
	}
	body.Tables = []rowsTable{t}
	p.show(w, r, http.StatusOK, "rows", "Kunci API yang dibuat "+a.Name, body)
	return nil
}
