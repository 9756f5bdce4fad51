package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/stretchr/testify/require"
)

// logLine is what this test reads of a line of a daemon's log.
type logLine struct {
	Message string `json:"message"`
	Trace   string `json:"trace_id"`
	Request string `json:"request"`
	Ticket  string `json:"ticket"`
}

var allDaemons = []string{"intake", "validator", "portal", "scheduler", "perso-station", "document-generator"}

// checkTrace follows one request from its drop to its papers: its trace_id is in
// every daemon's log, every line that names the request bears it, and every
// message about it carried it and the request's id.
func (o *office) checkTrace(ticket string) {
	o.t.Helper()
	var id, traceID string
	for _, line := range o.log("intake") {
		if line.Message == "drop taken" && line.Ticket == ticket {
			id, traceID = line.Request, line.Trace
		}
	}
	require.Len(o.t, traceID, 32, "the drop's trace_id in the intake's log")
	for _, daemon := range allDaemons {
		found := 0
		for _, line := range o.log(daemon) {
			if line.Trace == traceID {
				found++
			}
			if line.Request == id {
				require.Equal(o.t, traceID, line.Trace, "%s: %q names the request and is of another trace", daemon, line.Message)
			}
		}
		require.NotZero(o.t, found, "%s has no line of the request's trace", daemon)
	}

	db := o.database()
	rows, err := db.Query(`
		SELECT o.type, o.request_id::text, split_part(o.traceparent, '-', 2) FROM outbox o
		WHERE o.request_id = $1 OR o.subject IN (SELECT id FROM work_order WHERE request_id = $1
		      UNION ALL SELECT id FROM card WHERE request_id = $1 UNION ALL SELECT id FROM handover WHERE request_id = $1)`, id)
	require.NoError(o.t, err)
	defer func() { _ = rows.Close() }()
	types := map[string]bool{}
	for rows.Next() {
		var kind, request, trace string
		require.NoError(o.t, rows.Scan(&kind, &request, &trace))
		require.Equal(o.t, []string{id, traceID}, []string{request, trace}, kind)
		types[kind] = true
	}
	require.NoError(o.t, rows.Err())
	for _, kind := range []string{"request.submitted", "request.accepted", "workorder.released", "workorder.finished", "request.done", "handover.opened"} {
		require.Contains(o.t, types, kind)
	}
	var strays int
	require.NoError(o.t, db.QueryRow(`
		SELECT count(*) FROM history WHERE request_id IS DISTINCT FROM $1 AND subject IN (
			SELECT $1 UNION ALL SELECT id FROM work_order WHERE request_id = $1 UNION ALL SELECT id FROM card WHERE request_id = $1
			UNION ALL SELECT id FROM handover WHERE request_id = $1 UNION ALL SELECT id FROM document WHERE request_id = $1)`, id).Scan(&strays))
	require.Zero(o.t, strays, "rows of the timeline without the request's id")
}

func (o *office) log(daemon string) (lines []logLine) {
	o.t.Helper()
	file, err := os.Open(filepath.Join(o.dir, "log", daemon+".log"))
	require.NoError(o.t, err)
	defer func() { _ = file.Close() }()
	s := bufio.NewScanner(file)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var line logLine
		if json.Unmarshal(s.Bytes(), &line) == nil {
			lines = append(lines, line)
		}
	}
	require.NoError(o.t, s.Err())
	return lines
}
