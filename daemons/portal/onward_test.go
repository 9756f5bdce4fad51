package main

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/web"
)

// Whoever signs in on the way to the intake is led back to it: by a link, since a
// form of ours may not lead to another origin, and at once when already signed in.
func TestSigningInOnTheWayToTheIntake(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.hire("petugas")
	o.router = web.NewRouter(web.Options{})
	require.NoError(t, mount(o.router, Portal{IntakeURL: "http://masuk.example/", MaxScan: 1 << 20}, o.db, o.clock, o.machine))
	at := "/masuk?lanjut=" + url.QueryEscape("/pengajuan?tiket=X")
	require.Equal(t, "/pengajuan?tiket=X", attr(o.page(200, "", at).all("input")[0], "value"))
	w := o.ask("", http.MethodPost, "/masuk", url.Values{"username": {"petugas"}, "password": {password}, "lanjut": {"/pengajuan?tiket=X"}}.Encode())
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), `<a class="button" href="http://masuk.example/pengajuan?tiket=X">`)
	require.NotContains(t, w.Body.String(), `name="password"`)
	o.cookies["petugas"] = w.Result().Cookies()[0]
	require.Equal(t, "http://masuk.example/pengajuan?tiket=X", o.want(303, nil, "petugas", http.MethodGet, at, nil).Header().Get("Location"))
	require.Contains(t, o.want(200, nil, "", http.MethodGet, "/api", nil).Body.String(), "export INTAKE=http://masuk.example\n", "the API page knows it too")
}
