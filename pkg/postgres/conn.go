package postgres

import (
	"container/list"
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

const (
	// maxStatements is how many prepared statements a connection keeps; the least
	// recently used one goes first.
	maxStatements = 300
	// answerTimeout bounds the wait for the answer to BEGIN, COMMIT and ROLLBACK.
	answerTimeout = 30 * time.Second
	// cancelGrace is what a statement may take after the end of its context: lib/pq
	// sends a cancel request and waits for the server. Past it the connection is given up.
	cancelGrace = 10 * time.Second
)

// pqConn is what a lib/pq connection offers.
type pqConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

// pqStmt is what a lib/pq statement offers.
type pqStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// conn is a lib/pq connection that prepares each statement once and keeps it.
// database/sql uses a connection from one goroutine at a time.
type conn struct {
	pqConn
	net     net.Conn
	owner   *connector
	gen     uint64
	tainted bool // a cancel request may still be on its way to the server

	stmts map[string]*list.Element // of *kept
	order list.List                // most recently used first
}

type kept struct {
	query string
	stmt  pqStmt
}

// stale reports whether the pool wants to be rid of the connection.
func (c *conn) stale() bool { return c.tainted || c.gen != c.owner.gen.Load() }

// ResetSession refuses a connection that was retired while it was idle.
func (c *conn) ResetSession(ctx context.Context) error {
	if c.stale() {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// IsValid keeps a retired connection from going back to the pool.
func (c *conn) IsValid() bool { return !c.stale() && c.pqConn.IsValid() }

// bound lets reads on the socket last no longer than the context plus the grace:
// a frozen server answers keepalives but nothing else.
func (c *conn) bound(ctx context.Context) error {
	var until time.Time
	if d, ok := ctx.Deadline(); ok {
		until = d.Add(c.owner.grace)
	}
	return c.net.SetReadDeadline(until)
}

func (c *conn) boundAnswer() error {
	return c.net.SetReadDeadline(time.Now().Add(answerTimeout))
}

// BeginTx begins without lib/pq's watch on ctx: statements carry their own context,
// and a COMMIT on its way is not disturbed by a context that ends.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.boundAnswer(); err != nil {
		return nil, err
	}
	tx, err := c.pqConn.BeginTx(context.WithoutCancel(ctx), opts)
	if err != nil {
		return nil, err
	}
	return boundTx{c, tx}, nil
}

// boundTx bounds the wait for the end of a transaction.
type boundTx struct {
	c *conn
	driver.Tx
}

// Commit sends COMMIT; any error but one spoken by the server leaves the outcome unknown.
func (t boundTx) Commit() error {
	if err := t.c.boundAnswer(); err != nil {
		return err
	}
	return t.Tx.Commit()
}

// Rollback sends ROLLBACK.
func (t boundTx) Rollback() error {
	if err := t.c.boundAnswer(); err != nil {
		return err
	}
	return t.Tx.Rollback()
}

// ExecContext runs a statement prepared on this connection.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.bound(ctx); err != nil {
		return nil, err
	}
	st, err := c.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	res, err := st.ExecContext(ctx, args)
	c.after(ctx, query, err)
	return res, err
}

// QueryContext runs a query prepared on this connection.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.bound(ctx); err != nil {
		return nil, err
	}
	st, err := c.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(ctx, args)
	c.after(ctx, query, err)
	return rows, err
}

// after forgets a statement the server no longer knows or cannot run any more.
func (c *conn) after(ctx context.Context, query string, err error) {
	if err == nil {
		return
	}
	if ctx.Err() != nil {
		c.tainted = true
	}
	if planGone(err) {
		c.forget(query)
	}
}

// planGone tells that a prepared statement must be prepared anew: a migration
// changed its result, or something discarded it.
func planGone(err error) bool {
	var pe *pq.Error
	if !errors.As(err, &pe) {
		return false
	}
	return pe.Code == pqerror.InvalidSQLStatementName ||
		pe.Code == pqerror.FeatureNotSupported && pe.Routine == "RevalidateCachedQuery"
}

func (c *conn) prepared(ctx context.Context, query string) (pqStmt, error) {
	if el, ok := c.stmts[query]; ok {
		c.order.MoveToFront(el)
		return el.Value.(*kept).stmt, nil
	}
	raw, err := c.PrepareContext(ctx, query)
	if err != nil {
		c.after(ctx, query, err)
		return nil, err
	}
	st, ok := raw.(pqStmt)
	if !ok {
		_ = raw.Close()
		return nil, errors.New("postgres: driver statement lacks context methods")
	}
	if c.stmts == nil {
		c.stmts = map[string]*list.Element{}
	}
	c.stmts[query] = c.order.PushFront(&kept{query, st})
	if c.order.Len() > maxStatements {
		c.forget(c.order.Back().Value.(*kept).query)
	}
	return st, nil
}

func (c *conn) forget(query string) {
	el, ok := c.stmts[query]
	if !ok {
		return
	}
	delete(c.stmts, query)
	c.order.Remove(el)
	_ = el.Value.(*kept).stmt.Close() // a connection that cannot close it is bad anyway
}

// script runs several statements in one simple query.
func (c *conn) script(ctx context.Context, sql string) error {
	if err := c.bound(ctx); err != nil {
		return err
	}
	ex, ok := c.pqConn.(driver.ExecerContext)
	if !ok {
		return errors.New("postgres: driver connection cannot run a script")
	}
	_, err := ex.ExecContext(ctx, sql, nil)
	return err
}
