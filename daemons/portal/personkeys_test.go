package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever is shut out may still hold the keys that they made.
func TestKeysOfAPersonWhoIsShutOut(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var kept, ended, others keyAnswer
	form := map[string]any{"label": "Sistem produksi", "scopes": []string{"request:read"}, "expires_on": "2027-03-01"}
	o.want(201, &kept, "produsen", http.MethodPost, v1+"/api-keys", form)
	o.want(201, &ended, "produsen", http.MethodPost, v1+"/api-keys", form)
	o.want(200, nil, "produsen", http.MethodPost, v1+"/api-keys/"+ended.ID+"/revocation", nil)
	o.want(201, &others, foreigner, http.MethodPost, v1+"/api-keys", form)
	at := v1 + "/accounts/" + o.idOf("produsen")
	var p struct {
		Version int64
		Keys    []keyAnswer `json:"live_api_keys"`
	}
	o.want(200, &p, "operator", http.MethodGet, at, nil)
	require.Empty(t, p.Keys)
	_, next := o.post(303, "operator", "/data-induk/akun/"+o.idOf("produsen")+"/status", "versi", "1")
	d := o.page(200, "operator", next)
	require.Contains(t, d.text, "Akun dinonaktifkan.")
	require.Contains(t, d.text, "Sistem produksi PT Produsen Contoh 1 Maret 2027 Belum pernah Cabut")
	revoke := ""
	for _, a := range d.all("a") {
		if textOf(a) == "Cabut" {
			require.Empty(t, revoke, "one key")
			revoke = attr(a, "href")
		}
	}
	require.Equal(t, "/kunci-api/"+kept.ID+"/cabut", revoke)
	o.want(200, &p, "operator", http.MethodGet, at, nil)
	require.Len(t, p.Keys, 1)
	require.Equal(t, kept.ID, p.Keys[0].ID)
	o.post(303, "operator", revoke)
	require.Contains(t, o.page(200, "kasubdit", "/data-induk/akun/"+o.idOf("produsen")+"/kunci").text, "tidak ada.")

	p.Keys = nil
	o.want(200, &p, "operator", http.MethodPost, v1+"/accounts/"+o.idOf(foreigner)+"/deactivation", nil, ifMatch(1)...)
	require.Len(t, p.Keys, 1)
	require.Equal(t, others.ID, p.Keys[0].ID)
}
