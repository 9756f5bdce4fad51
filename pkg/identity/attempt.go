package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Bounds of guessing (users.md D.3).
const (
	MaxFailures  = 5                // attempts on a name from one network or browser before it locks there
	LockFor      = 15 * time.Minute // how long it locks
	MaxEverybody = 100              // attempts on a name from all networks together in EverybodyFor
	EverybodyFor = time.Hour
)

// maxFailures and maxEverybody are the bounds as SQL has them.
var maxFailures, maxEverybody = strconv.Itoa(MaxFailures), strconv.Itoa(MaxEverybody)

// everybody is the source that stands for all networks together.
const everybody = "*"

// Login is an attempt to sign in.
type Login struct {
	Username, Password string
	From               string // the address that it comes from
	Browser            string // the token that the browser keeps, see KnowBrowser; empty for none
	// Signed is the user name of whoever is signed in and types their password again;
	// empty for a stranger.
	Signed string
}

// NetworkOf is what is counted as one place: an address, or the /64 that a single
// IPv6 subscriber has all of.
func NetworkOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, 64).Masked().String()
}

// attempt is one that was counted.
type attempt struct {
	name   []byte
	source string
	global bool // counted for everybody too
	locked bool // it was the last before the source locks
}

func nameSum(username string) []byte {
	sum := sha256.Sum256([]byte(strings.ToLower(username)))
	return sum[:]
}

// countAttempt counts an attempt before it is judged. Error: ErrLocked.
func countAttempt(ctx context.Context, db *postgres.DB, l Login, now time.Time) (a attempt, err error) {
	within := false
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		a, within = attempt{name: nameSum(l.Username), source: NetworkOf(l.From)}, false
		known := false
		sum := sha256.Sum256([]byte(l.Browser))
		if err := tx.Get(ctx, &known, `
			SELECT EXISTS (SELECT FROM known_browser b JOIN account a ON a.id = b.account_id
			               WHERE b.token_sha256 = $1 AND a.username = $2 AND b.seen_at > $3)`,
			sum[:], strings.ToLower(l.Username), now.Add(-BrowserLife).UTC()); err != nil {
			return err
		}
		switch {
		case l.Signed != "":
			a.source = "session"
		case known:
			a.source = "browser " + hex.EncodeToString(sum[:])
		default:
			a.global = true
		}
		n, err := a.count(ctx, tx, a.source, MaxFailures, LockFor, now)
		if err != nil {
			return err
		}
		a.locked, within = n == MaxFailures, n <= MaxFailures
		if !a.global || !within {
			return nil
		}
		n, err = a.count(ctx, tx, everybody, MaxEverybody, EverybodyFor, now)
		within = n <= MaxEverybody
		return err
	})
	if err == nil && !within { // counted all the same
		err = ErrLocked
	}
	return a, err
}

// count adds an attempt from a source and returns the how-manieth it is. The one
// that reaches the most begins the lock; those beyond it do not prolong it.
func (a attempt) count(ctx context.Context, tx *postgres.Tx, source string, most int, length time.Duration, now time.Time) (n int, err error) {
	err = tx.Get(ctx, &n, `
		INSERT INTO login_attempt AS l (name_sha256, source, attempts, ends_at) VALUES ($1, $2, 1, $4)
		ON CONFLICT (name_sha256, source) DO UPDATE SET
			attempts = CASE WHEN l.ends_at <= $3 THEN 1 ELSE least(l.attempts, $5) + 1 END,
			ends_at = CASE WHEN l.ends_at <= $3 OR l.attempts + 1 = $5 THEN $4 ELSE l.ends_at END
		RETURNING attempts`, a.name, source, now.UTC(), now.Add(length).UTC(), most)
	return n, err
}

// forget takes back what an attempt was counted for: it was right, or was never
// judged. A lock that others have run into meanwhile stays.
func (a attempt) forget(ctx context.Context, tx *postgres.Tx, right bool) error {
	query := `UPDATE login_attempt SET attempts = attempts - 1 WHERE name_sha256 = $1 AND source = $2 AND attempts > 0 AND attempts <= $3`
	if right {
		query = `DELETE FROM login_attempt WHERE name_sha256 = $1 AND source = $2 AND attempts <= $3`
	}
	_, err := tx.Exec(ctx, query, a.name, a.source, MaxFailures)
	if err == nil && a.global {
		_, err = tx.Exec(ctx, `UPDATE login_attempt SET attempts = attempts - 1 WHERE name_sha256 = $1 AND source = $2 AND attempts BETWEEN 1 AND $3`,
			a.name, everybody, MaxEverybody)
	}
	return err
}

// idle costs what writing an audit row costs, for a name that is nobody's.
func (a attempt) idle(ctx context.Context, tx *postgres.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE login_attempt SET ends_at = ends_at WHERE name_sha256 = $1 AND source = $2`, a.name, a.source)
	return err
}

// unlock forgets all attempts on a name: it has another password now.
func unlock(ctx context.Context, tx *postgres.Tx, username string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM login_attempt WHERE name_sha256 = $1`, nameSum(username)); err != nil {
		return fmt.Errorf("identity: unlocking: %w", err)
	}
	return nil
}

// forgetBrowsers makes all browsers of an account strangers: somebody else may have
// signed in by one of them.
func forgetBrowsers(ctx context.Context, tx *postgres.Tx, accountID string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM known_browser WHERE account_id = $1`, accountID); err != nil {
		return fmt.Errorf("identity: forgetting browsers: %w", err)
	}
	return nil
}

const (
	// BrowserLife is how long a browser is known after a login.
	BrowserLife = 180 * 24 * time.Hour
	// mostBrowsers of one account are known: those of the newest logins.
	mostBrowsers = 20
)

// BrowserCookie is the name of the cookie by which a browser is known again.
func BrowserCookie(secure bool) string {
	if secure {
		return "__Host-sifilma_browser"
	}
	return "sifilma_browser"
}

// KnowBrowser remembers that somebody signed in with a browser that has a token, or
// none, and returns the token that it is to keep; only its hash is stored.
func KnowBrowser(ctx context.Context, db *postgres.DB, a Account, token string, now time.Time) (string, error) {
	fresh, err := secret()
	if err != nil {
		return "", err
	}
	keep := token
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		sum := sha256.Sum256([]byte(token))
		n, err := tx.Exec(ctx, `UPDATE known_browser SET seen_at=$3 WHERE token_sha256=$1 AND account_id=$2`, sum[:], a.ID, now.UTC())
		if err != nil || n > 0 {
			return err
		}
		// A token that came with the request may be one that somebody put there.
		keep = fresh
		sum = sha256.Sum256([]byte(keep))
		if err := tx.ExecOne(ctx, `INSERT INTO known_browser (token_sha256, account_id, seen_at) VALUES ($1,$2,$3)`, sum[:], a.ID, now.UTC()); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			DELETE FROM known_browser WHERE account_id = $1 AND token_sha256 IN
			       (SELECT token_sha256 FROM known_browser WHERE account_id = $1 ORDER BY seen_at DESC, token_sha256 OFFSET $2)`, a.ID, mostBrowsers)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("identity: knowing a browser: %w", err)
	}
	return keep, nil
}
