package pkcs11

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	p11 "github.com/miekg/pkcs11"
)

// Config names a token. Environment the module itself reads, such as
// SOFTHSM2_CONF, is set for the process and is none of this package's business.
type Config struct {
	Module     string `yaml:"module"`      // path of the PKCS#11 library
	TokenLabel string `yaml:"token_label"` // CKA_LABEL of the token; must be the only one
	PINFile    string `yaml:"pin_file"`    // holds the user PIN; one trailing newline is ignored
	Sessions   int    `yaml:"sessions"`    // sessions in use at one time; 0 is 8
}

const defaultSessions = 8

// restartWait bounds how long a connecting Token waits for the transient keys
// of others before the library is initialised anew.
const restartWait = 5 * time.Second

// Token is a logged-in PKCS#11 token. It is safe for many goroutines.
type Token struct {
	cfg   Config
	slots chan struct{} // one place per session in use

	mu     sync.Mutex // guards what follows
	module *module
	conn   *connection
	closed bool
	// refused is the digest of a PIN, with the serial of the token that did not take it.
	refused *[sha256.Size]byte
	// tried counts the tries to connect, and failed is why the last one did not.
	tried  atomic.Uint64
	failed error
}

// connection is one login; it dies with any fault of the token.
type connection struct {
	life   uint64 // of the module
	slot   uint
	anchor p11.SessionHandle // keeps the login and owns session objects
	making sync.Mutex        // one operation at a time on the anchor

	mu        sync.Mutex
	dead      bool
	idle      []p11.SessionHandle
	transient int
}

// Open checks the configuration and connects to nothing: the token is looked
// for when it is first used.
func Open(cfg Config) (*Token, error) {
	for _, field := range []struct{ name, value string }{
		{"module", cfg.Module}, {"token_label", cfg.TokenLabel}, {"pin_file", cfg.PINFile},
	} {
		if field.value == "" {
			return nil, fmt.Errorf("%w: %s is missing", ErrConfig, field.name)
		}
	}
	if cfg.Sessions == 0 {
		cfg.Sessions = defaultSessions
	}
	if cfg.Sessions < 0 {
		return nil, fmt.Errorf("%w: sessions is negative", ErrConfig)
	}
	return &Token{cfg: cfg, slots: make(chan struct{}, cfg.Sessions), module: loadModule(cfg.Module)}, nil
}

// Close ends the sessions. Transient keys are destroyed with them. Calls that
// are under way finish first.
func (t *Token) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	conn := t.conn
	t.conn = nil
	t.mu.Unlock()
	for range cap(t.slots) { // wait for the calls under way
		t.slots <- struct{}{}
	}
	for range cap(t.slots) { // later calls shall find out, not wait
		<-t.slots
	}
	t.discard(conn)
	t.module.release()
	return nil
}

// Reopen drops the login and connects again with a fresh look at the module's
// tokens. Transient keys of this Token are lost.
func (t *Token) Reopen(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	conn := t.conn
	t.conn = nil
	t.discard(conn)
	if err := t.restart(ctx); err != nil {
		return err
	}
	_, err := t.connect(ctx)
	return err
}

// Check answers quickly whether the token is there and the login lives; it
// connects when there is no connection. For readyz.
func (t *Token) Check(ctx context.Context) error {
	return t.do(ctx, "check", func(m *p11.Ctx, c *connection, _ p11.SessionHandle) error {
		info, err := m.GetTokenInfo(c.slot)
		if err != nil || info.Label != t.cfg.TokenLabel {
			return lost(err)
		}
		session, err := m.GetSessionInfo(c.anchor)
		if err != nil || session.State != p11.CKS_RW_USER_FUNCTIONS {
			return lost(err)
		}
		return nil
	})
}

// Info names the token that a Token is connected to.
type Info struct {
	Label        string
	Serial       string
	Model        string
	Manufacturer string
}

// Info asks the token for its names.
func (t *Token) Info(ctx context.Context) (out Info, err error) {
	err = t.do(ctx, "token info", func(m *p11.Ctx, c *connection, _ p11.SessionHandle) error {
		i, err := m.GetTokenInfo(c.slot)
		if err != nil {
			return lost(err)
		}
		out = Info{strings.TrimSpace(i.Label), strings.TrimSpace(i.SerialNumber), strings.TrimSpace(i.Model), strings.TrimSpace(i.ManufacturerID)}
		return nil
	})
	return out, err
}

// Random is n bytes from the token's generator.
func (t *Token) Random(ctx context.Context, n int) ([]byte, error) {
	var out []byte
	err := t.do(ctx, "random", func(m *p11.Ctx, _ *connection, s p11.SessionHandle) (err error) {
		out, err = m.GenerateRandom(s, n)
		return err
	})
	return out, err
}

func lost(err error) error {
	if err == nil {
		return ErrTokenGone
	}
	return fmt.Errorf("%w: %w", ErrTokenGone, err)
}

// do runs one operation on a session of its own.
func (t *Token) do(ctx context.Context, what string, fn func(*p11.Ctx, *connection, p11.SessionHandle) error) error {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	// A second round only when the library was initialised anew by another
	// Token between connecting and the call: nothing was done yet.
	for {
		conn, err := t.connected(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		stale, err := t.on(conn, fn)
		if stale {
			t.drop(conn)
			continue
		}
		if errors.Is(err, ErrTokenGone) {
			t.drop(conn)
		}
		if err != nil {
			return name(what, err)
		}
		return nil
	}
}

// on runs fn under the module's lock and judges its error.
func (t *Token) on(conn *connection, fn func(*p11.Ctx, *connection, p11.SessionHandle) error) (stale bool, err error) {
	m := t.module
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !m.ready || m.life != conn.life {
		return true, nil
	}
	session, err := conn.borrow(m.ctx)
	if err == nil {
		if err = fn(m.ctx, conn, session); err == nil {
			conn.giveBack(m.ctx, session)
			return false, nil
		}
		_ = m.ctx.CloseSession(session) // an operation may be left half done in it
	}
	switch {
	case gone(err):
		return false, lost(err)
	case suspect(err):
		if info, e := m.ctx.GetTokenInfo(conn.slot); e != nil || info.Label != t.cfg.TokenLabel {
			return false, lost(err)
		}
	}
	return false, err
}

func (c *connection) borrow(m *p11.Ctx) (p11.SessionHandle, error) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		s := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return s, nil
	}
	c.mu.Unlock()
	return m.OpenSession(c.slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
}

func (c *connection) giveBack(m *p11.Ctx, s p11.SessionHandle) {
	c.mu.Lock()
	if !c.dead {
		c.idle = append(c.idle, s)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	_ = m.CloseSession(s)
}

// connected is the present connection, made when there is none. Whoever waited while
// another one tried takes what that came to: when a token is pulled from under many
// workers, the library is initialised once for all of them and not once for each.
func (t *Token) connected(ctx context.Context) (*connection, error) {
	before := t.tried.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	if t.conn != nil {
		return t.conn, nil
	}
	if t.tried.Load() != before && (errors.Is(t.failed, ErrTokenGone) || errors.Is(t.failed, ErrPIN)) {
		return nil, t.failed
	}
	return t.connect(ctx)
}

// connect finds the token and logs in. A token that is not seen, or a library
// that has lost it, gets one fresh start of the library. Called under t.mu.
func (t *Token) connect(ctx context.Context) (conn *connection, err error) {
	defer func() {
		t.failed = err
		t.tried.Add(1)
	}()
	if err := t.module.start(); err != nil {
		return nil, err
	}
	conn, err = t.login()
	if errors.Is(err, ErrTokenGone) {
		if e := t.restart(ctx); e != nil {
			return nil, e
		}
		conn, err = t.login()
	}
	if err != nil {
		return nil, err
	}
	t.conn = conn
	return conn, nil
}

// restart waits, within bounds, until no transient keys of other Tokens live.
func (t *Token) restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restartWait)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := t.module.restart()
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %q is not seen, and the library is in use by others", ErrTokenGone, t.cfg.TokenLabel)
		case <-tick.C:
		}
	}
}

func (t *Token) login() (*connection, error) {
	m := t.module
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !m.ready {
		return nil, ErrTokenGone
	}
	slot, info, err := findSlot(m.ctx, t.cfg.TokenLabel)
	if err != nil {
		return nil, err
	}
	if err := mayLogIn(info.Flags); err != nil {
		return nil, err
	}
	pin, sum, err := t.pin(info.SerialNumber)
	if err != nil {
		return nil, err
	}
	anchor, err := m.ctx.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	if err != nil {
		return nil, lost(err)
	}
	err = m.ctx.Login(anchor, p11.CKU_USER, pin)
	if err != nil && code(err) != p11.CKR_USER_ALREADY_LOGGED_IN {
		_ = m.ctx.CloseSession(anchor)
		if err = name("login", err); errors.Is(err, ErrPIN) {
			t.refused = &sum
			return nil, err
		}
		return nil, lost(err)
	}
	t.refused = nil
	return &connection{life: m.life, slot: slot, anchor: anchor}, nil
}

// mayLogIn refuses, by the token's flags (PKCS#11 v2.40 section 4.4), a login that
// could lock it: the last try belongs to a person.
func mayLogIn(flags uint) error {
	switch {
	case flags&p11.CKF_USER_PIN_LOCKED != 0:
		return fmt.Errorf("%w: the token is locked; its security officer must unlock it", ErrPIN)
	case flags&p11.CKF_USER_PIN_FINAL_TRY != 0:
		return fmt.Errorf("%w: one try is left and is not taken; log in once with the token's own tool", ErrPIN)
	}
	return nil
}

// pin reads the PIN file. A PIN that this token has refused is not offered to it
// again.
func (t *Token) pin(serial string) (pin string, sum [sha256.Size]byte, err error) {
	raw, err := os.ReadFile(t.cfg.PINFile)
	if err != nil {
		return "", sum, fmt.Errorf("%w: %w", ErrPIN, err)
	}
	defer Zeroise(raw)
	pin = strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	sum = sha256.Sum256(Bind(serial, pin))
	if t.refused != nil && sum == *t.refused {
		return "", sum, fmt.Errorf("%w: the PIN in the file was refused before and is not tried again", ErrPIN)
	}
	return pin, sum, nil
}

func findSlot(m *p11.Ctx, label string) (slot uint, info p11.TokenInfo, err error) {
	slots, err := m.GetSlotList(true)
	if err != nil {
		return 0, info, lost(err)
	}
	found := 0
	for _, s := range slots {
		if i, err := m.GetTokenInfo(s); err == nil && i.Label == label {
			slot, info = s, i
			found++
		}
	}
	switch found {
	case 0:
		return 0, info, fmt.Errorf("%w: no token labelled %q", ErrTokenGone, label)
	case 1:
		return slot, info, nil
	}
	return 0, info, fmt.Errorf("%w: %d tokens labelled %q", ErrConfig, found, label)
}

// drop retires a connection; the next call makes a new one.
func (t *Token) drop(conn *connection) {
	t.mu.Lock()
	if t.conn == conn {
		t.conn = nil
	}
	t.mu.Unlock()
	t.discard(conn)
}

// discard closes the sessions of a connection as far as that is possible.
func (t *Token) discard(conn *connection) {
	if conn == nil {
		return
	}
	conn.mu.Lock()
	if conn.dead {
		conn.mu.Unlock()
		return
	}
	conn.dead = true
	idle, transient := conn.idle, conn.transient
	conn.idle, conn.transient = nil, 0
	conn.mu.Unlock()
	t.module.addKeys(-transient)
	m := t.module
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !m.ready || m.life != conn.life {
		return
	}
	for _, s := range append(idle, conn.anchor) {
		_ = m.ctx.CloseSession(s)
	}
}

// Zeroise overwrites a secret in memory. It cannot reach copies that the
// runtime, the kernel or a module has made.
func Zeroise(b []byte) { clear(b) }
