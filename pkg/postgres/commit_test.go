package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// fault is what a commitProxy does when it sees the COMMIT it waits for.
type fault int

const (
	answerLost  fault = iota // the server commits, the client never hears of it
	requestLost              // the server never sees it
	serverGone               // the server commits and cannot be reached afterwards
)

// commitProxy is a TCP proxy that spoils one message to the server, once armed.
type commitProxy struct {
	target string
	match  func(sent []byte) bool // which message; a COMMIT by default
	armed  atomic.Bool
	fault  fault
	gone   atomic.Bool
	done   sync.WaitGroup
}

// commitMessage is the simple query "COMMIT" on the wire.
var commitMessage = []byte("Q\x00\x00\x00\x0bCOMMIT\x00")

func isCommit(sent []byte) bool { return bytes.Equal(sent, commitMessage) }

func startCommitProxy(t *testing.T, target string, f fault) (*commitProxy, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &commitProxy{target: target, match: isCommit, fault: f}
	p.done.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.done.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); p.done.Wait() })
	return p, l.Addr().String()
}

func (p *commitProxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	if p.gone.Load() {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var deaf atomic.Bool // answers of the server are swallowed
	var back sync.WaitGroup
	back.Go(func() {
		buf := make([]byte, 32<<10)
		for {
			n, err := server.Read(buf)
			if deaf.Load() { // the answer to COMMIT has come: it is done
				_ = client.Close()
				return
			}
			if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
				_ = client.Close()
				return
			}
		}
	})
	buf := make([]byte, 32<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			break
		}
		if p.armed.Load() && p.match(buf[:n]) && p.armed.CompareAndSwap(true, false) {
			if p.fault == requestLost {
				break
			}
			p.gone.Store(p.fault == serverGone)
			deaf.Store(true)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			break
		}
	}
	if !deaf.Load() {
		_ = server.Close()
	}
	_, _ = io.Copy(io.Discard, client)
	back.Wait()
}

func TestLostCommit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault fault
		runs  int
		err   error
	}{
		{"answer lost: committed is success", answerLost, 1, nil},
		{"request lost: aborted runs again", requestLost, 2, nil},
		{"server gone: unknown", serverGone, 1, postgres.ErrCommitUnknown},
		{"mark read along, answer lost", answerLost, 1, nil},
		{"mark read along, request lost", requestLost, 2, nil},
		{"mark read along, server gone", serverGone, 1, postgres.ErrCommitUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := fresh(t)
			d := harness.NewEmptyDatabase(t) // for the address of the server only
			proxy, addr := startCommitProxy(t, d.Address(), c.fault)
			db := open(t, via(t, cfg, addr))
			db.SetPatience(time.Second, time.Second)
			require.Equal(t, 1, number(t, db, `SELECT 1`))
			proxy.armed.Store(true)
			runs, rang, failed := 0, 0, 0
			err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				runs++
				tx.OnCommit(func() { rang++ })
				tx.OnFail(func() { failed++ })
				if !strings.HasPrefix(c.name, "mark read along") {
					return tx.ExecOne(ctx, `INSERT INTO item (id) VALUES (11)`)
				}
				var m postgres.Mark
				err := tx.Get(ctx, &m, `WITH i AS (INSERT INTO item (id) VALUES (11)) SELECT `+postgres.MarkColumns)
				require.NotEmpty(t, m.XID.String)
				tx.Know(m)
				return err
			})
			require.False(t, proxy.armed.Load(), "the COMMIT went through the proxy")
			require.Equal(t, c.runs, runs)
			require.Equal(t, runs, rang+failed, "one of the two, once for each run")
			outcome := "learnt"
			if c.err != nil {
				outcome = "unknown"
			}
			require.Contains(t, lostCommits(t, db), outcome+":1")
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
				require.True(t, postgres.Foreign(err))
				require.Zero(t, rang)
			} else {
				require.NoError(t, err)
				require.Equal(t, 1, rang)
			}
			direct := open(t, cfg)
			require.Equal(t, 1, number(t, direct, `SELECT count(*) FROM item WHERE id = 11`))
		})
	}
}

// lostCommits lists the counters of lost commits as outcome:count.
func lostCommits(t *testing.T, db *postgres.DB) (list []string) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(db))
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "sifilma_postgres_lost_commits_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			list = append(list, fmt.Sprintf("%s:%.0f", m.GetLabel()[0].GetValue(), m.GetCounter().GetValue()))
		}
	}
	return list
}

func TestLostCommitOfAReadingTransaction(t *testing.T) {
	t.Parallel()
	cfg := fresh(t)
	proxy, addr := startCommitProxy(t, harness.NewEmptyDatabase(t).Address(), answerLost)
	db := open(t, via(t, cfg, addr))
	number(t, db, `SELECT 1`)
	proxy.armed.Store(true)
	runs := 0
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		runs++
		var n int
		return tx.Get(ctx, &n, `SELECT count(*) FROM item`)
	})
	require.Equal(t, 1, runs)
	require.True(t, postgres.Foreign(err), "%v", err)
	require.NotErrorIs(t, err, postgres.ErrCommitUnknown)
}
