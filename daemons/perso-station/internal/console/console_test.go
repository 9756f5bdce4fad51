package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/console"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/test/contract"
	"dukcapil.go.id/sifilma/test/harness"
)

// stage is a line that does what a test says.
type stage struct {
	mu     sync.Mutex
	slots  map[string]line.ReaderStatus
	order  []string
	inHand []string
	woken  int
	busy   bool
	away   map[string]time.Time
}

func (s *stage) Still() bool { return !s.busy }

func (s *stage) Readers() (list []line.ReaderStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.order {
		list = append(list, s.slots[name])
	}
	return list
}

func (s *stage) InHand() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inHand
}

func (s *stage) Away() map[string]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away
}

func (s *stage) ProfileLabel(context.Context) (string, error) { return "gp-scp03-sam/1", nil }

func (s *stage) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.woken++
}

// rig is a console over a stage and a real database.
type rig struct {
	*persotest.Office
	t       *testing.T
	clock   *clock.Fake
	stage   *stage
	console *console.Console
	metrics *prometheus.Registry
	log     *harness.SyncedLog
	parts   console.Parts
	http    http.Handler
}

const reader = "Pembaca 1"

func newRig(t *testing.T, adjust ...func(*console.Parts)) *rig {
	t.Helper()
	r := &rig{
		Office: persotest.New(t, 3, 3), t: t, clock: clock.NewFake(time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)),
		stage: &stage{slots: map[string]line.ReaderStatus{}}, log: &harness.SyncedLog{},
	}
	book, err := journal.Open(filepath.Join(t.TempDir(), "journal"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = book.Close() })
	r.parts = console.Parts{
		Config: console.Defaults(), Station: "uji-1", DB: r.DB, Journal: book, Memory: filepath.Join(t.TempDir(), "failures"), Build: "uji",
		Findings: func() map[string]string { return map[string]string{"postgres": "", "hsm": "no token"} },
		Office:   clock.NewFixedOffice(persotest.OfficeAt), Machine: r.clock, Log: zerolog.New(r.log),
	}
	for _, f := range adjust {
		f(&r.parts)
	}
	r.begin()
	return r
}

// begin starts the console, as its station does.
func (r *rig) begin() {
	r.t.Helper()
	r.metrics = prometheus.NewRegistry()
	r.parts.Registry = r.metrics
	r.console = console.New(r.parts)
	r.console.Watch(r.stage, r.stage.Away)
	router := web.NewRouter(web.Options{Log: zerolog.Nop()})
	require.NoError(r.t, r.console.Mount(router))
	r.http = contract.Handler(r.t, "perso-station", router)
	r.show(line.ReaderStatus{Name: reader, State: "empty", Instruction: "masukkan"})
}

func (r *rig) show(s line.ReaderStatus) {
	r.stage.mu.Lock()
	if _, known := r.stage.slots[s.Name]; !known {
		r.stage.order = append(r.stage.order, s.Name)
	}
	r.stage.slots[s.Name] = s
	r.stage.mu.Unlock()
	r.console.Shown(s)
}

// run runs a part of the console until the returned function is called.
func (r *rig) run(part func(context.Context) error) (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = part(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// beaten lets the console beat once.
func (r *rig) beaten() {
	r.t.Helper()
	stop := r.run(r.console.Beat)
	require.Eventually(r.t, func() bool { return r.console.View().Day != nil }, 20*time.Second, time.Millisecond, "%s", r.log)
	stop()
}

func (r *rig) do(method, path, body string, head ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	q := httptest.NewRequest(method, "http://127.0.0.1:8084"+path, strings.NewReader(body))
	q.RemoteAddr = "127.0.0.1:4000"
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(head); i += 2 {
		q.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	r.http.ServeHTTP(w, q)
	return w
}

func (r *rig) view() (v console.View) {
	r.t.Helper()
	w := r.do(http.MethodGet, "/api/v1/station", "")
	require.Equal(r.t, http.StatusOK, w.Code, w.Body)
	require.NoError(r.t, json.Unmarshal(w.Body.Bytes(), &v))
	return v
}

func TestTheDocumentSaysWhatTheStationServes(t *testing.T) {
	t.Parallel()
	router := chi.NewRouter()
	require.NoError(t, console.New(console.Parts{Config: console.Defaults(), Log: zerolog.Nop()}).Mount(router))
	contract.Routes(t, "perso-station", router)
}

// TestPeopleHoldTheStation: no card is touched before the station knows what people
// want; a wish by the API counts at once, in the database and for the next start.
func TestPeopleHoldTheStation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.Equal(t, "tunggu", r.view().Readers[0].Word, "nobody is asked for a card yet")
	var held *line.Held
	require.ErrorAs(t, r.console.Touch(), &held)
	r.beaten()
	require.NoError(t, r.console.Touch())
	v := r.view()
	require.Equal(t, "masukkan", v.Readers[0].Word)
	require.Equal(t, perso.Running, v.Standing.Mode)
	require.Equal(t, 3, v.Day.Waiting)
	require.Equal(t, "gp-scp03-sam/1", v.Profile)
	require.Equal(t, []console.Check{{Name: "hsm", Label: "HSM", Error: "no token"}, {Name: "postgres", Label: "Basis data", OK: true}}, v.Checks)

	w := r.do(http.MethodPost, "/api/v1/station/pause", `{"by": "", "reason": ""}`)
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Equal(t, http.StatusBadRequest, r.do(http.MethodPost, "/api/v1/station/pause", `{"by": "Sari", "why": "x"}`).Code)
	w = r.do(http.MethodPost, "/api/v1/station/pause", `{"by": "Sari", "reason": "ganti kotak"}`)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Positive(t, r.stage.woken)
	begin := func() error {
		return r.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error { return r.console.Begin(ctx, tx) })
	}
	require.ErrorAs(t, begin(), &held)
	require.Equal(t, "Stasiun dijeda oleh Sari: ganti kotak", held.Text)
	require.NoError(t, r.console.Touch(), "cards are looked at")
	require.Equal(t, "tunggu", r.view().Readers[0].Word)

	r.begin() // started anew
	r.beaten()
	require.Equal(t, "Sari", r.view().Standing.By)
	require.ErrorAs(t, begin(), &held)
	// Somebody wants otherwise somewhere else: it counts for the next card.
	r.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.Stand(ctx, tx, "uji-1", perso.Wish{Mode: perso.Draining, By: "Budi", Reason: "HSM dicabut", OfficeAt: persotest.OfficeAt})
		return err
	})
	require.ErrorAs(t, begin(), &held)
	require.ErrorAs(t, r.console.Touch(), &held)
	r.stage.busy = true
	require.False(t, r.view().Drained)
	r.stage.busy = false
	require.True(t, r.view().Drained)

	// The same by the form of the page.
	page := r.do(http.MethodGet, "/", "")
	require.Contains(t, page.Body.String(), "Sudah kosong")
	refused := r.do(http.MethodPost, "/lanjut", url.Values{"by": {" "}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusUnprocessableEntity, refused.Code)
	require.Contains(t, refused.Body.String(), "Nama wajib diisi")
	done := r.do(http.MethodPost, "/lanjut", url.Values{"by": {"Budi"}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusSeeOther, done.Code)
	require.NoError(t, begin())
	require.NoError(t, r.console.Touch())
}

// TestABeatSaysWhatIsInHand, and which alarms stand; while the database is away the
// console keeps what it knew, and takes no order.
func TestABeatSaysWhatIsInHand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	network := harness.Proxy(t, r.Database.Address())
	cfg := r.Database.Config(t, "")
	cfg.URL = strings.Replace(cfg.URL, r.Database.Address(), network.Address(), 1)
	db, err := postgres.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	r.parts.DB = db
	r.begin()
	r.stage.inHand = []string{r.CardIDs[0], r.CardIDs[1]}
	r.beaten()
	rows, err := perso.Stations(t.Context(), r.DB)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, 2, rows[0].InHand)
	require.Equal(t, 1, rows[0].Readers)
	network.Cut()
	defer network.Resume()
	w := r.do(http.MethodPost, "/api/v1/station/pause", `{"by": "Sari", "reason": "x"}`)
	require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
	v := r.view()
	require.Equal(t, perso.Running, v.Standing.Mode)
	require.NotNil(t, v.Day)
	page := r.do(http.MethodPost, "/jeda", url.Values{"by": {"Sari"}, "reason": {"ganti kotak"}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusServiceUnavailable, page.Code)
	require.Contains(t, page.Body.String(), "ganti kotak", "what was typed is not lost")
}

// TestOnlyWhoStandsAtTheMachine gets an answer, and no site that a browser there shows
// can give orders.
func TestOnlyWhoStandsAtTheMachine(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/", "/layar", "/api/v1/station"} {
		require.Equal(t, http.StatusOK, r.do(http.MethodGet, path, "").Code, path)
		for name, change := range map[string]func(*http.Request){
			"another machine": func(q *http.Request) { q.RemoteAddr = "10.0.0.9:4000" },
			"another name":    func(q *http.Request) { q.Host = "evil.example:8084" },
			"a proxy":         func(q *http.Request) { q.Header.Set("X-Forwarded-For", "127.0.0.1") },
		} {
			q := httptest.NewRequest(http.MethodGet, "http://localhost:8084"+path, nil)
			q.RemoteAddr = "127.0.0.1:4000"
			change(q)
			w := httptest.NewRecorder()
			r.http.ServeHTTP(w, q)
			require.Equal(t, http.StatusForbidden, w.Code, "%s from %s", path, name)
		}
	}
	body := `{"by": "Sari", "reason": "x"}`
	require.Equal(t, http.StatusForbidden, r.do(http.MethodPost, "/api/v1/station/drain", body, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site").Code)
	page := r.do(http.MethodGet, "/layar", "")
	require.NotContains(t, page.Header().Get("Content-Security-Policy"), "unsafe")
	require.NotRegexp(t, `<script[^>]*>[^<]`, page.Body.String(), "no script stands in the page")
	require.NotContains(t, page.Body.String(), "style=")
}

// TestAlarms: idle and stalled, by machine time; people who hold the station are no
// reason for one; and a reader that is away.
func TestAlarms(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beaten()
	defer r.run(r.console.Guard)()
	codes := func() (list []string) {
		for _, a := range r.console.View().Alarms {
			list = append(list, a.Code+":"+a.Reader)
		}
		return list
	}
	pass := func(d time.Duration, want ...string) {
		t.Helper()
		require.NoError(t, r.clock.WaitTimers(t.Context(), 1))
		r.clock.Advance(d)
		require.Eventually(t, func() bool { return strings.Join(codes(), ",") == strings.Join(want, ",") }, 20*time.Second, time.Millisecond, "%v", codes)
		require.NoError(t, r.clock.WaitTimers(t.Context(), 1))
		for _, code := range []string{"idle", "stalled", "away"} {
			stands := 0.0
			if strings.Contains(strings.Join(want, ","), code) {
				stands = 1
			}
			require.InDelta(t, stands, gauge(t, r.metrics, "sifilma_station_alarm", code), 0, code)
		}
	}
	pass(29 * time.Minute)
	pass(2*time.Minute, "idle:")
	require.Contains(t, r.log.String(), "alarm raised")

	r.console.Slot(reader, true)
	r.show(line.ReaderStatus{Name: reader, State: "working", Instruction: "tunggu"})
	r.show(line.ReaderStatus{Name: reader, State: "working", Instruction: "tunggu", Serial: "SAM1", CardID: r.CardIDs[0], Step: "marker"})
	pass(2 * time.Minute)
	// Holding and going on, over and over, is no progress.
	for range 3 {
		r.show(line.ReaderStatus{Name: reader, State: "wait", Instruction: "tunggu", Serial: "SAM1", CardID: r.CardIDs[0], Step: "marker", Reason: "Sistem sedang tidak tersedia"})
		r.show(line.ReaderStatus{Name: reader, State: "working", Instruction: "tunggu", Serial: "SAM1", CardID: r.CardIDs[0], Step: "marker"})
	}
	pass(2*time.Minute, "stalled:"+reader)
	require.True(t, r.view().Readers[0].Stalled)
	r.show(line.ReaderStatus{Name: reader, State: "working", Instruction: "tunggu", Serial: "SAM1", CardID: r.CardIDs[0], Step: "keys"})
	pass(time.Second)
	require.Contains(t, r.log.String(), "alarm is over")

	// A card that waits because people want it so; one in hand is still to get on.
	_, err := r.console.Stand(t.Context(), perso.Wish{Mode: perso.Paused, By: "Sari", Reason: "makan"})
	require.NoError(t, err)
	pass(time.Hour)
	r.stage.mu.Lock()
	r.stage.inHand = []string{r.CardIDs[0]}
	r.stage.mu.Unlock()
	pass(time.Second, "stalled:"+reader)
	r.stage.mu.Lock()
	r.stage.inHand = nil
	r.stage.mu.Unlock()
	r.console.Slot(reader, false)
	r.show(line.ReaderStatus{Name: reader, State: "empty", Instruction: "masukkan"})
	_, err = r.console.Stand(t.Context(), perso.Wish{Mode: perso.Running, By: "Sari"})
	require.NoError(t, err)
	pass(29 * time.Minute) // from when it went on
	pass(2*time.Minute, "idle:")
	r.stage.mu.Lock()
	r.stage.away = map[string]time.Time{"Pembaca 2": time.Now()}
	r.stage.mu.Unlock()
	pass(time.Second, "away:Pembaca 2", "idle:")
	r.stage.mu.Lock()
	r.stage.away = nil
	r.stage.mu.Unlock()
	pass(time.Second, "idle:")
}

// gauge reads a gauge by the value of its one label.
func gauge(t *testing.T, reg *prometheus.Registry, name, value string) float64 {
	t.Helper()
	all, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == value {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no %s of %s", name, value)
	return 0
}

// TestFailuresAreKept with what was said to the card, newest first and over a restart;
// refusals make way for them.
func TestFailuresAreKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	present := func(serial, outcome string) {
		r.console.Slot(reader, true)
		r.console.Sent(reader, line.Exchange{Step: "keys", Header: "84D80081", Sent: 90, Fault: "outcome_unknown"})
		r.show(line.ReaderStatus{Name: reader, State: "set_aside", Instruction: "sisihkan", Serial: serial, Outcome: outcome, Reason: "Hasil tidak diketahui"})
		r.console.Slot(reader, false)
		r.show(line.ReaderStatus{Name: reader, State: "empty", Instruction: "masukkan"})
	}
	present("SAM1", "in_doubt")
	for range 30 {
		present("SAM2", "refused")
	}
	present("SAM3", "failed")
	stop := r.run(r.console.Guard)
	require.Eventually(t, func() bool {
		_, err := os.Stat(r.parts.Memory)
		return err == nil
	}, 20*time.Second, time.Millisecond)
	stop()
	r.begin()
	v := r.view()
	require.Len(t, v.Failures, 20)
	require.Equal(t, "SAM3", v.Failures[0].Serial)
	require.Equal(t, "SAM1", v.Failures[19].Serial)
	require.Equal(t, []line.Exchange{{Step: "keys", Header: "84D80081", Sent: 90, Fault: "outcome_unknown"}}, v.Failures[0].Trace, "of this insertion alone")
	require.NotContains(t, r.do(http.MethodGet, "/api/v1/station?brief=true", "").Body.String(), "84D80081")
	page := r.do(http.MethodGet, "/", "").Body.String()
	require.Contains(t, page, "84D80081")
	require.Contains(t, page, "penggantian kunci")
	require.Contains(t, page, "jawaban tidak diketahui")

	r.show(line.ReaderStatus{Name: reader, State: "set_aside", Instruction: "sisihkan", Serial: "SAM1", Outcome: "in_doubt"})
	require.Equal(t, "ragu", r.view().Readers[0].Bin)
	r.show(line.ReaderStatus{Name: reader, State: "take", Instruction: "ambil", Serial: "SAM4", Outcome: "clear"})
	r.show(line.ReaderStatus{Name: reader, State: "take", Instruction: "ambil", Serial: "SAM5", Outcome: "refused", Reason: "sudah"})
	v = r.view()
	require.NotEqual(t, "SAM5", v.Failures[0].Serial, "it is a good card")
	require.Empty(t, v.Readers[0].Bin)
	require.Equal(t, console.Pace{LastHour: 1, PerHour: 6}, v.Pace)
	r.clock.Advance(11 * time.Minute)
	require.Equal(t, console.Pace{LastHour: 1}, r.view().Pace)
	r.clock.Advance(50 * time.Minute)
	require.Equal(t, console.Pace{}, r.view().Pace)
}

// TestALampIsToldEachWord, and what is wrong with its program stops nothing.
func TestALampIsToldEachWord(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "told")
	r := newRig(t, func(p *console.Parts) {
		p.Signal = []string{"/bin/sh", "-c", `echo "$1|$2" >> "$0"`, out}
		p.SignalTimeout = time.Minute
	})
	r.beaten()
	stop := r.run(r.console.Signal)
	told := func() string {
		body, _ := os.ReadFile(out)
		return string(body)
	}
	wants := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.HasSuffix(told(), text) }, 20*time.Second, time.Millisecond, "%q", told)
	}
	wants("masukkan|" + reader + "\n")
	r.show(line.ReaderStatus{Name: reader, State: "take", Instruction: "ambil", Serial: "SAM1", Outcome: "clear"})
	wants("ambil|" + reader + "\n")
	r.console.Gone(reader)
	stop()
	require.True(t, strings.HasSuffix(told(), "tunggu|"+reader+"\n"), "what was not told yet is told at the end: %q", told())

	bad := newRig(t, func(p *console.Parts) {
		p.Signal, p.SignalTimeout = []string{"/bin/sh", "-c", "sleep 1000 & sleep 1000"}, 50*time.Millisecond
	})
	stop = bad.run(bad.console.Signal)
	failures := func() float64 {
		families, err := bad.metrics.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == "sifilma_station_signal_failures_total" {
				return f.GetMetric()[0].GetCounter().GetValue()
			}
		}
		return 0
	}
	require.Eventually(t, func() bool { return failures() >= 1 }, 20*time.Second, time.Millisecond)
	for i, word := range []string{"ambil", "sisihkan", "ambil"} {
		bad.show(line.ReaderStatus{Name: reader, State: "take", Instruction: word, Serial: word})
		require.Eventually(t, func() bool { return failures() >= float64(i)+2 }, 20*time.Second, time.Millisecond)
	}
	stop()
	require.Equal(t, 1, bytes.Count([]byte(bad.log.String()), []byte("the signal program fails")), "it is said once")
}
