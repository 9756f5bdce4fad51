package outage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

// TestServicesGoAndReturn takes the services away from the running office, one
// way after another. The office finds by itself whatever returns; the time that
// it takes is told in the output of the test. In the end a day's work shows that
// nothing has suffered, and every process stops when it is asked to.
func TestServicesGoAndReturn(t *testing.T) {
	t.Parallel()
	of := start(t)
	of.open()
	for _, step := range []struct {
		name string
		do   func(t *testing.T, of *office)
	}{
		{"RabbitMQ comes back empty", emptyBroker},
		{"PostgreSQL is killed and comes back", postgresKilled},
		{"both are away at the start", absentAtStart},
		{"PostgreSQL returns before RabbitMQ", otherOrder},
		{"two of every daemon do a request once", twoOfEach},
		{"PostgreSQL fails over to its standby", failover},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, of) }) {
			return // what follows would only fail for the same reason
		}
	}
	for _, m := range of.members {
		require.Zero(t, strings.Count(of.logOf(m.name), "panic"), m.name)
	}
}

// recovered tells how long the office took.
func recovered(t *testing.T, of *office, since time.Time) {
	t.Helper()
	took, who := of.allReady(since)
	t.Logf("recovery: all %d processes ready %.2f s after the return (last: %s)", len(of.members), took.Seconds(), who)
}

// The broker's disk is lost: queues, messages, even the virtual host. The bell
// of a request was on it; the sweeper rings it again.
func emptyBroker(t *testing.T, of *office) {
	db := of.db(t, of.services.Postgres.Port)
	validators := func(do func(*member)) {
		for _, m := range of.members {
			if strings.HasPrefix(m.name, "validator") {
				do(m)
			}
		}
	}
	validators(func(m *member) { m.rabbit.Cut() })
	of.ticket = of.drop(t)
	eventually(t, db, 1, `SELECT count(*) FROM outbox o JOIN request r ON r.id = o.subject WHERE r.ticket = $1 AND o.sent_at IS NOT NULL`, of.ticket)
	of.quietly(t, func() {
		of.kill(of.services.Rabbit.Process)
		validators(func(m *member) { m.rabbit.Resume() })
		require.NoError(t, os.RemoveAll(filepath.Join(of.services.Data, "rabbitmq", "mnesia")))
		of.allBad("rabbitmq")
		of.bringUp()
		of.allBad("rabbitmq") // there is no virtual host yet
		require.NoError(t, of.vhost(t.Context(), "sifilma"))
		recovered(t, of, time.Now())
	})
	eventually(t, db, 1, `SELECT count(*) FROM request WHERE ticket = $1 AND state = 'validated'`, of.ticket)
	eventually(t, db, 1, `SELECT sum(rings)::int FROM sweep`)
	told(t, of, "broker session is down", "broker session is up")
}

// vhost makes a virtual host on the private broker.
func (of *office) vhost(ctx context.Context, name string) error {
	r := of.services.Rabbit
	if err := r.API(ctx, http.MethodPut, "/vhosts/"+name, map[string]any{}, nil); err != nil {
		return err
	}
	all := map[string]string{"configure": ".*", "write": ".*", "read": ".*"}
	return r.API(ctx, http.MethodPut, "/permissions/"+name+"/"+url.PathEscape(r.User), all, nil)
}

// told asserts that every member has logged both ends of an outage.
func told(t *testing.T, of *office, lines ...string) {
	t.Helper()
	for _, m := range of.members {
		text := of.logOf(m.name)
		for _, line := range lines {
			require.Contains(t, text, line, m.name)
		}
	}
}

func postgresKilled(t *testing.T, of *office) {
	of.quietly(t, func() {
		of.kill(of.services.Postgres.Process)
		of.allBad("postgres")
		of.bringUp()
		recovered(t, of, time.Now())
	})
	told(t, of, `"check":"postgres"`, "check is good again")
}

// Every process is stopped while both services are away, ends well all the
// same, and starts without them.
func absentAtStart(t *testing.T, of *office) {
	cut := func(do func(*member)) {
		for _, m := range of.members {
			do(m)
		}
	}
	cut(func(m *member) { m.primary.Cut(); m.rabbit.Cut() })
	of.allBad("postgres", "rabbitmq")
	for _, m := range of.members {
		old, ends := of.process(m), strings.Count(of.logOf(m.name), `"message":"stopped"`)
		began := time.Now()
		of.signal(m, unix.SIGTERM)
		require.Eventually(t, func() bool { return !old.Alive() }, patience, tick)
		t.Logf("%s ended %.2f s after SIGTERM", m.name, time.Since(began).Seconds())
		require.Greater(t, strings.Count(of.logOf(m.name), `"exit":0`), ends, "%s did not end well:\n%s", m.name, of.logOf(m.name))
	}
	for _, m := range of.members {
		require.Eventually(t, func() bool { // a station goes on without PostgreSQL; the others wait for it
			p := of.readyz(m)
			return of.process(m).Alive() && !p.Ready && p.Checks["postgres"].Error != "" && (p.State == "starting" || strings.HasPrefix(m.name, "perso-station"))
		}, patience, tick, m.name)
	}
	of.quietly(t, func() {
		<-time.After(8 * time.Second) // longer than the shortest waits, so that they have grown
		cut(func(m *member) { m.rabbit.Resume() })
		<-time.After(time.Second)
		for _, m := range of.members {
			require.False(t, of.readyz(m).Ready, "%s is ready without PostgreSQL", m.name)
		}
		cut(func(m *member) { m.primary.Resume() })
		recovered(t, of, time.Now())
	})
}

func otherOrder(t *testing.T, of *office) {
	of.quietly(t, func() {
		for _, m := range of.members {
			m.primary.Blackhole() // without a word, as when a cable is pulled
			m.rabbit.Cut()
		}
		of.allBad("postgres", "rabbitmq")
		<-time.After(8 * time.Second)
		for _, m := range of.members {
			m.primary.Resume()
		}
		for _, m := range of.members {
			require.Eventually(t, func() bool { p := of.readyz(m); return p.Checks["postgres"].OK && !p.Checks["rabbitmq"].OK }, patience, tick, m.name)
		}
		for _, m := range of.members {
			m.rabbit.Resume()
		}
		recovered(t, of, time.Now())
	})
}

// twoOfEach has a request go to its end, with both processes of each daemon at
// work on it, and looks for effects that came twice.
func twoOfEach(t *testing.T, of *office) {
	db := of.db(t, of.services.Postgres.Port)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if of.ticket == "" { // nothing was done to it before
		of.ticket = of.drop(t)
	}
	of.script.Once = true
	script, err := json.Marshal(of.script)
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, filepath.Join(of.bin, "demo"))
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+of.services.HSM.Config, of.services.Mark("demo"))
	cmd.Stdin = bytes.NewReader(script)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Regexp(t, fmt.Sprintf(`demo: ok request=%s cards=%d/%d`, of.ticket, cards, cards), string(out))

	lines, err := writelog.Read(filepath.Join(of.dir, "virtualsam-writes.jsonl"))
	require.NoError(t, err)
	require.Empty(t, writelog.Judge(lines), "no chip was written twice, and no number used twice")
	for _, c := range []struct {
		want        int
		what, query string
	}{
		{1, "requests", `SELECT count(*) FROM request`},
		{cards, "cards", `SELECT count(*) FROM card WHERE state = 'clear'`},
		{0, "steps taken twice", `SELECT count(*) FROM (SELECT FROM history GROUP BY machine, subject, version HAVING count(*) > 1) AS x`},
		{0, "cards finished twice", `SELECT count(*) FROM (SELECT FROM history WHERE machine = 'card' AND verb = 'clear' GROUP BY subject HAVING count(*) > 1) AS x`},
		{1, "ends of the request", `SELECT count(*) FROM history WHERE machine = 'request' AND verb = 'finish'`},
		{1, "handovers", `SELECT count(*) FROM handover`},
		{0, "papers made twice", `SELECT count(*) FROM (SELECT FROM document WHERE state NOT IN ('void', 'replaced') GROUP BY kind, subject_id HAVING count(*) > 1) AS x`},
		{0, "messages on the shelf", `SELECT count(*) FROM shelf`},
	} {
		var n int
		require.NoError(t, db.Get(ctx, &n, c.query), c.what)
		require.Equal(t, c.want, n, c.what)
	}
	eventually(t, db, 0, `SELECT count(*) FROM outbox WHERE sent_at IS NULL`)
}

func hostPort(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
