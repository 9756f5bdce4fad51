package main

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// needForm makes the body of a lembaga's request; a letter that is nil is none.
func needForm(t *testing.T, letter []byte, fields ...string) *form {
	t.Helper()
	return needFormWith(t, letter, nil, fields...)
}

// needFormWith is needForm with a list; nil is none.
func needFormWith(t *testing.T, letter, list []byte, fields ...string) *form {
	t.Helper()
	f := &form{}
	w := multipart.NewWriter(&f.body)
	for i := 0; i+1 < len(fields); i += 2 {
		require.NoError(t, w.WriteField(fields[i], fields[i+1]))
	}
	if letter != nil {
		part, err := w.CreateFormFile("letter", "surat.pdf")
		require.NoError(t, err)
		_, err = part.Write(letter)
		require.NoError(t, err)
	}
	name := "" // as a browser sends a file that was not chosen
	if list != nil {
		name = "daftar alat.xlsx"
	}
	part, err := w.CreateFormFile("list", name)
	require.NoError(t, err)
	_, err = part.Write(list)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	f.mediaType = w.FormDataContentType()
	return f
}

func needFields(reference string) []string {
	return []string{"reference", reference, "produsen", "PT Produsen Contoh", "title", "Perso reader cabang", "quantity", "2",
		"machine_type", "uji", "remarks", "Bandung"}
}

// keyed is a key that was never used.
func keyed() []string { return []string{"Idempotency-Key", uuid.NewString()} }

// asks makes a lembaga's request to the produsen.
func (o *office) asks(reference string) (v report.Need) {
	o.t.Helper()
	o.want(201, &v, "lembaga", http.MethodPost, "/api/v1/needs", needForm(o.t, pdf, needFields(reference)...), keyed()...)
	return v
}

func TestANeedThroughTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.asks("AKT-1")
	path := "/api/v1/needs/" + v.Number
	require.Equal(t, []machine.Verb{need.Edit, need.Cancel}, v.Offers)
	require.Equal(t, "reference-used", strings.TrimPrefix(
		o.problem(409, "lembaga", http.MethodPost, "/api/v1/needs", needForm(t, pdf, needFields("AKT-1")...), keyed()...).Type, "urn:sifilma:problem:"))
	all := o.problem(422, "lembaga", http.MethodPost, "/api/v1/needs", needForm(t, nil, "quantity", "0", "produsen", "PT Tidak Ada", "machine_type", "x"), keyed()...)
	require.Equal(t, map[string]string{"/reference": "missing", "/title": "missing", "/quantity": "out_of_range", "/letter": "missing",
		"/produsen": "unknown_value", "/machine_type": "unknown_value"}, codes(all), "everything at once")
	p := o.problem(422, "lembaga", http.MethodPost, "/api/v1/needs", needForm(t, nil, "quantity", "x"), keyed()...)
	require.Len(t, p.Errors, 6)
	o.problem(403, "produsen", http.MethodPost, "/api/v1/needs", needForm(t, pdf, needFields("AKT-2")...), keyed()...)
	o.problem(422, "lembaga", http.MethodPost, "/api/v1/needs", needForm(t, []byte("halo"), needFields("AKT-2")...), keyed()...)

	o.problem(428, "produsen", http.MethodPost, path+"/return", map[string]any{"reason": "x"})
	o.problem(412, "produsen", http.MethodPost, path+"/return", map[string]any{"reason": "x"}, ifMatch(9)...)
	o.problem(422, "produsen", http.MethodPost, path+"/return", nil, ifMatch(1)...)
	for _, who := range []string{"operator", "kasubdit", "lembaga"} {
		o.problem(403, who, http.MethodPost, path+"/approval", nil, ifMatch(1)...)
		o.want(200, nil, who, http.MethodGet, path, nil)
	}
	o.want(200, &v, "produsen", http.MethodPost, path+"/return", map[string]any{"reason": "Jumlah keliru."}, ifMatch(1)...)
	require.Equal(t, "Jumlah keliru.", v.Reason)
	o.want(200, &v, "lembaga", http.MethodPost, path+"/resubmission", needForm(t, pdf, needFields("diabaikan")...), ifMatch(2)...)
	require.Equal(t, "AKT-1", v.Reference)
	o.want(200, &v, "produsen", http.MethodPost, path+"/approval", nil, ifMatch(3)...)
	require.Equal(t, "illegal-step", strings.TrimPrefix(
		o.problem(409, "produsen", http.MethodPost, path+"/rejection", map[string]any{"reason": "x"}, ifMatch(4)...).Type, "urn:sifilma:problem:"))
	require.Equal(t, pdf, o.want(200, nil, "produsen", http.MethodGet, path+"/files/"+v.Files[0].ID, nil).Body.Bytes())
	for _, e := range v.Timeline {
		require.Empty(t, e.Name, "a side is seen, not its people")
	}

	r := o.drop(2, func(f *request.Form) { f.Lines[0].Need = v.Number })
	o.want(200, &v, "lembaga", http.MethodGet, path, nil)
	require.Equal(t, need.Bundled, v.State)
	require.Empty(t, v.Bundle.Ticket)
	require.NotContains(t, o.want(200, nil, "lembaga", http.MethodGet, path, nil).Body.String(), r.Ticket)
	o.problem(404, "lembaga", http.MethodGet, "/api/v1/requests/"+r.Ticket, nil)
	o.want(200, nil, "produsen", http.MethodPost, "/api/v1/requests/"+r.Ticket+"/cancellation", nil, ifMatch(1)...)
	var released report.Need
	o.want(200, &released, "lembaga", http.MethodGet, path, nil)
	require.Equal(t, need.Approved, released.State)
	require.Nil(t, released.Bundle)
	o.problem(409, "lembaga", http.MethodPost, path+"/cancellation", nil, ifMatch(released.Version)...)

	for who, n := range map[string]int{"lembaga": 1, "produsen": 1, "operator": 1, foreigner: 0, otherLembaga: 0} {
		var page report.NeedPage
		o.want(200, &page, who, http.MethodGet, "/api/v1/needs?totals=true&status=approved", nil)
		require.Len(t, page.Needs, n, who)
		require.Equal(t, n, page.All, who)
	}
	o.problem(400, "produsen", http.MethodGet, "/api/v1/needs?status=x", nil)
}

func TestANeedThroughThePages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	page := o.want(200, nil, "lembaga", http.MethodGet, "/permintaan/baru", nil).Body.String()
	require.Contains(t, page, `<option value="PT Produsen Contoh">`)
	require.Contains(t, page, `<option value="uji">Mesin uji`)
	bad := o.want(422, nil, "lembaga", http.MethodPost, "/permintaan/baru", needForm(t, nil, "title", "Judul <tetap>")).Body.String()
	require.Contains(t, bad, "Judul &lt;tetap&gt;")
	require.Contains(t, bad, "Berkas surat permintaan wajib dilampirkan.")
	for text, letter := range map[string][]byte{
		"Berkas surat harus berupa PDF, JPG, atau PNG": []byte("MZ\x90\x00 bukan surat"),
		"Surat paling besar 3 MB":                      append(bytes.Clone(pdf), make([]byte, 3<<20)...),
	} {
		bad = o.want(422, nil, "lembaga", http.MethodPost, "/permintaan/baru", needForm(t, letter, needFields("AKT-0")...)).Body.String()
		require.Contains(t, bad, text)
		for _, typed := range []string{`value="AKT-0"`, `value="Perso reader cabang"`, `value="2"`} {
			require.Contains(t, bad, typed, "what was typed stays")
		}
	}
	o.want(403, nil, "produsen", http.MethodGet, "/permintaan/baru", nil)

	made := o.want(303, nil, "lembaga", http.MethodPost, "/permintaan/baru", needForm(t, pdf, needFields("AKT-1")...))
	path, _, _ := strings.Cut(made.Header().Get("Location"), "?")
	list := o.want(200, nil, "produsen", http.MethodGet, "/permintaan?status=on_progress", nil).Body.String()
	for _, text := range []string{"Tabel Permohonan Personalisasi", "No. Permintaan", "Tgl Permintaan", "Berkas", "Excel", "Putuskan", "PT Bank Contoh Nusantara"} {
		require.Contains(t, list, text)
	}
	require.NotContains(t, o.want(200, nil, "produsen", http.MethodGet, "/permintaan?status=approved", nil).Body.String(), path)

	at := func(version int, reason string) string { return "versi=" + strconv.Itoa(version) + "&alasan=" + reason }
	for verb, c := range map[string]struct{ body, problem string }{
		"kembalikan": {at(1, ""), "alasan"}, "tolak": {at(7, "x"), "berubah"}, "setujui": {"", "berubah"},
	} {
		w := o.want(303, nil, "produsen", http.MethodPost, path+"/"+verb, c.body)
		require.Equal(t, path+"?masalah="+c.problem, w.Header().Get("Location"), verb)
	}
	o.want(403, nil, "lembaga", http.MethodPost, path+"/setujui", at(1, ""))
	o.want(303, nil, "produsen", http.MethodPost, path+"/kembalikan", at(1, "Jumlah+keliru."))
	repair := o.want(200, nil, "lembaga", http.MethodGet, path, nil).Body.String()
	require.Contains(t, repair, "Jumlah keliru.")
	require.Contains(t, repair, `href="`+path+`/ubah">Perbaiki dan ajukan kembali`)
	fields := o.want(200, nil, "lembaga", http.MethodGet, path+"/ubah", nil).Body.String()
	for _, text := range []string{"Data Permintaan", "Jumlah keliru.", `value="Perso reader cabang"`, "Ajukan kembali", "surat.pdf"} {
		require.Contains(t, fields, text)
	}
	o.want(422, nil, "lembaga", http.MethodPost, path+"/ubah", needForm(t, nil, "versi", "2", "title", "", "quantity", "1", "machine_type", "uji"))
	w := o.want(303, nil, "lembaga", http.MethodPost, path+"/ubah", needForm(t, nil, "versi", "2", "title", "x", "quantity", "2", "machine_type", "uji"))
	require.Equal(t, path+"?sudah=diajukan", w.Header().Get("Location"))
	o.want(303, nil, "produsen", http.MethodPost, path+"/setujui", at(3, ""))
	done := o.want(200, nil, "produsen", http.MethodGet, path, nil).Body.String()
	require.NotContains(t, done, "/setujui", "the button goes once it was used")

	number := strings.TrimPrefix(path, "/permintaan/")
	r := o.drop(2, func(f *request.Form) { f.Lines[0].Need = number })
	block := o.want(200, nil, "produsen", http.MethodGet, "/permohonan/"+r.Ticket, nil).Body.String()
	for _, text := range []string{"Data Lembaga Pengguna", number, "AKT-1", "Produsen Dituju", "Diterima"} {
		require.Contains(t, block, text)
	}
	require.Contains(t, o.want(200, nil, "lembaga", http.MethodGet, path, nil).Body.String(), "Masuk permohonan")
}

// What was received is told by line, as far as it was counted so.
func TestReceivedPerLine(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		bank, err := institution.ByName(ctx, tx, "PT Bank Lain")
		if err != nil {
			return err
		}
		return institution.EnsurePKS(ctx, tx, institution.PKS{Number: "119/9/2026", InstitutionID: bank.ID, State: institution.PKSInForce,
			ValidFrom: clock.MustParseDate("2026-01-01"), ValidTo: clock.MustParseDate("2026-12-31")})
	})
	v := o.accept(o.drop(3, func(f *request.Form) { f.Lines = append(f.Lines, request.Line{Lembaga: "PT Bank Lain", Quantity: 1}) }))
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE listed_card SET line = 2 WHERE request_id = $1 AND row = 3`, v.ID)
	})
	o.produce(v, 0)
	received := func() (all []int) {
		for _, l := range o.see(v.Ticket).Lines {
			if l.Received == nil {
				all = append(all, -1)
				continue
			}
			all = append(all, *l.Received)
		}
		return all
	}
	receive := func(quantity int, counts ...int) {
		var h report.Handover
		o.want(201, &h, "operator", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/handovers", map[string]any{"quantity": quantity})
		o.tx(func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil { // the papers are tested elsewhere
				return err
			}
			for i, n := range counts {
				if err := tx.ExecOne(ctx, `UPDATE handover_line SET received = $3 WHERE handover_id = $1 AND line = $2`, h.ID, i+1, n); err != nil {
					return err
				}
			}
			return tx.ExecOne(ctx, `UPDATE handover SET state = 'received', received = (SELECT sum(received) FROM handover_line WHERE handover_id = $1) WHERE id = $1`, h.ID)
		})
	}
	require.Equal(t, []int{0, 0}, received())
	receive(1, 0)
	require.Equal(t, []int{0, 0}, received(), "all of the handover was for the first line")
	receive(2, 1, 0)
	require.Equal(t, []int{1, 0}, received())
	o.tx(func(ctx context.Context, tx *postgres.Tx) error { // as of before lines were counted
		_, err := tx.Exec(ctx, `UPDATE handover_line SET received = NULL WHERE line = 2`)
		return err
	})
	require.Equal(t, []int{1, -1}, received(), "what was of the second nobody has said")
}
