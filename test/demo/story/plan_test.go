package story

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/test/demo/people"
	"dukcapil.go.id/sifilma/test/demo/screen"
)

const ownTicket = "PSAM-2026-000003-1"

// portal answers with one plan of the play's own ticket and knows no other address:
// whoever asks for the whole board fails.
type portal struct {
	plan string
	pins []string
}

func (o *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, ownTicket+"/placements"):
		body, _ := io.ReadAll(r.Body)
		o.pins = append(o.pins, string(body))
		_, _ = io.WriteString(w, o.plan)
	case r.URL.Path == "/api/v1/requests/"+ownTicket+"/plan":
		_, _ = io.WriteString(w, o.plan)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func playing(t *testing.T, o *portal, now string, out io.Writer) *play {
	t.Helper()
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	at, err := time.Parse(time.RFC3339, now)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "office-clock")
	require.NoError(t, clock.StepOffice(path, at))
	office, err := clock.OpenOffice("file:" + path)
	require.NoError(t, err)
	staff := map[string]*people.Client{"operator": people.NewProgram(server.URL, ""), "kasubdit": people.NewProgram(server.URL, "")}
	return &play{Script: Script{OfficeClock: path}, out: screen.New(out, time.Now()), staff: staff, office: office, turned: refusals{}}
}

// ahead are the hari kerja after Tuesday, 1 December 2026, which is full of the cards
// of others; the fourth is taken out by the office.
const ahead = `"ahead":[{"day":"2026-12-01","capacity":250},{"day":"2026-12-02","capacity":250},{"day":"2026-12-03","capacity":250},
	{"day":"2026-12-04","capacity":0},{"day":"2026-12-07","capacity":250},{"day":"2026-12-08","capacity":250},{"day":"2026-12-09","capacity":250}]`

func TestOnlyItsOwnOrdersCount(t *testing.T) {
	t.Parallel()
	day := clock.MustParseDate
	for name, c := range map[string]struct {
		days  string
		begun bool
		next  string
	}{
		"nothing planned":   {`[]`, false, ""},
		"released today":    {`[{"day":"2026-12-01","state":"released","remaining":25}]`, true, ""},
		"done for today":    {`[{"day":"2026-12-01","state":"released","remaining":0},{"day":"2026-12-02","state":"planned","remaining":2}]`, false, "2026-12-02"},
		"closed with cards": {`[{"day":"2026-12-01","state":"closed","remaining":7}]`, false, ""},
		"of a day before":   {`[{"day":"2026-11-30","state":"planned","remaining":7},{"day":"2026-12-03","state":"planned","remaining":7}]`, false, "2026-12-03"},
		"the first counts":  {`[{"day":"2026-12-07","state":"planned","remaining":7},{"day":"2026-12-02","state":"planned","remaining":7}]`, false, "2026-12-02"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s schedule
			require.NoError(t, json.Unmarshal([]byte(`{"days":`+c.days+`}`), &s))
			require.Equal(t, c.begun, s.begun(day("2026-12-01")))
			next, any := s.next(day("2026-12-01"))
			require.Equal(t, c.next != "", any)
			if any {
				require.Equal(t, day(c.next), next)
			}
		})
	}
}

func TestClockGoesToItsOwnDayAndSaysSo(t *testing.T) {
	t.Parallel()
	o := &portal{plan: `{"ticket":"` + ownTicket + `","version":4,"days":[{"day":"2026-12-08","state":"planned","remaining":25}],` + ahead + `}`}
	var out strings.Builder
	p := playing(t, o, "2026-12-01T09:00:00+07:00", &out)
	s, err := p.plan(t.Context(), ownTicket)
	require.NoError(t, err)
	moved, err := p.await(t.Context(), s)
	require.NoError(t, err)
	require.True(t, moved)
	require.Empty(t, o.pins, "five hari kerja are near, whatever lies between")
	require.Equal(t, "2026-12-08", clock.Today(p.office).String())
	require.Contains(t, out.String(), "Jam kantor dimajukan ke 8 Desember 2026, 07.31 WIB: hari personalisasi "+ownTicket)
	moved, err = p.await(t.Context(), s)
	require.NoError(t, err)
	require.False(t, moved, "it stands there until the order is released, without a busy loop")
}

func TestFarDayIsBroughtNearInsteadOfMovingTheClock(t *testing.T) {
	t.Parallel()
	o := &portal{plan: `{"ticket":"` + ownTicket + `","version":4,"days":[{"day":"2027-04-13","state":"planned","remaining":25}],` + ahead + `}`}
	var out strings.Builder
	p := playing(t, o, "2026-12-01T09:00:00+07:00", &out)
	s, err := p.plan(t.Context(), ownTicket)
	require.NoError(t, err)
	acted, err := p.await(t.Context(), s)
	require.NoError(t, err)
	require.True(t, acted)
	require.Len(t, o.pins, 1)
	require.JSONEq(t, `{"day":"2026-12-02","pin":true,"reason":"peragaan: antrean di depannya panjang"}`, o.pins[0])
	require.Contains(t, out.String(), "baru terjadwal 13 April 2027. Kasubdit KI menguncinya pada 2 Desember 2026")
	acted, err = p.await(t.Context(), s)
	require.NoError(t, err)
	require.False(t, acted, "the planner has its time")
	require.Len(t, o.pins, 1)
	require.Equal(t, "2026-12-01", clock.Today(p.office).String())

	p.pinned.since = time.Now().Add(-pinWithin) // the pin did not help
	acted, err = p.await(t.Context(), s)
	require.NoError(t, err)
	require.True(t, acted)
	require.Contains(t, out.String(), "Jam kantor dimajukan ke 13 April 2027")
}

func TestRefusedCardIsGivenUp(t *testing.T) {
	t.Parallel()
	r, now := refusals{}, time.Now()
	require.True(t, r.may("S1", now))
	for range mostRefusals - 1 {
		require.NoError(t, r.note("S1", "Tidak ada perintah kerja", now))
		require.False(t, r.may("S1", now))
		now = now.Add(refusalRest)
		require.True(t, r.may("S1", now))
	}
	require.True(t, r.may("S2", now))
	require.EqualError(t, r.note("S1", "Tidak ada perintah kerja", now),
		"stasiun menolak kartu S1 sampai 5 kali (Tidak ada perintah kerja); kartu tidak dimasukkan lagi")
}
