package bsre_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/esign"
	"dukcapil.go.id/sifilma/pkg/esign/bsre"
	"dukcapil.go.id/sifilma/pkg/esign/esigntest"
)

func driver(t *testing.T, address, password string) *bsre.Driver {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
	c := bsre.Config{URL: address, Username: "sifilma", PasswordFile: file, Timeout: esigntest.Patience}
	require.NoError(t, c.Validate())
	d, err := bsre.New(c)
	require.NoError(t, err)
	return d
}

func TestContract(t *testing.T) {
	t.Parallel()
	s := esigntest.NewBSrE(t)
	esigntest.Contract(t, driver(t, s.URL, s.Password), driver(t, esigntest.Gone(t), s.Password), s)
}

func TestManualKeepsTheContract(t *testing.T) {
	t.Parallel()
	esigntest.Contract(t, esign.Manual{}, nil, nil)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := esigntest.NewBSrE(t)
	job := esign.Job{ID: "1", Name: "x.pdf", PDF: []byte("%PDF-1.7"), NIK: "3171012345678901", Passphrase: esign.Passphrase("x")}
	require.Equal(t, esign.Denied, driver(t, s.URL, "salah").Request(t.Context(), job).Reason)
	require.Equal(t, esign.Away, driver(t, esigntest.Gone(t), s.Password).Request(t.Context(), job).Reason)
	s.Next(t, esigntest.Refuses)
	a := driver(t, s.URL, s.Password).Request(t.Context(), job)
	require.Equal(t, esign.WrongPassphrase, a.Reason)
	require.Equal(t, "2031", a.Code)
	require.Zero(t, s.Signatures())
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	require.NoError(t, bsre.Config{}.Validate())
	for name, c := range map[string]bsre.Config{
		"no address": {URL: "esign", Username: "x", PasswordFile: "x", Timeout: esigntest.Patience}, "password in it": {URL: "https://a:b@esign", Username: "x", PasswordFile: "x", Timeout: esigntest.Patience},
		"no TLS": {URL: "http://10.0.0.7", Username: "x", PasswordFile: "x", Timeout: esigntest.Patience}, "nor by a name": {URL: "http://localhost.example", Username: "x", PasswordFile: "x", Timeout: esigntest.Patience},
		"nobody": {URL: "https://esign", PasswordFile: "x", Timeout: esigntest.Patience}, "no patience": {URL: "https://esign", Username: "x", PasswordFile: "x"},
	} {
		require.Error(t, c.Validate(), name)
	}
	for _, c := range []bsre.Config{{URL: "http://[::1]:8080"}, {URL: "http://127.0.0.1"}, {URL: "http://localhost:80"}, {URL: "http://10.0.0.7", PlainHTTP: true}, {URL: "https://esign"}} {
		c.Username, c.PasswordFile, c.Timeout = "x", "x", esigntest.Patience
		require.NoError(t, c.Validate(), c.URL)
	}
}
