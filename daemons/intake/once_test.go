package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

func TestTwentyClientsOneTicket(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	replies := make([]reply, 20)
	var wg sync.WaitGroup
	for i := range replies {
		p := whole(t)
		wg.Go(func() { replies[i] = o.send(t, drops, p, "satu") })
	}
	wg.Wait()
	replayed := 0
	for _, r := range replies {
		require.Equal(t, http.StatusAccepted, r.status, string(r.body))
		require.Equal(t, string(replies[0].body), string(r.body))
		require.Equal(t, replies[0].header.Get("Location"), r.header.Get("Location"))
		if r.header.Get("Idempotency-Replayed") == "true" {
			replayed++
		}
	}
	require.Equal(t, len(replies)-1, replayed)
	for table, n := range map[string]int{"request": 1, "blob": 4, "outbox": 1, "audit": 1, "history": 1, "idempotency": 1} {
		require.Equal(t, n, o.count(t, table), table)
	}
}

func TestTheSameKeyAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first := o.send(t, drops, whole(t), "kunci")
	require.Equal(t, http.StatusAccepted, first.status)

	same := whole(t) // other boundary, other order of parts, other file names, other spaces
	slices.Reverse(same.parts)
	for i := range same.parts {
		same.parts[i].file = "nama lain.bin"
	}
	same.form["title"] = "  Personalisasi "
	again := o.send(t, drops, same, `"kunci"`)
	require.Equal(t, http.StatusAccepted, again.status, string(again.body))
	require.Equal(t, first.Ticket, again.Ticket)

	for name, change := range map[string]func(*parcel){
		"another field": func(p *parcel) { p.form["notes"] = "lain" },
		"another file":  func(p *parcel) { p.set("letter", bytes.Replace(pdf, []byte("1.7"), []byte("1.6"), 1)) },
	} {
		p := whole(t)
		change(p)
		r := o.send(t, drops, p, "kunci")
		require.Equal(t, http.StatusUnprocessableEntity, r.status, name)
		require.Equal(t, "urn:sifilma:problem:idempotency-key-reused", r.Type, name)
	}

	r := o.send(t, drops, whole(t), "kunci-2")
	require.Equal(t, http.StatusConflict, r.status, "the No. Pengajuan is used")
	require.Equal(t, map[string]string{"/reference": "used"}, r.pointers())
	require.Contains(t, r.Detail, first.Ticket)

	r = o.send(t, drops, whole(t), "kunci", map[string]string{"Authorization": "Bearer " + o.keys["other"]})
	require.Equal(t, http.StatusAccepted, r.status, "another institution has its own keys and references")
	require.NotEqual(t, first.Ticket, r.Ticket)

	for name, key := range map[string]string{"missing": "", "with a space": "a b", "too long": string(bytes.Repeat([]byte("k"), 256)), "not ASCII": "kunci\xe9"} {
		r := o.send(t, drops, whole(t), key)
		require.Equal(t, http.StatusBadRequest, r.status, name)
	}
	require.Equal(t, 2, o.count(t, "request"))
}

// written are the tables of a drop in the order in which it writes them.
var written = []string{
	"blob_chunk", "blob", "request", "request_line", "purchase_order", "request_file", "history", "outbox", "audit", "idempotency",
}

// breaks has the insert into a table do something, each time or the first time
// only.
func (o *office) breaks(t *testing.T, table, timing, do string) {
	t.Helper()
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for _, statement := range []string{
			`CREATE SEQUENCE IF NOT EXISTS breaks`,
			`CREATE OR REPLACE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN ` + do + ` RETURN NEW; END $$`,
			fmt.Sprintf(timing, table),
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}))
}

const (
	atInsert = `CREATE TRIGGER breaks BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION breaks()`
	atCommit = `CREATE CONSTRAINT TRIGGER breaks AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION breaks()`
)

func TestAFaultAtEachWriteLeavesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, table := range written {
		o.breaks(t, table, atInsert, `RAISE EXCEPTION 'broken for the test';`)
		r := o.send(t, drops, whole(t), "k")
		require.Equal(t, http.StatusInternalServerError, r.status, table)
		require.NotContains(t, string(r.body), "broken for the test", table)
		o.nothing(t)
		require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `DROP TRIGGER breaks ON `+table)
			return err
		}))
	}
	r := o.send(t, drops, whole(t), "k")
	require.Equal(t, http.StatusAccepted, r.status, "a key whose drop failed may be used again: %s", r.body)
}

func TestAConnectionThatDiesAtEachWriteMakesOneTicket(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for i, table := range append(slices.Clone(written), "idempotency at commit") {
		timing := atInsert
		if i == len(written) {
			table, timing = "idempotency", atCommit
		}
		o.breaks(t, table, timing, `IF nextval('breaks') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;`)
		p := whole(t)
		p.form["reference"] = fmt.Sprint("ref ", i)
		r := o.send(t, drops, p, fmt.Sprint("k", i))
		for try := 0; r.status == http.StatusServiceUnavailable && try < 5; try++ { // a client may be told to come again
			r = o.send(t, drops, p, fmt.Sprint("k", i))
		}
		require.Equal(t, http.StatusAccepted, r.status, "%s: %s", table, r.body)
		for table, n := range map[string]int{"request": 1, "blob": 4, "outbox": 1, "audit": 1, "history": 1, "idempotency": 1} {
			require.Equal(t, n*(i+1), o.count(t, table), table)
		}
		require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := tx.Exec(ctx, `ALTER SEQUENCE breaks RESTART`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `DROP TRIGGER breaks ON `+table)
			return err
		}))
	}
	var orphans int
	require.NoError(t, o.db.Get(t.Context(), &orphans, `SELECT count(*) FROM blob b WHERE NOT EXISTS (SELECT FROM request_file f WHERE f.blob_id = b.id)`))
	require.Zero(t, orphans)
}

func TestResubmission(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first := o.send(t, drops, whole(t), "k-1")
	require.Equal(t, http.StatusAccepted, first.status)
	path := first.StatusURL + "/resubmission"
	at := func(version string) map[string]string { return map[string]string{"If-Match": version} }
	require.Equal(t, http.StatusPreconditionRequired, o.send(t, path, whole(t), "k-2").status)
	early := o.send(t, path, whole(t), "k-2", at(`"1"`))
	require.Equal(t, http.StatusConflict, early.status, "nobody has returned it")

	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		r, err := request.Lock(ctx, tx, first.ID)
		if err != nil {
			return err
		}
		_, err = request.Take(ctx, tx, r, request.Return, request.Change{
			Actor: machine.Actor{Name: "validator", Role: request.Validator}, Reason: "Sel B2: nomor seri kosong.", OfficeAt: morning,
		})
		return err
	}))
	shown := o.do(t, http.MethodGet, first.StatusURL, nil, map[string]string{"Authorization": "Bearer " + o.key})
	require.Contains(t, string(shown.body), `"reason":"Sel B2: nomor seri kosong."`)
	require.Equal(t, `"2"`, shown.header.Get("ETag"))
	require.Equal(t, http.StatusPreconditionFailed, o.send(t, path, whole(t), "k-2", at(`"1"`)).status, "he has not seen why")

	p := whole(t)
	p.form["reference"] = "lain"
	other := o.send(t, path, p, "k-3", at(`"2"`))
	require.Equal(t, map[string]string{"/reference": "fixed"}, other.pointers())

	p = whole(t)
	p.form["title"] = "Judul yang diperbaiki"
	p.form["letter"].(map[string]any)["number"] = "13/DIR" // another letter: that the first came says nothing of it
	delete(p.form, "reference")
	r := o.send(t, path, p, "k-4", at(`"2"`))
	require.Equal(t, http.StatusAccepted, r.status, string(r.body))
	require.Equal(t, first.Ticket, r.Ticket)
	require.Equal(t, 2, r.Submission)
	again := o.send(t, path, p, "k-4", at(`"2"`))
	require.Equal(t, string(r.body), string(again.body))
	late := o.send(t, path, whole(t), "k-5", at(`"3"`))
	require.Equal(t, http.StatusConflict, late.status)

	is, err := request.ByTicket(t.Context(), o.db, first.Ticket, "")
	require.NoError(t, err)
	require.Equal(t, request.Resubmitted, is.State)
	require.Equal(t, "Judul yang diperbaiki", is.Title)
	require.Equal(t, "001", is.Reference)
	files, err := request.Files(t.Context(), o.db, is)
	require.NoError(t, err)
	require.Len(t, files, 4)
	var types []string
	require.NoError(t, o.db.Select(t.Context(), &types, `SELECT type FROM outbox ORDER BY id`))
	require.Equal(t, []string{"request.submitted", "request.resubmitted"}, types)
}
