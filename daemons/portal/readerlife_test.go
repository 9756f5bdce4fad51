package main

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/report"
)

// What the office does with a reader that is accepted; and all of a lembaga with its PKS.
func TestTheLifeOfAReader(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	cards := o.handedOver(4)
	v := o.activates("1", cards)
	o.acceptReaders(&v)
	require.Equal(t, "accepted accepted accepted accepted", lineStates(v))
	at := activations + "/" + v.Ticket
	place := map[string]any{"address": "Jl. Baru No. 2", "region": "Kota Bogor", "reason": "Cabang pindah."}
	for _, who := range []string{"lembaga", "produsen", "dirjen"} {
		o.problem(403, who, http.MethodPost, at+"/lines/1/move", place, ifMatch(v.Version)...)
	}
	o.step(200, "operator", "lines/1/move", &v, place)
	require.Equal(t, []string{"Kota Bogor", ""}, []string{v.Lines[0].Region, v.Lines[0].Reason}, "why it was moved is not why it is accepted")
	require.Equal(t, map[string]string{"/reader_serial": "missing"}, codes(o.problem(422, "operator", http.MethodPost, at+"/lines/2/replacement", place, ifMatch(v.Version)...)))
	place["reader_serial"] = cards[2].ReaderSerial
	require.Equal(t, map[string]string{"/reader_serial": "used"}, codes(o.problem(422, "operator", http.MethodPost, at+"/lines/2/replacement", place, ifMatch(v.Version)...)))
	place["reader_serial"] = "r-baru"
	o.step(200, "operator", "lines/2/replacement", &v, place)
	require.Equal(t, "accepted revoked accepted accepted accepted", lineStates(v))
	require.Equal(t, []string{"R-BARU", "Reader diganti"}, []string{v.Lines[4].Reader, v.Lines[1].CauseLabel})
	var passport report.ChipAnswer
	o.want(200, &passport, "operator", http.MethodGet, "/api/v1/chips/"+cards[1].Serial, nil)
	require.Len(t, passport.Chip.Activations, 2)
	require.Equal(t, []string{v.Ticket, "R-BARU", "accepted"}, []string{passport.Chip.Activations[1].Ticket, passport.Chip.Activations[1].ReaderSerial, string(passport.Chip.Activations[1].State)})
	was := "Reader " + v.Lines[1].Reader + " (" + v.Ticket + "): "
	require.Subset(t, said(passport.Chip.History), []string{was + "terdaftar", was + "disetujui Dirjen", was + "diterima Subdit KI", was + "reader diganti"}, "the life of a card goes on in its readers")
	o.want(200, &passport, "produsen", http.MethodGet, "/api/v1/chips/"+cards[1].Serial, nil)
	for _, e := range passport.Chip.History {
		if e.Machine == activation.Machine.Name {
			require.Empty(t, e.Actor+e.Name, "a produsen sees the lembaga, not its people")
		}
	}
	life := o.page(200, "operator", "/chip/"+cards[1].ID).text
	require.Contains(t, life, "Aktivasi terakhir Reader R-BARU: Diterima Subdit KI")
	require.Contains(t, life, was+"reader diganti")
	for _, number := range []string{"r-baru", cards[1].ReaderSerial, v.Lines[4].ManifestSerial, v.Lines[1].ManifestSerial} { // also those of before
		o.want(200, &passport, "operator", http.MethodGet, "/api/v1/chips/"+number, nil)
		require.Equal(t, cards[1].ID, passport.Chip.ID, number)
		o.problem(404, foreigner, http.MethodGet, "/api/v1/chips/"+number, nil)
	}
	o.problem(404, "operator", http.MethodPost, at+"/lines/9/move", place, ifMatch(v.Version)...)
	o.step(422, "operator", "theft", &v, map[string]any{"lines": []int{3}})
	o.step(200, "operator", "theft", &v, map[string]any{"lines": []int{3}, "reason": "Laporan polisi."})
	o.step(200, "operator", "suspension", &v, map[string]any{"lines": []int{4}, "reason": "Diperiksa."})
	require.Equal(t, "accepted revoked revoked suspended accepted", lineStates(v))
	require.NotContains(t, v.Lines[2].Offers, activation.VerbFound, "the operator reports it, Kasubdit KI lifts it")
	o.step(403, "operator", "recovery", &v, map[string]any{"lines": []int{3}, "reason": "Kembali."})
	again := readerLines(cards[2:3])
	var second report.ActivationLetter
	o.want(201, &second, "lembaga", http.MethodPost, activations, activationForm(t, pdf, readerLetter("2", again)), keyed()...)
	second = o.judged(second)
	require.Equal(t, "returned", lineStates(second))
	require.Contains(t, second.Lines[0].Findings[0].Office, "Laporan polisi.")
	var told report.ActivationLetter
	o.want(200, &told, "lembaga", http.MethodGet, activations+"/"+second.Ticket, nil)
	require.Equal(t, []string{"reported_missing", ""}, []string{told.Lines[0].Findings[0].Code, told.Lines[0].Findings[0].Office})
	require.NotContains(t, o.want(200, nil, "lembaga", http.MethodGet, "/aktivasi/"+second.Ticket, nil).Body.String(), "Laporan polisi.")
	require.Equal(t, map[string]string{"/lines": "missing"}, codes(o.problem(422, "kasubdit", http.MethodPost, at+"/recovery", map[string]any{"reason": "x"}, ifMatch(v.Version)...)))
	require.Equal(t, "illegal-step", problemCode(o.problem(409, "kasubdit", http.MethodPost, at+"/recovery", map[string]any{"lines": []int{2}, "reason": "x"}, ifMatch(v.Version)...).Type))
	require.Contains(t, o.want(200, nil, "kasubdit", http.MethodGet, "/aktivasi/"+v.Ticket, nil).Body.String(), "Catat ditemukan kembali")
	o.want(303, nil, "kasubdit", http.MethodPost, "/aktivasi/"+v.Ticket+"/ditemukan", url.Values{"versi": {fmt.Sprint(v.Version)}, "baris": {"3"}, "alasan": {"Dikembalikan polisi."}}.Encode())
	o.want(200, &v, "kasubdit", http.MethodGet, at, nil)
	require.Equal(t, []string{"Dicuri", "2026-11-23", "Laporan polisi."}, []string{v.Lines[2].CauseLabel, v.Lines[2].FoundOn.String(), v.Lines[2].Reason})
	require.Contains(t, v.Timeline[0].Label, "Reader ditemukan kembali (baris 3)")

	var agreements struct{ PKS []masterdata.PKS }
	o.want(200, &agreements, "operator", http.MethodGet, "/api/v1/pks?search=119/1/2026", nil)
	pks := "/api/v1/pks/" + agreements.PKS[0].ID
	o.want(200, nil, "operator", http.MethodPost, pks+"/withdrawal", map[string]any{"date": "2026-11-23", "reason": "Pelanggaran."}, ifMatch(1)...)
	o.want(200, &v, "operator", http.MethodGet, at, nil)
	require.Equal(t, "suspended revoked revoked suspended suspended", lineStates(v))
	require.Equal(t, "PKS dicabut", v.Lines[0].CauseLabel)
	require.Equal(t, "pks-not-in-force", problemCode(o.problem(409, "operator", http.MethodPost, at+"/resumption", map[string]any{"reason": "x"}, ifMatch(v.Version)...).Type))
	o.want(200, nil, "operator", http.MethodPost, pks+"/reinstatement", map[string]any{"reason": "Diperbaiki."}, ifMatch(2)...)
	o.want(200, &v, "operator", http.MethodGet, at, nil)
	require.Equal(t, "accepted revoked revoked suspended accepted", lineStates(v), "what was suspended for another reason stays")
	require.Equal(t, []string{"", "Diperiksa."}, []string{v.Lines[0].Reason, v.Lines[3].Reason})
	o.step(200, "operator", "resumption", &v, map[string]any{"reason": "Selesai diperiksa."})
	require.Empty(t, v.Lines[3].Reason, "it goes on as before")
	o.step(403, "operator", "revocation", &v, map[string]any{"reason": "x"})
	require.Equal(t, map[string]string{"/lines": "missing"}, codes(o.problem(422, "kasubdit", http.MethodPost, at+"/revocation", map[string]any{"reason": "x"}, ifMatch(v.Version)...)))
	o.step(200, "kasubdit", "revocation", &v, map[string]any{"lines": []int{1, 4, 5}, "reason": "Tidak dipakai lagi."})
	require.Equal(t, "revoked revoked revoked revoked revoked", lineStates(v))
}

// A new agreement does not by itself resume what the withdrawn one suspended: people do, all
// in one act.
func TestANewPKSOffersToResumeTheReaders(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.activates("1", o.handedOver(3))
	o.acceptReaders(&v)
	at := activations + "/" + v.Ticket
	o.step(200, "operator", "suspension", &v, map[string]any{"lines": []int{3}, "reason": "Diperiksa."})
	var agreements struct{ PKS []masterdata.PKS }
	o.want(200, &agreements, "operator", http.MethodGet, "/api/v1/pks?search=119/1/2026", nil)
	old := agreements.PKS[0]
	o.want(200, nil, "operator", http.MethodPost, "/api/v1/pks/"+old.ID+"/withdrawal", map[string]any{"date": "2026-11-23", "reason": "Pelanggaran."}, ifMatch(1)...)
	var made masterdata.PKS
	o.want(201, &made, "operator", http.MethodPost, "/api/v1/pks", map[string]any{
		"number": "119/9/2026", "institution_id": old.InstitutionID, "valid_from": "2026-11-01", "valid_to": "2027-11-01",
	})
	require.Equal(t, 2, made.SuspendedReaders)
	o.want(200, &v, "operator", http.MethodGet, at, nil)
	require.Equal(t, "suspended suspended suspended", lineStates(v), "people decide")
	page := "/data-induk/pks/" + made.ID
	require.Contains(t, o.want(200, nil, "kasubdit", http.MethodGet, page, nil).Body.String(), "Aktifkan kembali semua")

	resume := "/api/v1/pks/" + made.ID + "/readers-resumption"
	o.problem(403, "lembaga", http.MethodPost, resume, map[string]any{"reason": "x"}, ifMatch(1)...)
	o.problem(403, "dirjen", http.MethodPost, resume, map[string]any{"reason": "x"}, ifMatch(1)...)
	require.Equal(t, map[string]string{"/reason": "missing"}, codes(o.problem(422, "operator", http.MethodPost, resume, map[string]any{"reason": " "}, ifMatch(1)...)))
	o.problem(412, "operator", http.MethodPost, resume, map[string]any{"reason": "x"}, ifMatch(7)...)
	require.Equal(t, "pks-not-in-force", problemCode(o.problem(409, "operator", http.MethodPost, "/api/v1/pks/"+old.ID+"/readers-resumption", map[string]any{"reason": "x"}, ifMatch(2)...).Type))
	require.Contains(t, o.want(200, nil, "kasubdit", http.MethodGet, page+"/lanjutkan", nil).Body.String(), "2 reader")
	require.Contains(t, o.want(422, nil, "kasubdit", http.MethodPost, page+"/lanjutkan", url.Values{"versi": {"1"}, "reason": {""}}.Encode()).Body.String(), "Alasan wajib diisi.")
	w := o.want(303, nil, "kasubdit", http.MethodPost, page+"/lanjutkan", url.Values{"versi": {"1"}, "reason": {"PKS baru ditandatangani."}}.Encode())
	require.Contains(t, o.want(200, nil, "kasubdit", http.MethodGet, w.Header().Get("Location"), nil).Body.String(), "2 reader diaktifkan kembali.")
	o.want(200, &v, "operator", http.MethodGet, at, nil)
	require.Equal(t, "accepted accepted suspended", lineStates(v), "what was suspended for another reason stays")
	require.Contains(t, v.Timeline[0].Label, "Dilanjutkan (baris 1–2)")
	require.Equal(t, "illegal-step", problemCode(o.problem(409, "operator", http.MethodPost, resume, map[string]any{"reason": "x"}, ifMatch(1)...).Type))
	o.want(200, &made, "operator", http.MethodGet, "/api/v1/pks/"+made.ID, nil)
	require.Equal(t, "pks.resume_readers", made.History[0].Action)
}
