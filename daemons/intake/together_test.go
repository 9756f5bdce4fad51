package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
)

// patient lets no drop give up while a test holds the only writer.
const patient = "api: {rate_per_second: 1000, rate_burst: 1000, answer_time: 1m, commits_at_once: 1}"

// hold has the drop of the produsen under a key wait inside its transaction, and
// with it all that came into the same, until release is called.
func (o *office) hold(t *testing.T, key string) (release func()) {
	t.Helper()
	return o.during(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO idempotency (client, key, fingerprint, status, location, body)
			SELECT i.id, $1, sha256(''), 202, '', '{}' FROM institution i WHERE i.name = 'PT Produsen Contoh'`, key)
		return err
	})
}

// during keeps a transaction open behind what do did until release is called,
// which rolls it back.
func (o *office) during(t *testing.T, do func(ctx context.Context, tx *postgres.Tx) error) (release func()) {
	t.Helper()
	rollback := errors.New("rolled back for the test")
	held, let, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- o.db.InTx(context.WithoutCancel(t.Context()), func(ctx context.Context, tx *postgres.Tx) error {
			err := do(ctx, tx)
			close(held)
			<-let
			return cmp.Or(err, rollback)
		})
	}()
	<-held
	release = sync.OnceFunc(func() { close(let); require.ErrorIs(t, <-done, rollback) })
	t.Cleanup(release)
	return release
}

// inHand waits until so many drops wait for the next transaction.
func (o *office) inHand(t *testing.T, toWrite int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return strings.Contains(string(o.do(t, http.MethodGet, "/api/v1/status", nil, nil).body), fmt.Sprintf(`"to_write":%d`, toWrite))
	}, 30*time.Second, 5*time.Millisecond, "%d drops waiting", toWrite)
}

// locked waits until the writer stands before the lock that hold has.
func (o *office) locked(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		var n int
		return o.db.Get(t.Context(), &n, `
			SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
			WHERE l.locktype = 'transactionid' AND NOT l.granted AND a.datname = current_database()`) == nil && n == 1
	}, 30*time.Second, 5*time.Millisecond)
}

// sending is a drop on its way.
type sending struct {
	parcel *parcel
	key    string
	header map[string]string
	reply  chan reply
}

func numbered(t *testing.T, reference, key string, header ...map[string]string) *sending {
	t.Helper()
	p := whole(t)
	p.form["reference"] = reference
	s := &sending{parcel: p, key: key, reply: make(chan reply, 1)}
	if len(header) > 0 {
		s.header = header[0]
	}
	return s
}

// together sends drops so that one transaction takes them all, in their order.
func (o *office) together(t *testing.T, all ...*sending) {
	t.Helper()
	release := o.hold(t, "gate")
	gate := numbered(t, "gate "+fmt.Sprint(o.count(t, "request")), "gate")
	o.post(t, gate)
	o.locked(t)
	for i, s := range all {
		o.post(t, s)
		o.inHand(t, i+1)
	}
	release()
	first := <-gate.reply
	require.Equal(t, http.StatusAccepted, first.status, string(first.body))
}

func (o *office) post(t *testing.T, s *sending) {
	t.Helper()
	go func() { s.reply <- o.send(t, drops, s.parcel, s.key, s.header) }()
}

// transactions counts those that have written the requests.
func (o *office) transactions(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, o.db.Get(t.Context(), &n, `SELECT count(DISTINCT xmin::text) FROM request`))
	return n
}

func TestManyDropsOneTransaction(t *testing.T) {
	t.Parallel()
	o := newOffice(t, patient)
	var all []*sending
	for i := range 12 {
		all = append(all, numbered(t, fmt.Sprint("ref ", i), fmt.Sprint("k", i)))
		all[i].parcel.form["title"] = fmt.Sprint("Permohonan ke-", i)
		all[i].parcel.set("letter", bytes.Replace(pdf, []byte("1.7"), fmt.Appendf(nil, "1.%d", i), 1))
	}
	o.together(t, all...)
	var tickets []string
	for i, s := range all {
		r := <-s.reply
		require.Equal(t, http.StatusAccepted, r.status, string(r.body))
		tickets = append(tickets, r.Ticket)
		is, err := request.ByTicket(t.Context(), o.db, r.Ticket, "")
		require.NoError(t, err)
		require.Equal(t, r.ID, is.ID)
		require.Equal(t, fmt.Sprint("Permohonan ke-", i), is.Title)
		require.Len(t, is.Lines, 1)
		require.Len(t, is.Orders, 1)
		files, err := request.Files(t.Context(), o.db, is)
		require.NoError(t, err)
		require.Len(t, files, 4)
		for _, f := range files {
			if f.Kind != request.FileLetter {
				continue
			}
			content, _, err := blob.Open(t.Context(), o.db, uuid.MustParse(f.BlobID))
			require.NoError(t, err)
			var b bytes.Buffer
			_, err = b.ReadFrom(content)
			require.NoError(t, err)
			require.Contains(t, b.String(), fmt.Sprintf("%%PDF-1.%d\n", i))
		}
	}
	require.True(t, slices.IsSorted(tickets), "in the order of arrival: %v", tickets)
	require.Equal(t, 2, o.transactions(t), "that of the gate, and one")
	for table, n := range map[string]int{"request": 1, "blob": 4, "outbox": 1, "audit": 1, "history": 1, "idempotency": 1} {
		require.Equal(t, n*13, o.count(t, table), table)
	}
	var traces int
	require.NoError(t, o.db.Get(t.Context(), &traces, `SELECT count(DISTINCT traceparent) FROM outbox WHERE traceparent <> ''`))
	require.Equal(t, 13, traces, "each has the trace of its own call")
}

func TestADropThatFailsHarmsNoNeighbour(t *testing.T) {
	t.Parallel()
	o := newOffice(t, patient)
	o.breaks(t, "request", atInsert, `
		IF NEW.title = 'racun' THEN RAISE EXCEPTION 'broken for the test'; END IF;
		IF NEW.title = 'didahului' THEN RAISE unique_violation USING CONSTRAINT = 'request_institution_id_reference_key'; END IF;`)
	early := o.send(t, drops, whole(t), "early")
	require.Equal(t, http.StatusAccepted, early.status)
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `
			INSERT INTO machine_type (code, name, uses_reader, sam_pattern, reader_pattern) VALUES ('SEMENTARA', 'x', true, '', '')`)
	}))
	known := numbered(t, "sementara", "k-type-0")
	known.parcel.form["machine_type"] = "SEMENTARA"
	o.post(t, known)
	require.Equal(t, http.StatusAccepted, (<-known.reply).status)

	made := func(reference, key, field, value string) *sending {
		s := numbered(t, reference, key)
		s.parcel.form[field] = value
		return s
	}
	good := []*sending{numbered(t, "a", "k-a"), numbered(t, "b", "k-b"), numbered(t, "c", "k-c")}
	poison := made("racun", "k-racun", "title", "racun")
	overtaken := made("didahului", "k-didahului", "title", "didahului")
	used := numbered(t, "001", "k-used")
	sameReference := numbered(t, "b", "k-b2")
	copied := numbered(t, "a", "k-a")
	reused := made("a", "k-a", "notes", "lain")
	answered := numbered(t, "001", "early")
	revoked := numbered(t, "other", "k-other", map[string]string{"Authorization": "Bearer " + o.keys["other"]})
	// The other institution's key is known to the intake by now.
	warm := numbered(t, "warm", "k-warm", revoked.header)
	o.post(t, warm)
	require.Equal(t, http.StatusAccepted, (<-warm.reply).status)
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE api_key SET revoked_at = now() WHERE label = 'other'`)
	}))

	o.together(t, good[0], poison, overtaken, good[1], used, sameReference, copied, reused, answered, revoked, good[2])
	var tickets []string
	for _, s := range good {
		r := <-s.reply
		require.Equal(t, http.StatusAccepted, r.status, string(r.body))
		tickets = append(tickets, r.Ticket)
	}
	require.True(t, slices.IsSorted(tickets))
	r := <-poison.reply
	require.Equal(t, http.StatusInternalServerError, r.status)
	require.NotContains(t, string(r.body), "broken for the test")
	for name, s := range map[string]*sending{"overtaken": overtaken, "used before": used, "used beside": sameReference} {
		r := <-s.reply
		require.Equal(t, http.StatusConflict, r.status, "%s: %s", name, r.body)
		require.Equal(t, map[string]string{"/reference": "used"}, r.pointers(), name)
	}
	r = <-copied.reply
	require.Equal(t, http.StatusAccepted, r.status, string(r.body))
	require.Equal(t, tickets[0], r.Ticket)
	require.Equal(t, "true", r.header.Get("Idempotency-Replayed"))
	r = <-reused.reply
	require.Equal(t, http.StatusUnprocessableEntity, r.status)
	require.Equal(t, "urn:sifilma:problem:idempotency-key-reused", r.Type)
	r = <-answered.reply
	require.Equal(t, string(early.body), string(r.body))
	r = <-revoked.reply
	require.Equal(t, http.StatusUnauthorized, r.status, string(r.body))
	require.Equal(t, "urn:sifilma:problem:bad-api-key", r.Type)

	for table, n := range map[string]int{"request": 1, "blob": 4, "outbox": 1, "audit": 1, "history": 1, "idempotency": 1} {
		require.Equal(t, n*7, o.count(t, table), "early, type, warm, gate and the good ones: %s", table)
	}
	poison.parcel.form["title"] = "bukan racun"
	again := o.send(t, drops, poison.parcel, "k-racun")
	require.Equal(t, http.StatusAccepted, again.status, "a key whose drop failed may be used again")
}

// While one transaction waits for something in the database, drops go on in
// another.
func TestAHeldTransactionHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "api: {rate_per_second: 1000, rate_burst: 1000, answer_time: 1m}")
	release := o.hold(t, "gate")
	held := numbered(t, "ditahan", "gate")
	o.post(t, held)
	o.locked(t)
	for i := range 3 {
		r := o.send(t, drops, numbered(t, fmt.Sprint("ref ", i), "").parcel, fmt.Sprint("k", i))
		require.Equal(t, http.StatusAccepted, r.status, string(r.body))
	}
	require.Equal(t, 3, o.count(t, "request"))
	release()
	require.Equal(t, http.StatusAccepted, (<-held.reply).status)
}

func TestTheFirstOfTwoCopiesFails(t *testing.T) {
	t.Parallel()
	o := newOffice(t, patient)
	o.breaks(t, "request", atInsert, `IF NEW.title = 'racun' AND nextval('breaks') <= 2 THEN RAISE EXCEPTION 'broken for the test'; END IF;`)
	first, second := numbered(t, "a", "k"), numbered(t, "a", "k")
	first.parcel.form["title"], second.parcel.form["title"] = "racun", "racun"
	neighbour := numbered(t, "b", "k-b")
	o.together(t, first, second, neighbour)
	require.Equal(t, http.StatusAccepted, (<-neighbour.reply).status)
	require.Equal(t, http.StatusInternalServerError, (<-first.reply).status)
	r := <-second.reply
	require.Equal(t, http.StatusAccepted, r.status, "its copy failed; it is tried for itself: %s", r.body)
	require.Empty(t, r.header.Get("Idempotency-Replayed"))
}

func TestARevokedKeyEndsAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.Equal(t, http.StatusAccepted, o.send(t, drops, whole(t), "k-1").status)
	large := whole(t)
	large.form["reference"] = "besar"
	large.set("letter", scan(300<<10))
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE api_key SET revoked_at = now() WHERE label = 'produsen'`)
	}))
	require.Equal(t, http.StatusUnauthorized, o.send(t, drops, whole(t), "k-1").status, "not even the same answer again")
	require.Equal(t, http.StatusUnauthorized, o.send(t, drops, large, "k-2").status)
	header := map[string]string{"Authorization": "Bearer " + o.key}
	require.Equal(t, http.StatusUnauthorized, o.do(t, http.MethodGet, "/api/v1/requests/PSAM-2026-000001-5", nil, header).status)
	require.Equal(t, 1, o.count(t, "request"))
}

// scan is a PDF of about n bytes.
func scan(n int) []byte {
	end := bytes.Index(pdf, []byte("trailer"))
	return slices.Concat(pdf[:end], bytes.Repeat([]byte("% isi\n"), n/6), pdf[end:])
}

func TestALargeDropWaitsForNoSmallOne(t *testing.T) {
	t.Parallel()
	o := newOffice(t, patient)
	release := o.hold(t, "held")
	small := numbered(t, "kecil", "held")
	o.post(t, small)
	o.locked(t)
	large := whole(t)
	large.set("letter", scan(700<<10))
	r := o.send(t, drops, large, "large")
	require.Equal(t, http.StatusAccepted, r.status, string(r.body))
	is, err := request.ByTicket(t.Context(), o.db, r.Ticket, "")
	require.NoError(t, err)
	var size int
	require.NoError(t, o.db.Get(t.Context(), &size, `
		SELECT sum(octet_length(c.data)) FROM request_file f JOIN blob_chunk c ON c.blob_id = f.blob_id
		WHERE f.request_id = $1 AND f.kind = 'letter'`, is.ID))
	require.Equal(t, len(scan(700<<10)), size)
	release()
	require.Equal(t, http.StatusAccepted, (<-small.reply).status)
}

// Clients that go away, one while its drop is being written and one while it
// waits, lose nothing by asking again, and hold up nobody.
func TestClientsThatGoAway(t *testing.T) {
	t.Parallel()
	o := newOffice(t, patient)
	release := o.hold(t, "k-1")
	leave := func(reference, key string, here func()) {
		ctx, cancel := context.WithCancel(t.Context())
		body, contentType := numbered(t, reference, key).parcel.body(t)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url+drops, bytes.NewReader(body))
		require.NoError(t, err)
		for name, value := range map[string]string{"Authorization": "Bearer " + o.key, "Content-Type": contentType, "Idempotency-Key": key} {
			req.Header.Set(name, value)
		}
		gone := make(chan error, 1)
		go func() {
			res, err := o.http.Do(req)
			if err == nil {
				_ = res.Body.Close()
			}
			gone <- err
		}()
		here()
		cancel()
		require.ErrorIs(t, <-gone, context.Canceled)
	}
	leave("satu", "k-1", func() { o.locked(t) })
	leave("dua", "k-2", func() { o.inHand(t, 1) })
	o.inHand(t, 0) // what nobody waits for any more is not written
	stays := numbered(t, "tiga", "k-3")
	o.post(t, stays)
	o.inHand(t, 1)
	release()
	require.Equal(t, http.StatusAccepted, (<-stays.reply).status)
	require.Equal(t, 2, o.count(t, "request"))

	for key, c := range map[string]struct{ reference, replayed string }{"k-1": {"satu", "true"}, "k-2": {"dua", ""}} {
		r := o.send(t, drops, numbered(t, c.reference, key).parcel, key)
		require.Equal(t, http.StatusAccepted, r.status, string(r.body))
		require.Equal(t, c.replayed, r.header.Get("Idempotency-Replayed"), key)
	}
	require.Equal(t, 3, o.count(t, "request"))
}

func TestSignalDrains(t *testing.T) {
	t.Parallel()
	o := newOffice(t, patient)
	release := o.hold(t, "gate")
	var all []*sending
	for i := range 5 {
		key := fmt.Sprint("k", i)
		if i == 0 {
			key = "gate"
		}
		all = append(all, numbered(t, fmt.Sprint("ref ", i), key))
		o.post(t, all[i])
		if i == 0 {
			o.locked(t)
		}
	}
	o.inHand(t, 4)
	o.signals <- syscall.SIGTERM
	require.Eventually(t, func() bool { return strings.Contains(o.daemon.Log(), `"stopping"`) }, 10*time.Second, time.Millisecond)
	release()
	for _, s := range all {
		r := <-s.reply
		require.Equal(t, http.StatusAccepted, r.status, string(r.body))
	}
	require.Zero(t, <-o.ended)
	require.Equal(t, 5, o.count(t, "request"))
}

func TestPostgresAway(t *testing.T) {
	t.Parallel()
	var relay *harness.Relay
	o := officeVia(t, func(target string) string { relay = harness.Proxy(t, target); return relay.Address() },
		"api: {rate_per_second: 1000, rate_burst: 1000, answer_time: 3s}")
	require.Equal(t, http.StatusAccepted, o.send(t, drops, whole(t), "k-0").status)
	refused := func(why string) {
		t.Helper()
		var all []*sending
		for i := range 6 {
			all = append(all, numbered(t, fmt.Sprint("ref ", i), fmt.Sprint("k", i)))
			o.post(t, all[i])
		}
		for _, s := range all {
			r := <-s.reply
			require.Equal(t, http.StatusServiceUnavailable, r.status, "%s: %s", why, r.body)
			require.Equal(t, "urn:sifilma:problem:unavailable", r.Type)
			require.NotEmpty(t, r.header.Get("Retry-After"))
		}
		require.Equal(t, http.StatusServiceUnavailable, o.do(t, http.MethodGet, "/readyz", nil, nil).status, why)
	}
	relay.Blackhole()
	refused("no answer")
	relay.Resume()
	relay.Cut()
	refused("refused")
	relay.Resume()
	require.Eventually(t, func() bool { return o.do(t, http.MethodGet, "/readyz", nil, nil).status == http.StatusOK }, 30*time.Second, 20*time.Millisecond)
	for i := range 6 {
		r := o.send(t, drops, numbered(t, fmt.Sprint("ref ", i), "").parcel, fmt.Sprint("k", i))
		require.Equal(t, http.StatusAccepted, r.status, string(r.body))
	}
	require.Equal(t, 7, o.count(t, "request"))
}

func TestTheAnswerToACommitIsLost(t *testing.T) {
	t.Parallel()
	var proxy *deafProxy
	o := officeVia(t, func(target string) string { proxy = newDeafProxy(t, target); return proxy.address() }, patient)
	var all []*sending
	for i := range 5 {
		all = append(all, numbered(t, fmt.Sprint("ref ", i), fmt.Sprint("k", i)))
	}
	release := o.hold(t, "k0")
	for i, s := range all {
		o.post(t, s)
		if i == 0 {
			o.locked(t)
		}
	}
	o.inHand(t, 4)
	proxy.lose(2) // those of both transactions
	release()
	tickets := map[string]bool{}
	for _, s := range all {
		r := <-s.reply
		require.Equal(t, http.StatusAccepted, r.status, string(r.body))
		require.Empty(t, r.header.Get("Idempotency-Replayed"), "the transaction was found committed, not run again")
		tickets[r.Ticket] = true
	}
	require.Zero(t, proxy.left.Load(), "both answers were lost")
	require.Len(t, tickets, 5)
	require.Equal(t, 5, o.count(t, "request"))
	require.Equal(t, 2, o.transactions(t))
}
