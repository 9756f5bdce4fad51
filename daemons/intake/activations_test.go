package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

const activations = "/api/v1/activations"

func letterOfReaders(number string) *parcel {
	return &parcel{
		form: map[string]any{
			"produsen": "PT Produsen Contoh", "number": number, "date": "2026-03-01", "subject": "Permohonan aktivasi", "leader": "Pimpinan Contoh", "leader_post": "Direktur Utama",
			"lines": []map[string]any{{
				"reader_serial": "R-1", "sam_serial": "SAM00001", "perso_no": "M-1", "pcid": strings.Repeat("A", 32), "machine_type": "GSX-01", "mode": "online", "address": "Jl. Contoh", "region": "Kota Bandung",
			}},
		},
		parts: []part{{"letter", "surat.pdf", pdf}},
	}
}

// A lembaga's software submits, a produsen's prepares; each sees its own.
func TestReadersFromSoftware(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	sent := o.send(t, activations, letterOfReaders("1"), "akt-1", o.as("lembaga"))
	require.Equal(t, http.StatusCreated, sent.status, string(sent.body))
	var v report.ActivationLetter
	require.NoError(t, json.Unmarshal(sent.body, &v))
	require.Equal(t, activation.LetterSubmitted, v.State)
	require.Equal(t, 1, o.count(t, "activation"))
	again := o.send(t, activations, letterOfReaders("1"), "akt-1", o.as("lembaga"))
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, http.StatusConflict, o.send(t, activations, letterOfReaders("1"), "akt-2", o.as("lembaga")).status)
	require.Equal(t, 1, o.count(t, "activation"))
	for who, status := range map[string]int{"lembaga": 200, "produsen": 200, "other": 404} {
		if _, there := o.keys[who]; there {
			require.Equal(t, status, o.do(t, http.MethodGet, sent.header.Get("Location"), nil, o.as(who)).status, who)
		}
	}

	wrong := letterOfReaders("2")
	wrong.form["produsen"], wrong.form["leader_post"], wrong.parts = "PT Tidak Ada", "", nil
	wrong.form["lines"].([]map[string]any)[0]["pcid"] = "12"
	r := o.send(t, activations, wrong, "akt-3", o.as("lembaga"))
	require.Equal(t, http.StatusUnprocessableEntity, r.status, string(r.body))
	var p web.Problem
	require.NoError(t, json.Unmarshal(r.body, &p))
	told := map[string]string{}
	for _, e := range p.Errors {
		told[e.Pointer] = e.Code
	}
	require.Equal(t, map[string]string{"/letter": "missing", "/produsen": "unknown_value", "/leader_post": "missing", "/lines/0/pcid": "wrong_form"}, told)

	draft := letterOfReaders("3")
	draft.form["lembaga"], draft.parts = v.Lembaga, nil
	r = o.send(t, activations, draft, "akt-4", o.as("produsen"))
	require.Equal(t, http.StatusCreated, r.status, string(r.body))
	require.NoError(t, json.Unmarshal(r.body, &v))
	require.Equal(t, activation.LetterDrafted, v.State)
	var page report.ActivationPage
	r = o.do(t, http.MethodGet, activations+"?state=drafted", nil, o.as("lembaga"))
	require.NoError(t, json.Unmarshal(r.body, &page))
	require.Len(t, page.Activations, 1)
}
