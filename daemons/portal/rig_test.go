package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/cardsecret/cardsecrettest"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/test/contract"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/spoiled"
)

// morning is a Monday, 9.00 WIB.
var morning = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// People of another produsen and of another lembaga.
const (
	foreigner    = "produsen-lain"
	otherLembaga = "lembaga-lain"
)

// office is a portal under its own database role, with one person in each role.
type office struct {
	t        *testing.T
	db       *postgres.DB // as the owner
	database *harness.Database
	router   chi.Router
	clock    *clock.FixedOffice
	machine  *clock.Fake
	cookies  map[string]*http.Cookie // by user name, which is the role's
	at       institution.Institution // the produsen

	recipient *age.X25519Identity // of the produsen
	escrow    *age.X25519Identity // of the office; of no use to anybody outside a test
}

func newOffice(t *testing.T) *office {
	t.Helper()
	database := harness.NewDatabase(t)
	o := &office{
		t: t, database: database, db: database.Open(t, ""), clock: clock.NewFixedOffice(morning), machine: clock.NewFake(morning),
		cookies: map[string]*http.Cookie{}, router: web.NewRouter(web.Options{Log: zerolog.Nop(), MaxBody: 256 << 10}),
	}
	require.NoError(t, machine.Sync(t.Context(), o.db, append([]*machine.Table{need.Machine, activation.LetterMachine, activation.Machine, release.Machine}, report.Machines...)...))
	require.NoError(t, mount(o.router, Portal{MaxScan: 64 << 10, OneTime: 72 * time.Hour, Spool: t.TempDir()}, database.Open(t, "sifilma_portal"), o.clock, o.machine))
	contract.Routes(t, "portal", o.router)
	o.seed()
	return o
}

func (o *office) tx(fn func(ctx context.Context, tx *postgres.Tx) error) {
	o.t.Helper()
	require.NoError(o.t, o.db.InTx(o.t.Context(), fn))
}

// begin has a day begun: its release ran, with nothing to release.
func begin(ctx context.Context, tx *postgres.Tx, day clock.Date) error {
	_, err := tx.Exec(ctx, `INSERT INTO schedule_run (job, window_start, effects) VALUES ('release', $1, '{"released": 0}')`, day.At(7, 30).UTC())
	return err
}

func (o *office) seed() {
	o.t.Helper()
	var other, bank, otherBank institution.Institution
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		err := begin(ctx, tx, clock.DateOf(morning))
		if err != nil {
			return err
		}
		if o.at, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh"}); err != nil {
			return err
		}
		if other, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Lain"}); err != nil {
			return err
		}
		if bank, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "PT Bank Contoh Nusantara"}); err != nil {
			return err
		}
		if err := institution.EnsurePKS(ctx, tx, institution.PKS{
			Number: "119/1/2026", InstitutionID: bank.ID, State: institution.PKSInForce,
			ValidFrom: clock.MustParseDate("2026-01-01"), ValidTo: clock.MustParseDate("2026-12-31"),
		}); err != nil {
			return err
		}
		if otherBank, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "PT Bank Lain"}); err != nil {
			return err
		}
		for _, post := range []string{"dirjen", "direktur_fpddk"} {
			if err := letter.SeedSignatory(ctx, tx, letter.Signatory{
				PostCode: post, Name: "Pejabat Contoh", Post: "Pejabat", ValidFrom: clock.MustParseDate("2026-01-01"),
			}); err != nil {
				return err
			}
		}
		return institution.SeedMachineType(ctx, tx, institution.MachineType{
			Code: "uji", Name: "Mesin uji", UsesReader: true, SAMPattern: `SAM[0-9]{5}`, ReaderPattern: `.+`,
		})
	})
	o.recipient, o.escrow = cardsecrettest.Register(o.t, o.db, o.at.ID, morning), cardsecrettest.Escrow(o.t, o.db, morning)
	for _, role := range []machine.Role{request.Produsen, request.Persuratan, request.Dirjen, request.Direktur, request.Kasubdit, request.Operator} {
		a := identity.Account{Username: string(role), Name: request.RoleLabels[role], Role: role}
		if role == request.Produsen {
			a.InstitutionID = &o.at.ID
		}
		o.join(a)
	}
	o.join(identity.Account{Username: "operator-2", Name: "Operator kedua", Role: request.Operator})
	o.join(identity.Account{Username: "lembaga", Name: "PIC Bank Contoh", Role: request.Lembaga, InstitutionID: &bank.ID})
	o.join(identity.Account{Username: otherLembaga, Name: "PIC Bank Lain", Role: request.Lembaga, InstitutionID: &otherBank.ID})
	o.join(identity.Account{Username: foreigner, Name: "PIC Produsen Lain", Role: request.Produsen, InstitutionID: &other.ID})
}

// join makes an account with a session; its password is nobody's.
func (o *office) join(a identity.Account) {
	o.t.Helper()
	a.ID, a.Version = uuid.NewString(), 1
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `INSERT INTO account (id, username, name, role, institution_id, password_hash) VALUES ($1,$2,$3,$4,$5,'-')`,
			a.ID, a.Username, a.Name, string(a.Role), a.InstitutionID)
	})
	token, err := identity.StartSession(o.t.Context(), o.db, a, o.machine.Now())
	require.NoError(o.t, err)
	o.cookies[a.Username] = &http.Cookie{Name: "sifilma_session", Value: token}
}

// ask sends a request as a person; an empty name is a stranger. body is nil, a
// string, a *form, or anything that becomes JSON.
func (o *office) ask(who, method, path string, body any, header ...string) *httptest.ResponseRecorder {
	o.t.Helper()
	var r *http.Request
	switch b := body.(type) {
	case nil:
		r = httptest.NewRequest(method, path, http.NoBody)
	case *form:
		r = httptest.NewRequest(method, path, bytes.NewReader(b.body.Bytes()))
		r.Header.Set("Content-Type", b.mediaType)
	case string:
		r = httptest.NewRequest(method, path, strings.NewReader(b))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	default:
		text, err := json.Marshal(b)
		require.NoError(o.t, err)
		r = httptest.NewRequest(method, path, bytes.NewReader(text))
		r.Header.Set("Content-Type", "application/json")
	}
	if who != "" {
		require.Contains(o.t, o.cookies, who)
		r.AddCookie(o.cookies[who])
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	contract.Handler(o.t, "portal", o.router).ServeHTTP(w, r)
	return w
}

// want is ask that demands a status, and reads a JSON answer into out.
func (o *office) want(status int, out any, who, method, path string, body any, header ...string) *httptest.ResponseRecorder {
	o.t.Helper()
	w := o.ask(who, method, path, body, header...)
	require.Equal(o.t, status, w.Code, "%s %s as %q: %s", method, path, who, w.Body)
	if out != nil {
		require.NoError(o.t, json.Unmarshal(w.Body.Bytes(), out), w.Body.String())
	}
	return w
}

// problem demands a problem answer and returns it.
func (o *office) problem(status int, who, method, path string, body any, header ...string) web.Problem {
	o.t.Helper()
	var p web.Problem
	w := o.want(status, &p, who, method, path, body, header...)
	require.Equal(o.t, "application/problem+json", w.Header().Get("Content-Type"))
	require.NotEmpty(o.t, p.Title)
	return p
}

// see is the request as the operator sees it.
func (o *office) see(ticket string) report.Request {
	o.t.Helper()
	var v report.Request
	o.want(200, &v, "operator", http.MethodGet, "/api/v1/requests/"+ticket, nil)
	return v
}

func ifMatch(version int64) []string { return []string{"If-Match", fmt.Sprintf(`"%d"`, version)} }

// drop makes a submitted request of n cards with its list, as intake and
// validator leave it; edit may change the form first.
func (o *office) drop(n int, edit ...func(*request.Form)) request.Request {
	o.t.Helper()
	f := request.Form{
		Kind: request.KindReader, Reference: "REF-" + uuid.NewString()[:8], Title: "Personalisasi kartu SAM", SAMFunction: "R",
		CardCount: n, MachineType: "uji", PKSNumber: "119/1/2026",
		Letter: request.Letter{Sender: "PT Produsen Contoh", Post: "Direktur", Number: "001/X/2026",
			Date: clock.MustParseDate("2026-11-20"), Subject: "Permohonan personalisasi"},
		Lines:  []request.Line{{Lembaga: "PT Bank Contoh Nusantara", Quantity: n}},
		Orders: []request.PurchaseOrder{{Number: "PO-1", From: "PT Bank Contoh Nusantara", To: "PT Produsen Contoh", ReaderCount: n}},
	}
	for _, e := range edit {
		e(&f)
	}
	var made request.Request
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		var err error
		made, err = request.Create(ctx, tx, request.New{
			InstitutionID: o.at.ID, Form: f, Actor: machine.Actor{Name: "produsen", Role: request.Produsen}, OfficeAt: o.clock.Now(),
		})
		if err != nil {
			return err
		}
		var base int
		if err := tx.Get(ctx, &base, `SELECT count(*) FROM listed_card`); err != nil {
			return err
		}
		rows := make([]cardlist.Row, n)
		for i := range rows {
			rows[i] = cardlist.Row{Row: i + 1, Serial: fmt.Sprintf("SAM%05d", base+i+1), ReaderSerial: fmt.Sprintf("R-%d", base+i+1), Line: 1}
		}
		taken, err := cardlist.Store(ctx, tx, made.ID, rows)
		require.Empty(o.t, taken)
		return err
	})
	return made
}

// validate plays the validator's good end.
func (o *office) validate(id string) {
	o.t.Helper()
	c := request.Change{Actor: machine.Actor{Name: "validator", Role: request.Validator}, OfficeAt: o.clock.Now()}
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		r, err := request.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := request.Take(ctx, tx, r, request.Validate, c); err != nil {
			return err
		}
		_, err = request.State(ctx, tx, id, request.FactValidated, nil, c)
		return err
	})
}

// facts are the three that people state, with who states them.
func facts(n int) map[string]struct {
	who  string
	body any
} {
	return map[string]struct {
		who  string
		body any
	}{
		"letter":     {"persuratan", map[string]any{"received_on": "2026-11-23"}},
		"blanks":     {"persuratan", map[string]any{"count": n}},
		"comparison": {"operator", map[string]any{"submission": 1, "letter": true, "purchase_orders": true, "pks": true, "notes": "cocok"}},
	}
}

// accept brings a dropped request to accepted through the API.
func (o *office) accept(r request.Request) report.Request {
	o.t.Helper()
	path := "/api/v1/requests/" + r.Ticket
	o.validate(r.ID)
	for name, f := range facts(r.CardCount) {
		o.want(200, nil, f.who, http.MethodPost, path+"/"+name, f.body)
	}
	o.want(200, nil, "dirjen", http.MethodPost, path+"/approval", nil, ifMatch(o.see(r.Ticket).Version)...)
	o.want(200, nil, "direktur", http.MethodPost, path+"/disposition", map[string]any{"note": "proses"})
	var v report.Request
	o.want(200, &v, "kasubdit", http.MethodPost, path+"/acceptance", nil, ifMatch(o.see(r.Ticket).Version)...)
	return v
}

// produce brings an accepted request to done without its line: its cards become
// clear but the first `failed` of them, which fail. Done is then false.
func (o *office) produce(v report.Request, failed int) {
	o.t.Helper()
	scheduler := machine.Actor{Name: "scheduler", Role: request.Scheduler}
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		r, err := request.Lock(ctx, tx, v.ID)
		if err != nil {
			return err
		}
		c := request.Change{Actor: scheduler, OfficeAt: o.clock.Now()}
		for _, verb := range []machine.Verb{request.Schedule, request.Start} {
			if r, err = request.Take(ctx, tx, r, verb, c); err != nil {
				return err
			}
		}
		for _, q := range []string{
			`SET LOCAL session_replication_role = replica`, // the line is tested elsewhere
			`UPDATE card c SET state = 'clear', version = 9, chip_id = 'CHIP' || serial, attempt = 1, work_order_id = gen_random_uuid(),
			        pcid = upper(md5(serial)), manifest_no = 'M-' || serial, finished_at = now() WHERE request_id = $1`,
		} {
			var args []any
			if strings.Contains(q, "$1") {
				args = append(args, v.ID)
			}
			if _, err := tx.Exec(ctx, q, args...); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `
			UPDATE card SET state = 'failed', reason = 'kartu tidak menjawab' WHERE id IN
			       (SELECT id FROM listed_card WHERE request_id = $1 ORDER BY row LIMIT $2)`, v.ID, failed); err != nil {
			return err
		}
		if failed > 0 {
			return nil
		}
		_, err = request.Take(ctx, tx, r, request.Finish, c)
		return err
	})
}

// find writes a finding of the validator.
func (o *office) find(requestID, pointer, detail string) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `
			INSERT INTO finding (request_id, submission, ordinal, code, severity, pointer, detail)
			SELECT $1, 1, count(*) + 1, 'uji', 'error', $2, $3 FROM finding WHERE request_id = $1`, requestID, pointer, detail)
	})
}

// form is a multipart body.
type form struct {
	body      bytes.Buffer
	mediaType string
}

// cutForm is newForm without the end of its last boundary.
func cutForm(t *testing.T, scan []byte, fields ...string) *form {
	t.Helper()
	f := newForm(t, scan, fields...)
	f.body.Truncate(f.body.Len() - len("--\r\n"))
	return f
}

// newForm makes a body of fields (name, value) and, unless nil, a scan.
func newForm(t *testing.T, scan []byte, fields ...string) *form {
	t.Helper()
	f := &form{}
	w := multipart.NewWriter(&f.body)
	for i := 0; i+1 < len(fields); i += 2 {
		require.NoError(t, w.WriteField(fields[i], fields[i+1]))
	}
	if scan != nil {
		part, err := w.CreateFormFile("scan", "pindaian.pdf")
		require.NoError(t, err)
		_, err = part.Write(scan)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	f.mediaType = w.FormDataContentType()
	return f
}

var pdf = spoiled.PDF()

// signedScan is the scan of one paper, which no other has.
func signedScan(of string) []byte { return fmt.Appendf(bytes.Clone(pdf), "%% %s\n", of) }
