package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

func delivered(t *testing.T) *form {
	return newForm(t, signedScan("BAST"), "representative", "PIC Produsen Contoh", "representative_post", "Manajer", "representative_of", "produsen", "delivered_on", "2026-11-23")
}

// Cards leave the office in parts, while others of their request wait on the line: the
// paper, the secrets and the activation of those that are out wait for nobody; the letters
// and the end of the request do. On hold nothing leaves.
func TestAPartIsHandedOverBeforeTheEnd(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(4))
	o.produce(v, 1)
	secrets := o.sealedCards(v.ID)
	path, home := "/api/v1/requests/"+v.Ticket, "/permohonan/"+v.Ticket
	require.Equal(t, request.InProgress, o.see(v.Ticket).State)
	require.Equal(t, report.Handing{Total: 4, Ready: 3, Remaining: 4}, o.see(v.Ticket).Handing)
	page := o.page(200, "operator", home)
	require.Contains(t, page.hrefs(), home+"/serah-terima/baru")
	require.Contains(t, page.text, "Berhasil, belum dalam serah terima 3 keping")
	for _, says := range []string{"Siap diserahkan", "3 keping", "Surat balasan, surat keterangan selesai, dan laporan hasil disusun setelah"} {
		require.Contains(t, o.page(200, "operator", home+"/serah-terima/baru").text, says)
	}
	_, at := o.post(303, "operator", home+"/serah-terima/baru", "quantity", "2", "versi", "1")
	again, _ := o.post(412, "operator", home+"/serah-terima/baru", "quantity", "1", "versi", "1")
	require.Contains(t, again.text, "berubah sejak Anda membuka", "the same press twice is one handover")
	o.problem(412, "operator", http.MethodPost, path+"/handovers", map[string]any{"quantity": 1, "ordinal": 1})
	var h report.Handover
	o.want(200, &h, "operator", http.MethodGet, "/api/v1/handovers/"+o.see(v.Ticket).Handovers[0].ID, nil)
	require.Contains(t, at, h.ID)
	require.Equal(t, report.Handing{Total: 4, Ready: 1, Prepared: 2, Remaining: 4}, o.see(v.Ticket).Handing)
	at = "/api/v1/handovers/" + h.ID
	o.draftBAST(h, v.ID)
	require.Contains(t, o.page(200, "produsen", home).text, "laporan hasil disusun setelah personalisasi seluruh kartu")
	require.Contains(t, o.page(200, "operator", home+"/serah-terima").text, "disusun setelah personalisasi seluruh kartu")
	require.Contains(t, o.page(200, "operator", home+"/serah-terima/"+h.ID).text, "belum selesai; kartu lainnya lewat serah terima berikutnya")

	o.want(200, nil, "kasubdit", http.MethodPost, path+"/hold", map[string]any{"reason": "klarifikasi PKS"}, ifMatch(o.see(v.Ticket).Version)...)
	require.Equal(t, "urn:sifilma:problem:on-hold", o.problem(409, "operator", http.MethodPost, at+"/delivery", delivered(t)).Type)
	require.Equal(t, "urn:sifilma:problem:on-hold", o.problem(409, "operator", http.MethodPost, path+"/handovers", nil).Type)
	require.Equal(t, "urn:sifilma:problem:on-hold", o.problem(409, "operator", http.MethodPut, at+"/appointment", map[string]any{"day": "2026-11-24", "hour": "09:00"}).Type)
	require.Contains(t, o.page(200, "operator", home+"/serah-terima/"+h.ID).text, "sedang ditahan; kartunya tidak diserahkan")
	require.NotContains(t, o.page(200, "operator", home+"/serah-terima/"+h.ID).hrefs(), home+"/serah-terima/"+h.ID+"/penyerahan")
	require.Contains(t, o.page(409, "operator", home+"/serah-terima/"+h.ID+"/penyerahan").text, "sedang ditahan")
	require.Contains(t, o.page(409, "operator", home+"/serah-terima/baru").text, "sedang ditahan")
	require.Contains(t, o.page(200, "operator", home).text, "Selama permohonan ditahan, kartunya tidak diserahkan.")
	require.Equal(t, []machine.Role{request.Kasubdit}, o.see(v.Ticket).WaitingFor, "nobody is waited for who may not act")
	o.agree("it is on hold")
	o.want(200, nil, "kasubdit", http.MethodPost, path+"/release", map[string]any{}, ifMatch(o.see(v.Ticket).Version)...)

	percent := o.see(v.Ticket).Percent
	o.want(200, nil, "operator", http.MethodPost, at+"/delivery", delivered(t))
	require.Equal(t, report.Handing{Total: 4, Ready: 1, Delivered: 2, Remaining: 2}, o.see(v.Ticket).Handing)
	require.Equal(t, []any{percent, request.InProgress}, []any{o.see(v.Ticket).Percent, o.see(v.Ticket).State}, "the request goes its way")
	require.Contains(t, o.see(v.Ticket).WaitingFor, request.Produsen)
	o.agree("a part is delivered")
	got := unpacked(t, o.want(200, nil, "produsen", http.MethodGet, at+"/secrets", nil).Body.Bytes(), o.recipient)
	require.Len(t, got, 2, "of these, and of no other")
	for serial := range got {
		require.Equal(t, secrets[serial], got[serial])
	}

	var out, in []perso.CardRow
	for _, c := range o.cards("operator", v.Ticket) {
		if _, given := got[c.Serial]; given {
			out = append(out, c)
		} else if c.State == perso.Clear {
			in = append(in, c)
		}
	}
	require.Equal(t, []int{2, 1}, []int{len(out), len(in)})
	o.lembaga()
	require.Equal(t, []machine.State{activation.Validated, activation.Validated}, linesOf(o.activates("1/2026", out)), "before the request is done")
	require.Equal(t, []machine.State{activation.Returned}, linesOf(o.activates("2/2026", in)), "it is in the office")

	o.want(200, nil, "produsen", http.MethodPost, at+"/receipt", map[string]any{"received": 2})
	o.want(200, nil, "kasubdit", http.MethodPost, at+"/closure", map[string]any{})
	require.Equal(t, 2, o.see(v.Ticket).Handing.Received)
	require.NotContains(t, o.see(v.Ticket).WaitingFor, request.Produsen)
	o.agree("a part is received")
	require.Contains(t, o.page(200, "produsen", home).text, "Diserahkan 2 keping dari 4 keping")

	o.tx(func(ctx context.Context, tx *postgres.Tx) error { // the last card comes through
		for _, q := range []string{`SET LOCAL session_replication_role = replica`,
			`UPDATE card SET state = 'clear', version = version + 1, reason = '' WHERE state = 'failed'`} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	var rest report.Handover
	o.want(201, &rest, "operator", http.MethodPost, path+"/handovers", nil)
	require.Equal(t, []int{2, 2}, []int{rest.Ordinal, rest.Quantity})
	require.Zero(t, o.see(v.Ticket).Handing.Ready)
	require.NotContains(t, o.page(200, "operator", home).hrefs(), home+"/serah-terima/baru", "nothing remains")
}

func linesOf(l report.ActivationLetter) (list []machine.State) {
	for _, a := range l.Lines {
		list = append(list, a.State)
	}
	return list
}

// A tray of many cards is looked through in a frame, so that the page ends somewhere.
func TestALongTrayHasAFrame(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for n, framed := range map[int]bool{3: false, 21: true} {
		v := o.accept(o.drop(n))
		o.produce(v, 0)
		var h report.Handover
		o.want(201, &h, "operator", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/handovers", nil)
		page := o.want(200, nil, "operator", http.MethodGet, "/permohonan/"+v.Ticket+"/serah-terima/"+h.ID, nil).Body.String()
		require.Equal(t, framed, strings.Contains(page, `class="scroll tall" role="region" aria-label="Isi baki"`), n)
	}
}

// A handover that was prepared by mistake is taken back on its page or by the API, before
// its cards change hands; everybody sees that it was, and why.
func TestAHandoverIsTakenBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	o.produce(v, 0)
	path, home := "/api/v1/requests/"+v.Ticket, "/permohonan/"+v.Ticket
	var h report.Handover
	o.want(201, &h, "operator", http.MethodPost, path+"/handovers", map[string]any{"quantity": 2})
	bast := o.draftBAST(h, v.ID)
	at, page := "/api/v1/handovers/"+h.ID, home+"/serah-terima/"+h.ID
	o.want(200, &h, "operator", http.MethodGet, at, nil)
	require.Contains(t, h.Offers, handover.VerbCancel)
	serials := o.trayOf(page)
	o.refuseOthers(at+"/cancellation", map[string]any{"reason": "keliru"}, h.Version, "operator")
	require.Equal(t, "/reason", o.problem(422, "operator", http.MethodPost, at+"/cancellation", map[string]any{"reason": " "}).Errors[0].Pointer)
	o.problem(412, "operator", http.MethodPost, at+"/cancellation", map[string]any{"reason": "keliru"}, ifMatch(1)...)
	require.Contains(t, o.page(200, "operator", page).hrefs(), page+"/batal")
	require.Contains(t, o.page(200, "operator", page).text, "lalu mencatat penyerahan kartu beserta pindaian BAST.")
	require.Contains(t, o.page(200, "operator", page+"/batal").text, "Batalkan serah terima ini Kembali", "not two that both read Batal")
	require.NotContains(t, o.page(200, "kasubdit", page).hrefs(), page+"/batal")
	o.page(403, "kasubdit", page+"/batal")
	d, _ := o.post(422, "operator", page+"/batal", "versi", o.page(200, "operator", page+"/batal").value("versi"))
	require.Contains(t, d.text, "Alasan wajib diisi.")
	o.post(303, "operator", page+"/batal", "versi", o.page(200, "operator", page+"/batal").value("versi"), "reason", "jumlahnya keliru")

	require.Contains(t, o.page(409, "operator", page+"/pindai").hrefs(), page, "nobody has to look for the handover again")
	for _, who := range []string{"operator", "produsen"} {
		shown := o.page(200, who, page)
		require.Contains(t, shown.hrefs(), home)
		require.Contains(t, shown.text, "dibatalkan sebelum kartunya diserahkan")
		require.Contains(t, shown.text, "jumlahnya keliru")
		require.Equal(t, []bool{who == "operator", false}, []bool{len(o.trayWords(shown, serials)) == 2, slices.Contains(shown.hrefs(), page+"/penyerahan")})
		require.Contains(t, o.page(200, who, home).text, "Serah terima ke-1 dibatalkan; 2 kartunya belum diserahkan")
	}
	voided, err := letter.Get(t.Context(), o.db, bast.ID)
	require.NoError(t, err)
	require.Equal(t, letter.Void, voided.State)
	require.NotContains(t, o.page(200, "operator", home+"/naskah/"+bast.ID).hrefs(), home+"/naskah/"+bast.ID+"/susun-lagi", "it is owed no more")
	require.Equal(t, report.Handing{Total: 3, Ready: 3, Remaining: 3}, o.see(v.Ticket).Handing)
	for _, c := range []struct {
		method, path, code string
		body               any
	}{
		{http.MethodPost, "/cancellation", "illegal-step", map[string]any{"reason": "lagi"}}, {http.MethodPost, "/delivery", "illegal-step", delivered(t)},
		{http.MethodPut, "/appointment", "taken-back", map[string]any{"day": "2026-11-24", "hour": "09:00"}},
		{http.MethodPost, "/scans", "taken-back", map[string]any{"method": "barcode", "keys": serials}},
	} {
		require.Equal(t, "urn:sifilma:problem:"+c.code, o.problem(409, "operator", c.method, at+c.path, c.body).Type, c.path)
	}
	o.page(409, "operator", page+"/pindai")
	o.page(409, "operator", page+"/label")
	o.problem(409, "produsen", http.MethodGet, at+"/secrets", nil)
	require.NotContains(t, o.page(200, "operator", home+"/serah-terima").text, "Ke-1")
	require.Contains(t, said(o.chip("operator", serials[0]).Chip.History), "Serah terima ke-1 dibatalkan; 2 kartunya belum diserahkan")

	var second report.Handover
	o.want(201, &second, "operator", http.MethodPost, path+"/handovers", nil)
	require.Equal(t, []int{2, 3}, []int{second.Ordinal, second.Quantity})
	require.Contains(t, said(o.chip("operator", serials[0]).Chip.History), "Serah terima ke-2 disiapkan untuk 3 kartu")
	o.draftBAST(second, v.ID)
	o.want(200, nil, "operator", http.MethodPost, "/api/v1/handovers/"+second.ID+"/delivery", delivered(t))
	o.problem(409, "operator", http.MethodPost, "/api/v1/handovers/"+second.ID+"/cancellation", map[string]any{"reason": "terlambat"})
	require.Contains(t, o.deeds(h.ID), "handover.cancel")
	o.want(200, nil, "produsen", http.MethodPost, "/api/v1/handovers/"+second.ID+"/receipt", map[string]any{"received": 3})
	for _, d := range []letter.Document{o.makeLetter(v.ID), o.makeCompletion(v.ID)} {
		o.want(200, nil, "persuratan", http.MethodPost, "/api/v1/documents/"+d.ID+"/signature", newForm(t, signedScan(d.ID), "signed_on", "2026-11-23"))
	}
	require.Equal(t, 100, o.see(v.Ticket).Percent, "what was taken back does not hold the end up")
	require.NotNil(t, o.see(v.Ticket).Clock.EndedOn)
}

func (o *office) trayWords(d *document, serials []string) (found []string) {
	for _, s := range serials {
		if strings.Contains(d.text, s) {
			found = append(found, s)
		}
	}
	return found
}
