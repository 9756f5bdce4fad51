package postgres

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lib/pq"
)

const (
	dialTimeout = 5 * time.Second
	// A dead peer is given up after about 30 s: without it a query on a vanished
	// host waits for the kernel's 15 minutes.
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 5 * time.Second
	keepAliveCount    = 3
	unackedTimeout    = 30 * time.Second
	// A process that stops in the middle of a transaction must not hold its locks for ever.
	idleInTransaction = "120000" // ms
)

// Config says where PostgreSQL is.
type Config struct {
	// URL is postgres://user@host1:5432,host2:5432/db?... or a key=value string. A
	// password belongs in PasswordFile. Several hosts are tried in order, for the
	// one that takes writes.
	URL string `yaml:"url"`
	// PasswordFile is read at every dial, so that a password can be rotated.
	PasswordFile string `yaml:"password_file"`
	// MaxOpen is the most connections this process opens; 0 means 10.
	MaxOpen int `yaml:"max_open"`
	// ApplicationName shows in pg_stat_activity; empty means the program's name.
	ApplicationName string `yaml:"application_name"`
	// TxTimeout bounds one InTx including its retries; 0 means 60 s.
	TxTimeout time.Duration `yaml:"tx_timeout"`
}

// Validate reports what is missing.
func (c Config) Validate() error {
	if c.URL == "" {
		return errors.New("url is empty")
	}
	_, err := c.parse()
	return err
}

// parse reads the URL. Its error never shows the URL, which may hold a password.
func (c Config) parse() (pq.Config, error) {
	pc, err := pq.NewConfig(hostList(c.URL))
	if err != nil {
		return pq.Config{}, errors.New("url is not a PostgreSQL URL or key=value string with known options")
	}
	return pc, nil
}

// hostList puts a list of hosts with ports into the form that lib/pq reads: in
// its own place it takes a list for the name of one host.
func hostList(address string) string {
	scheme, rest, isURL := strings.Cut(address, "://")
	end := strings.IndexAny(rest, "/?#")
	if !isURL || end < 0 {
		return address
	}
	authority, rest := rest[:end], rest[end:]
	at := strings.LastIndexByte(authority, '@') + 1
	if !strings.Contains(authority[at:], ",") {
		return address
	}
	var hosts, ports []string
	for one := range strings.SplitSeq(authority[at:], ",") {
		host, port, err := net.SplitHostPort(one)
		if err != nil {
			host, port = strings.Trim(one, "[]"), "5432"
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	list := url.Values{"host": {strings.Join(hosts, ",")}, "port": {strings.Join(ports, ",")}}.Encode()
	path, query, _ := strings.Cut(rest, "?")
	if query != "" {
		query += "&"
	}
	return scheme + "://" + authority[:at] + path + "?" + query + list
}

// connector dials PostgreSQL through lib/pq and hands out connections that keep
// their prepared statements.
type connector struct {
	cfg      Config
	readOnly bool // the session default; InTx says READ WRITE
	gen      atomic.Uint64
	grace    time.Duration // see cancelGrace
}

func newConnector(cfg Config, readOnly bool) (*connector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = filepath.Base(os.Args[0])
	}
	return &connector{cfg: cfg, readOnly: readOnly, grace: cancelGrace}, nil
}

// Connect dials one connection, within dialTimeout per host.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	gen := c.gen.Load()
	pc, err := c.cfg.parse()
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if c.cfg.PasswordFile != "" {
		b, err := os.ReadFile(c.cfg.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("postgres: password_file: %w", err)
		}
		pc.Password = strings.TrimRight(string(b), "\r\n")
	}
	if pc.ApplicationName == "" {
		pc.ApplicationName = c.cfg.ApplicationName
	}
	if pc.ConnectTimeout == 0 {
		pc.ConnectTimeout = dialTimeout
	}
	if pc.Runtime == nil {
		pc.Runtime = map[string]string{}
	}
	setDefault(pc.Runtime, "timezone", "UTC")
	setDefault(pc.Runtime, "idle_in_transaction_session_timeout", idleInTransaction)
	// Shorter than a transaction, so that waiting for what somebody else holds is
	// told from work that takes too long.
	setDefault(pc.Runtime, "lock_timeout", strconv.FormatInt((cmp.Or(c.cfg.TxTimeout, defaultTxTimeout)/2).Milliseconds(), 10))
	if c.readOnly {
		// lib/pq's read-write check looks at the session default, which is read-only
		// here; "primary" asks the server itself. It is also what a host list is for.
		if pc.TargetSessionAttrs == pq.TargetSessionAttrsReadWrite || len(pc.Multi) > 0 && pc.TargetSessionAttrs == "" {
			pc.TargetSessionAttrs = pq.TargetSessionAttrsPrimary
		}
		pc.Runtime["default_transaction_read_only"] = "on"
	}
	pqc, err := pq.NewConnectorConfig(pc)
	if err != nil {
		return nil, err
	}
	dial := &netDialer{}
	pqc.Dialer(dial)
	raw, err := pqc.Connect(ctx)
	if err != nil {
		return nil, err
	}
	base, ok := raw.(pqConn)
	if !ok {
		_ = raw.Close()
		return nil, fmt.Errorf("postgres: driver connection %T lacks context methods", raw)
	}
	return &conn{pqConn: base, net: *dial.last.Load(), owner: c, gen: gen}, nil
}

// Driver is needed by database/sql.
func (c *connector) Driver() driver.Driver { return pq.Driver{} }

// retire makes every connection of generation gen or older unfit for further use.
// When that generation is already retired it does nothing, so that many failing
// transactions do not throw away each other's fresh connections.
func (c *connector) retire(gen uint64) { c.gen.CompareAndSwap(gen, gen+1) }

func setDefault(m map[string]string, k, v string) {
	if _, ok := m[k]; !ok {
		m[k] = v
	}
}

// netDialer dials with keepalives short enough to notice a vanished server, and
// remembers the socket it made last: one netDialer serves one Connect. lib/pq
// dials through it again, from goroutines of its own, to cancel statements.
type netDialer struct{ last atomic.Pointer[net.Conn] }

func (d *netDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d *netDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func (d *netDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	nd := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount,
		},
		Control: func(network, _ string, raw syscall.RawConn) error {
			if !strings.HasPrefix(network, "tcp") {
				return nil
			}
			var serr error
			err := raw.Control(func(fd uintptr) {
				serr = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unackedTimeout.Milliseconds()))
			})
			return errors.Join(err, serr)
		},
	}
	c, err := nd.DialContext(ctx, network, address)
	if err == nil {
		d.last.Store(&c)
	}
	return c, err
}

// tcpUserTimeout is TCP_USER_TIMEOUT of Linux (tcp(7)), which package syscall lacks.
const tcpUserTimeout = 0x12
