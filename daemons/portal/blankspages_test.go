package main

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// html is a page of the portal as it is sent.
func (o *office) html(who, path string) string {
	o.t.Helper()
	return o.want(200, nil, who, http.MethodGet, path, nil).Body.String()
}

var versionIn = regexp.MustCompile(`name="versi" value="(\d+)"`)

// fillIn opens a form and sends it with these values and the version that it was made of.
func (o *office) fillIn(status int, who, path string, values url.Values) string {
	o.t.Helper()
	if found := versionIn.FindStringSubmatch(o.html(who, path)); found != nil && values.Get("versi") == "" {
		values.Set("versi", found[1])
	}
	return o.want(status, nil, who, http.MethodPost, path, values.Encode()).Body.String()
}

func TestBlanksOnPages(t *testing.T) {
	t.Parallel()
	o, v, at := vault(t)
	base := "/permohonan/" + v.Ticket + "/buku-blangko"
	require.Contains(t, o.html("operator", "/permohonan/"+v.Ticket), `href="`+base+`"`)
	require.NotContains(t, o.html("produsen", "/permohonan/"+v.Ticket), base)
	o.want(403, nil, "produsen", http.MethodGet, base, nil)
	o.want(403, nil, "produsen", http.MethodGet, "/blangko", nil)
	o.want(404, nil, foreigner, http.MethodGet, base, nil)
	o.want(403, nil, "dirjen", http.MethodGet, base+"/penerimaan", nil)
	o.want(404, nil, "operator", http.MethodGet, "/blangko?hari=kemarin", nil)

	typed := url.Values{"quantity": {"3"}, "happened_on": {"2026-11-23"}, "party": {"Kurir"}, "reason": {"cadangan"}}
	wrong := o.fillIn(422, "operator", base+"/penerimaan", url.Values{"quantity": {"tiga"}, "happened_on": {"2026-11-23"}})
	for _, part := range []string{"antara 1 dan 10.000", "Nama yang menyerahkan wajib diisi", "Alasan wajib diisi", `value="tiga"`} {
		require.Contains(t, wrong, part)
	}
	o.fillIn(303, "operator", base+"/penerimaan", typed)
	again := o.fillIn(412, "operator", base+"/penerimaan", url.Values{"versi": {"1"}, "quantity": {"3"}, "happened_on": {"2026-11-23"}, "party": {"Kurir"}, "reason": {"cadangan"}})
	require.Contains(t, again, "mungkin oleh kiriman Anda sendiri", "a form that is sent twice books once")
	o.fillIn(303, "kasubdit", base+"/kartu-uji", url.Values{"quantity": {"1"}, "happened_on": {"2026-11-23"}, "reason": {"uji harian"}})
	o.fillIn(303, "persuratan", base+"/pengembalian", url.Values{"source": {"spare"}, "quantity": {"2"}, "happened_on": {"2026-11-23"}, "party": {"Kurir"}, "reason": {"sisa"}})
	now, _ := o.blanks(at)
	require.Equal(t, []int{8, 0, 2, 2, 1, 0, 1, 2, 0}, places(now.Balance))

	page := o.html("operator", base)
	for _, part := range []string{"Seimbang", "Pengembalian: blangko cadangan", "uji harian", "Belum dimusnahkan", "Berita acara kartu rusak: belum ada.", "Unduh Excel"} {
		require.Contains(t, page, part)
	}
	require.NotContains(t, page, "Jumlah blangko tidak sama")
	require.NotContains(t, o.html("persuratan", base), "Susun berita acara kartu rusak")
	o.fillIn(303, "operator", base+"/"+now.Movements[2].ID+"/batal", url.Values{"reason": {"salah ketik"}})
	require.Contains(t, o.html("operator", base), "membatalkan No. 3")
	o.want(404, nil, "operator", http.MethodGet, base+"/"+now.Lost[0].CardID+"/batal", nil)

	drawn := base + "/kartu-rusak"
	refused := o.fillIn(422, "operator", drawn, url.Values{"cards": {now.Lost[0].CardID}, "destroyed_on": {"2026-11-23"}, "method": {"dipotong"}, "first_name": {"Ani"},
		"first_post": {"x"}, "second_name": {"ani"}, "second_post": {"y"}, "reason": {"uji"}})
	require.Contains(t, refused, "Saksi harus orang lain")
	require.Contains(t, refused, `value="`+now.Lost[0].CardID+`" checked`, "what was ticked stays ticked")
	o.fillIn(303, "operator", drawn, url.Values{"cards": {now.Lost[0].CardID, now.Lost[1].CardID}, "destroyed_on": {"2026-11-23"}, "method": {"dipotong"}, "first_name": {"Ani"},
		"first_post": {"x"}, "second_name": {"Budi"}, "second_post": {"y"}, "reason": {"uji"}})
	now, _ = o.blanks(at)
	o.made(v.ID, now.Destructions[0].ID)
	page = o.html("operator", base)
	require.Contains(t, page, "Ani; Budi")
	void := drawn + "/" + now.Destructions[0].ID + "/batal"
	require.Contains(t, page, void)
	require.NotContains(t, o.html("kasubdit", base), void)
	o.fillIn(303, "operator", void, url.Values{"reason": {"salah saksi"}})
	require.Contains(t, o.html("operator", base), "Dibatalkan")

	sheet := o.html("kasubdit", "/blangko")
	require.Contains(t, sheet, base)
	require.Contains(t, sheet, "Senin, 23 November 2026")
	require.Contains(t, o.html("kasubdit", "/papan/2026-11-23"), "/blangko?hari=2026-11-23")
}

// TestAnImbalanceIsAnAlarm: on the page of the request and on the day sheet.
func TestAnImbalanceIsAnAlarm(t *testing.T) {
	t.Parallel()
	o, v, _ := vault(t)
	require.NotContains(t, o.html("operator", "/blangko"), "Jumlah blangko tidak sama")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE request_fact SET detail = '{"count": 6}' WHERE fact = 'blanks_counted' AND request_id = $1`, v.ID)
		return err
	})
	for _, path := range []string{"/blangko", "/permohonan/" + v.Ticket + "/buku-blangko"} {
		require.Contains(t, o.html("operator", path), "Jumlah blangko tidak sama", path)
	}
	require.Contains(t, o.html("operator", "/permohonan/"+v.Ticket+"/buku-blangko"), "Tidak seimbang")
}
