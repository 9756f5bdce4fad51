package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

func (o *office) count(table string) (n int) {
	o.t.Helper()
	require.NoError(o.t, o.db.Get(o.t.Context(), &n, `SELECT count(*) FROM `+table))
	return n
}

func TestANeedThatIsSentTwiceIsOne(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const path = "/api/v1/needs"
	key := keyed()
	for name, header := range map[string][]string{
		"idempotency-key-missing": nil, "idempotency-key-malformed": {"Idempotency-Key", "dua kata"},
	} {
		p := o.problem(400, "lembaga", http.MethodPost, path, needForm(t, pdf, needFields("AKT-1")...), header...)
		require.Equal(t, "urn:sifilma:problem:"+name, p.Type)
	}
	list := machines(t, 2)
	first := o.want(201, nil, "lembaga", http.MethodPost, path, needFormWith(t, pdf, list, needFields("AKT-1")...), key...)
	require.Empty(t, first.Header().Get("Idempotency-Replayed"))
	var made report.Need
	again := o.want(201, &made, "lembaga", http.MethodPost, path, needFormWith(t, pdf, list, needFields("  AKT-1 ")...), key...)
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, first.Header().Get("Location"), again.Header().Get("Location"))
	require.Equal(t, first.Header().Get("ETag"), again.Header().Get("ETag"))
	require.Equal(t, "/api/v1/needs/"+made.Number, again.Header().Get("Location"))

	other := needFields("AKT-1")
	other[3] = "PT Produsen Lain"
	for name, body := range map[string]*form{
		"another form": needFormWith(t, pdf, list, other...), "no list": needForm(t, pdf, needFields("AKT-1")...),
		"another letter": needFormWith(t, bytes.Replace(pdf, []byte("1.7"), []byte("1.6"), 1), list, needFields("AKT-1")...),
	} {
		w := o.ask("lembaga", http.MethodPost, path, body, key...)
		require.Equal(t, 422, w.Code, "%s: %s", name, w.Body)
		require.Contains(t, w.Body.String(), "idempotency-key-reused", name)
	}
	// Keys are each person's own.
	o.want(201, nil, otherLembaga, http.MethodPost, path, needFormWith(t, pdf, list, needFields("AKT-1")...), key...)
	require.Equal(t, 2, o.count("need"))
	require.Equal(t, 2, o.count("idempotency"))

	// What was refused used no key up.
	late := keyed()
	o.problem(409, "lembaga", http.MethodPost, path, needForm(t, pdf, needFields("AKT-1")...), late...)
	o.want(201, nil, "lembaga", http.MethodPost, path, needForm(t, pdf, needFields("AKT-2")...), late...)
}

func TestSendersOfOneKeyAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	key := keyed()
	const senders = 8
	codes, bodies := make([]int, senders), make([]string, senders)
	var wg sync.WaitGroup
	for i := range senders {
		f := needForm(t, pdf, needFields("AKT-1")...)
		wg.Go(func() {
			w := o.ask("lembaga", http.MethodPost, "/api/v1/needs", f, key...)
			codes[i], bodies[i] = w.Code, w.Body.String()
		})
	}
	wg.Wait()
	made := ""
	for i, code := range codes {
		if code == 409 {
			require.Contains(t, bodies[i], "idempotency-key-in-use")
			continue
		}
		require.Equal(t, 201, code, bodies[i])
		if made == "" {
			made = bodies[i]
		}
		require.Equal(t, made, bodies[i])
	}
	require.NotEmpty(t, made)
	require.Equal(t, 1, o.count("need"))

	// One who holds the key and stands still keeps nobody waiting.
	held := keyed()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		var id string
		if err := tx.Get(ctx, &id, `SELECT id FROM account WHERE username = 'lembaga'`); err != nil {
			return err
		}
		free, err := idempotency.Claim(ctx, tx, []idempotency.Call{{Client: id, Key: held[1]}}, nil)
		require.Equal(t, []bool{true}, free)
		w := o.want(409, nil, "lembaga", http.MethodPost, "/api/v1/needs", needForm(t, pdf, needFields("AKT-2")...), held...)
		require.Equal(t, "1", w.Header().Get("Retry-After"))
		return err
	})
	o.want(201, nil, "lembaga", http.MethodPost, "/api/v1/needs", needForm(t, pdf, needFields("AKT-2")...), held...)
}

// Whoever clicks twice has asked once.
func TestTheFormThatIsSentTwice(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	page := o.want(200, nil, "lembaga", http.MethodGet, "/permintaan/baru", nil).Body.String()
	_, rest, found := strings.Cut(page, `name="kunci" value="`)
	require.True(t, found)
	key, _, _ := strings.Cut(rest, `"`)
	require.NoError(t, uuid.Validate(key))
	fields := append(needFields("AKT-1"), "kunci", key)
	var at string
	for range 2 {
		at = o.want(303, nil, "lembaga", http.MethodPost, "/permintaan/baru", needForm(t, pdf, fields...)).Header().Get("Location")
		require.Regexp(t, `^/permintaan/PLP-2026-000001-[0-9]\?sudah=diajukan$`, at)
	}
	require.Equal(t, 1, o.count("need"))
	changed := append(needFields("AKT-2"), "kunci", key)
	back := o.want(422, nil, "lembaga", http.MethodPost, "/permintaan/baru", needForm(t, pdf, changed...)).Body.String()
	require.Contains(t, back, "sudah terkirim sebelumnya")
	require.NotContains(t, back, key, "the next one is another")
}

// TestTheSecondClickWaitsForTheFirst: the browser shows the answer to the second, so
// it is that of the first; only one that stands still for long is told of.
func TestTheSecondClickWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	key := uuid.NewString()
	fields := append(needFields("AKT-1"), "kunci", key)
	second := make(chan *httptest.ResponseRecorder, 1)
	hold := func(until func()) {
		o.tx(func(ctx context.Context, tx *postgres.Tx) error {
			free, err := idempotency.Claim(ctx, tx, []idempotency.Call{{Client: o.idOf("lembaga"), Key: key}}, nil)
			require.Equal(t, []bool{true}, free)
			until()
			return err
		})
	}
	hold(func() {
		f := needForm(t, pdf, fields...)
		asked := make(chan struct{})
		go func() {
			close(asked)
			second <- o.ask("lembaga", http.MethodPost, "/permintaan/baru", f)
		}()
		<-asked
	})
	w := <-second
	require.Equal(t, 303, w.Code, w.Body)
	require.Contains(t, w.Header().Get("Location"), "?sudah=diajukan")

	key = uuid.NewString()
	hold(func() {
		w := o.want(409, nil, "lembaga", http.MethodPost, "/permintaan/baru", needForm(t, pdf, append(needFields("AKT-2"), "kunci", key)...))
		require.Contains(t, w.Body.String(), "Tidak akan ada dua permintaan.")
		require.Contains(t, w.Body.String(), key, "it is sent again as the same")
		require.NotContains(t, w.Body.String(), "Idempotency-Key")
	})
}
