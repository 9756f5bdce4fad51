package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/test/contract"
	"dukcapil.go.id/sifilma/test/harness"
)

var morning = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// office is a running intake under its own database role.
type office struct {
	db     *postgres.DB // as the owner
	url    string
	spool  string
	daemon *harness.Daemon
	key    string // produsen, both scopes
	keys   map[string]string
	http   *http.Client
	router chi.Router
	// signals reach the daemon; ended holds its exit code.
	signals chan os.Signal
	ended   <-chan int
}

func newOffice(t *testing.T, settings ...string) *office {
	t.Helper()
	return officeVia(t, func(string) string { return "" }, settings...)
}

// officeVia is newOffice with the database behind a proxy that proxy makes in
// front of its address; an empty address is none.
func officeVia(t *testing.T, proxy func(target string) (address string), settings ...string) *office {
	t.Helper()
	database := harness.NewDatabase(t)
	o := &office{db: database.Open(t, ""), spool: t.TempDir(), keys: map[string]string{},
		http: &http.Client{Transport: contract.Transport(t, "intake", &http.Transport{MaxIdleConnsPerHost: 32}), Timeout: time.Minute}}
	t.Cleanup(o.http.CloseIdleConnections)
	require.NoError(t, machine.Sync(t.Context(), o.db, need.Machine, request.Machine, activation.LetterMachine, activation.Machine))
	o.seed(t)
	cfg := database.Config(t, "sifilma_intake")
	if address := proxy(database.Address()); address != "" {
		u, err := url.Parse(cfg.URL)
		require.NoError(t, err)
		u.Host = address
		cfg.URL = u.String()
	}
	o.start(t, cfg, settings)
	return o
}

func (o *office) seed(t *testing.T) {
	t.Helper()
	both := []string{identity.ScopeRequestWrite, identity.ScopeRequestRead}
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for name, key := range map[string]struct {
			kind, institution string
			scopes            []string
		}{
			"produsen":  {institution.Produsen, "PT Produsen Contoh", both},
			"read only": {institution.Produsen, "PT Produsen Contoh", both[1:]},
			"other":     {institution.Produsen, "PT Produsen Lain", both},
			"dinas":     {institution.Dinas, "Dinas Dukcapil Kota Contoh", both},
			"lembaga":   {institution.Lembaga, "PT Bank Contoh", both},
		} {
			in, err := institution.Ensure(ctx, tx, institution.Institution{Kind: key.kind, Name: key.institution})
			if err != nil {
				return err
			}
			if o.keys[name], err = identity.NewAPIKey(ctx, tx, in.ID, name, key.scopes, time.Now().Add(time.Hour)); err != nil {
				return err
			}
		}
		for _, m := range []institution.MachineType{
			{Code: "GSX-01", Name: "GSX-01", UsesReader: true, SAMPattern: `SAM-[0-9]{6}`, ReaderPattern: `R-[0-9]{6}`},
			{Code: "TANPA", Name: "Tidak menggunakan mesin", SAMPattern: `SAM-[0-9]{6}`},
		} {
			if err := institution.SeedMachineType(ctx, tx, m); err != nil {
				return err
			}
		}
		return nil
	}))
	o.key = o.keys["produsen"]
}

// start runs the daemon until the test ends.
func (o *office) start(t *testing.T, db postgres.Config, settings []string) {
	t.Helper()
	if len(settings) == 0 {
		settings = []string{"api: {rate_per_second: 1000, rate_burst: 1000}"}
	}
	if !strings.Contains(strings.Join(settings, "\n"), "spool_dir:") {
		settings = append(settings, fmt.Sprintf("spool_dir: %q", o.spool))
	}
	o.daemon = &harness.Daemon{Postgres: db, Rabbit: harness.NewVhost(t).Config("intake"),
		More: strings.Join(settings, "\n")}
	addr := make(chan string, 1)
	ends := make(chan os.Signal, 2) // this daemon's own, for a test may start a second one
	o.signals = ends
	code := o.daemon.Start(t, morning, func(args []string, log io.Writer, signals <-chan os.Signal) int {
		go func() { ends <- <-signals }()
		return daemon.Run("intake", args, io.Discard, log, ends, defaults, func(ctx context.Context, env *daemon.Env, cfg *Config) error {
			o.router = env.Router
			addr <- env.Addr()
			err := wire(ctx, env, cfg)
			contract.Routes(t, "intake", env.Router)
			return err
		})
	})
	o.ended = code
	select {
	case a := <-addr:
		o.url = "http://" + a
	case <-code:
		t.Fatalf("the daemon did not start: %s", o.daemon.Log())
	}
	require.Eventually(t, func() bool {
		res, err := o.http.Get(o.url + "/readyz")
		if err != nil {
			return false
		}
		defer func() { _ = res.Body.Close() }()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode == http.StatusOK
	}, 20*time.Second, 20*time.Millisecond)
}

// part is a part of a drop.
type part struct {
	name, file string
	content    []byte
}

// parcel is a drop to be sent; tests take a whole one and break it.
type parcel struct {
	form  map[string]any
	parts []part
}

var pdf = []byte("%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
	"3 0 obj<</Type/Page/Parent 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n")

func sheet(t testing.TB, n int) []byte {
	t.Helper()
	var rows []cardlist.Row
	for i := range n {
		rows = append(rows, cardlist.Row{Row: i + 1, Serial: fmt.Sprintf("SAM-%06d", i), ReaderSerial: fmt.Sprintf("R-%06d", i)})
	}
	var b bytes.Buffer
	require.NoError(t, cardlist.WriteSheet(&b, rows))
	return b.Bytes()
}

func whole(t testing.TB) *parcel {
	t.Helper()
	return &parcel{
		form: map[string]any{
			"kind": "reader", "reference": "001", "title": "Personalisasi", "sam_function": "R", "card_count": 3,
			"machine_type": "GSX-01", "pks_number": "PKS/1", "notes": "",
			"letter": map[string]any{"sender": "PT Produsen Contoh", "post": "Direktur", "number": "12/DIR", "date": "2026-11-20",
				"subject": "Permohonan"},
			"lines":           []any{map[string]any{"lembaga": "PT Bank Contoh", "quantity": 3, "remarks": ""}},
			"purchase_orders": []any{map[string]any{"number": "PO-1", "from": "PT Bank Contoh", "to": "PT Produsen Contoh", "reader_count": 3}},
		},
		parts: []part{
			{"letter", "surat.pdf", pdf}, {"purchase_order", "po.pdf", pdf}, {"pks", "pks.pdf", pdf},
			{"card_list", "daftar.xlsx", sheet(t, 3)},
		},
	}
}

// set replaces a file's content; nil removes the part.
func (p *parcel) set(name string, content []byte) {
	i := slices.IndexFunc(p.parts, func(q part) bool { return q.name == name })
	if content == nil {
		p.parts = slices.Delete(p.parts, i, i+1)
		return
	}
	p.parts[i].content = content
}

func (p *parcel) body(t testing.TB) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if p.form != nil {
		text, err := json.Marshal(p.form)
		require.NoError(t, err)
		put(t, w, part{name: "request", content: text})
	}
	for _, q := range p.parts {
		put(t, w, q)
	}
	require.NoError(t, w.Close())
	return b.Bytes(), w.FormDataContentType()
}

func put(t testing.TB, w *multipart.Writer, p part) {
	t.Helper()
	disposition := fmt.Sprintf("form-data; name=%q", p.name)
	if p.file != "" {
		disposition += fmt.Sprintf("; filename=%q", p.file)
	}
	out, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition}})
	require.NoError(t, err)
	_, err = out.Write(p.content)
	require.NoError(t, err)
}

// reply is an answer of the intake.
type reply struct {
	status int
	header http.Header
	body   []byte
	web.Problem
	ID, Ticket string
	StatusURL  string `json:"status_url"`
	Submission int
}

// pointers maps the places of the errors of a problem to their codes.
func (r reply) pointers() map[string]string {
	m := map[string]string{}
	for _, e := range r.Errors {
		m[e.Pointer] = e.Code
	}
	return m
}

func (o *office) do(t testing.TB, method, path string, body io.Reader, header map[string]string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, o.url+path, body)
	require.NoError(t, err)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := o.http.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	r := reply{status: res.StatusCode, header: res.Header}
	r.body, err = io.ReadAll(res.Body)
	require.NoError(t, err)
	if strings.Contains(res.Header.Get("Content-Type"), "json") {
		require.NoError(t, json.Unmarshal(r.body, &r))
	}
	return r
}

// send drops a parcel. extra may replace the headers of a good drop.
func (o *office) send(t testing.TB, path string, p *parcel, idempotencyKey string, extra ...map[string]string) reply {
	t.Helper()
	body, contentType := p.body(t)
	header := map[string]string{"Authorization": "Bearer " + o.key, "Content-Type": contentType, "Idempotency-Key": idempotencyKey}
	for _, more := range extra {
		maps.Copy(header, more)
	}
	return o.do(t, http.MethodPost, path, bytes.NewReader(body), header)
}

const drops = "/api/v1/requests"

// nothing fails the test when a drop left anything behind.
func (o *office) nothing(t testing.TB) {
	t.Helper()
	for _, table := range []string{"request", "blob", "blob_chunk", "request_file", "idempotency", "outbox", "history", "audit WHERE action <> 'account.set'"} {
		require.Zero(t, o.count(t, table), table)
	}
	left, err := os.ReadDir(o.spool)
	require.NoError(t, err)
	require.Empty(t, left)
}

func (o *office) count(t testing.TB, table string) (n int) {
	t.Helper()
	require.NoError(t, o.db.Get(t.Context(), &n, `SELECT count(*) FROM `+table))
	return n
}

func TestDefaultConfigurationIsValid(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	code := daemon.Run("intake", []string{"-check-config", "-config", harness.Shipped(t, "intake")}, &out, &errs, nil, defaults, wire)
	require.Zero(t, code, errs.String())
}

func TestADropBecomesARequest(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.send(t, drops, whole(t), "k-1")
	require.Equal(t, http.StatusAccepted, r.status, string(r.body))
	require.Equal(t, "/api/v1/requests/"+r.Ticket, r.header.Get("Location"))
	require.Equal(t, "/api/v1/requests/"+r.Ticket, r.StatusURL)
	require.Equal(t, 1, r.Submission)

	is, err := request.ByTicket(t.Context(), o.db, r.Ticket, "")
	require.NoError(t, err)
	require.Equal(t, r.ID, is.ID)
	require.Equal(t, request.Submitted, is.State)
	require.Equal(t, "2026-11-20", is.Date.String())
	require.Len(t, is.Lines, 1)
	require.Len(t, is.Orders, 1)
	files, err := request.Files(t.Context(), o.db, is)
	require.NoError(t, err)
	require.Len(t, files, 4)
	require.Equal(t, 1, o.count(t, "audit"))
	require.Equal(t, 1, o.count(t, "outbox"))
	require.NotContains(t, o.daemon.Log(), o.key)
	require.Eventually(t, func() bool {
		var sent int
		return o.db.Get(t.Context(), &sent, `SELECT count(*) FROM outbox WHERE sent_at IS NOT NULL AND type = 'request.submitted'`) == nil && sent == 1
	}, 20*time.Second, 20*time.Millisecond, "the broker has confirmed the bell")

	shown := o.do(t, http.MethodGet, r.StatusURL, nil, map[string]string{"Authorization": "Bearer " + o.keys["read only"]})
	require.Equal(t, http.StatusOK, shown.status)
	require.Equal(t, `"1"`, shown.header.Get("ETag"))
	var got map[string]any
	require.NoError(t, json.Unmarshal(shown.body, &got))
	require.Equal(t, "submitted", got["state"])
	require.Equal(t, "Diajukan", got["state_label"])
	require.Equal(t, []any{}, got["findings"])

	for name, want := range map[string]int{"other": http.StatusNotFound, "lembaga": http.StatusNotFound} {
		foreign := o.do(t, http.MethodGet, r.StatusURL, nil, map[string]string{"Authorization": "Bearer " + o.keys[name]})
		require.Equal(t, want, foreign.status, name)
		foreign = o.send(t, r.StatusURL+"/resubmission", whole(t), "k-9", map[string]string{"Authorization": "Bearer " + o.keys[name]})
		require.Equal(t, want, foreign.status, name)
	}
}

func TestPageAndTemplate(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	page := o.do(t, http.MethodGet, "/", nil, nil)
	require.Equal(t, http.StatusOK, page.status)
	for _, text := range []string{`lang="id"`, "<h1>Penerimaan permohonan personalisasi</h1>", "curl " + o.url + "/api/v1/requests", "Idempotency-Key", "20.000 kartu"} {
		require.Contains(t, string(page.body), text)
	}
	require.Contains(t, page.header.Get("Content-Security-Policy"), "style-src 'self'")
	require.Equal(t, http.StatusOK, o.do(t, http.MethodGet, "/intake.css", nil, nil).status)
	list := o.do(t, http.MethodGet, "/api/v1/templates/card-list.xlsx", nil, nil)
	require.Equal(t, http.StatusOK, list.status)
	require.True(t, bytes.HasPrefix(list.body, []byte("PK")))
}
