// Package signin lets people in: it checks a login, keeps the session's cookie,
// and says who is asking. The API and the pages share it.
package signin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/daemons/portal/internal/gate"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/web"
)

var (
	// ErrRefused says that user name and password do not go together.
	ErrRefused = identity.ErrRefused
	// ErrExpired says that they do, but that the password was one for once and is too
	// old to be used.
	ErrExpired = identity.ErrExpired
	// ErrTooMany says that there were too many failed logins: from the same
	// place with the same user name, or on the account. Which, nobody learns.
	ErrTooMany = errors.New("signin: too many attempts")
	// ErrMustChange says that a person has a password that somebody else knows, and
	// may do nothing before it is changed (features.md N31).
	ErrMustChange = errors.New("signin: password must be changed")
)

// perPlace are the attempts a minute from one network, whatever the user name: it
// slows down guessing over many names. The attempts on each name are counted in the
// database.
const perPlace = 60

// Door checks logins and sessions.
type Door struct {
	db     *postgres.DB
	clock  clock.Machine
	secure bool
	limit  *gate.Gate
}

// New returns a door; secure says that browsers come by HTTPS.
func New(db *postgres.DB, c clock.Machine, secure bool) *Door {
	return &Door{db: db, clock: c, secure: secure, limit: gate.New(c, perPlace)}
}

// Enter checks a login and opens a session, whose cookie goes into the answer.
// A session that the browser had before ends. Errors: ErrRefused, ErrExpired, ErrTooMany.
func (d *Door) Enter(w http.ResponseWriter, r *http.Request, username, password string) (identity.Account, error) {
	ctx := r.Context()
	if len(username) > 200 || len(password) > 1000 || !utf8.ValidString(username) || strings.ContainsRune(username, 0) {
		return identity.Account{}, ErrRefused
	}
	place := web.ClientIP(r)
	if !d.limit.Allow(place) {
		return identity.Account{}, ErrTooMany
	}
	now := d.clock.Now()
	browser := d.browser(r)
	a, err := identity.Authenticate(ctx, d.db, identity.Login{Username: username, Password: password, From: place, Browser: browser}, now)
	switch {
	case errors.Is(err, identity.ErrLocked):
		return a, ErrTooMany
	case errors.Is(err, identity.ErrRefused):
		return a, ErrRefused
	case errors.Is(err, identity.ErrExpired):
		return a, ErrExpired
	case err != nil:
		return a, err
	}
	if old := d.token(r); old != "" {
		if err := identity.EndSession(ctx, d.db, old); err != nil {
			return a, err
		}
	}
	token, err := identity.StartSession(ctx, d.db, a, now)
	if err != nil { // ErrRefused too: somebody changed the account just now
		return a, err
	}
	http.SetCookie(w, d.cookie(d.name(), token, 0))
	if browser, err = identity.KnowBrowser(ctx, d.db, a, browser, now); err != nil {
		return a, err
	}
	http.SetCookie(w, d.cookie(identity.BrowserCookie(d.secure), browser, int(identity.BrowserLife/time.Second)))
	return a, d.note(ctx, a, "session.start", place)
}

// Leave ends the session of a request, if it has one.
func (d *Door) Leave(w http.ResponseWriter, r *http.Request) error {
	token := d.token(r)
	http.SetCookie(w, d.cookie(d.name(), "", -1))
	if token == "" {
		return nil
	}
	a, err := identity.SessionAccount(r.Context(), d.db, token, d.clock.Now())
	if errors.Is(err, identity.ErrNoSession) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := identity.EndSession(r.Context(), d.db, token); err != nil {
		return err
	}
	return d.note(r.Context(), a, "session.end", web.ClientIP(r))
}

// Had says whether the request carries a session's cookie, valid or not.
func (d *Door) Had(r *http.Request) bool { return d.token(r) != "" }

// Who returns whose session a request belongs to. Error: identity.ErrNoSession.
func (d *Door) Who(r *http.Request) (identity.Account, error) {
	token := d.token(r)
	if token == "" {
		return identity.Account{}, identity.ErrNoSession
	}
	return identity.SessionAccount(r.Context(), d.db, token, d.clock.Now())
}

type accountKey struct{}

// Require is middleware that lets only requests with a session through; refuse
// answers the others, those that could not be looked up, and ErrMustChange.
func (d *Door) Require(refuse func(w http.ResponseWriter, r *http.Request, err error)) func(http.Handler) http.Handler {
	return d.require(refuse, true)
}

// RequireAny is Require that lets people through who have to change their password:
// for the way there.
func (d *Door) RequireAny(refuse func(w http.ResponseWriter, r *http.Request, err error)) func(http.Handler) http.Handler {
	return d.require(refuse, false)
}

func (d *Door) require(refuse func(w http.ResponseWriter, r *http.Request, err error), settled bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, err := d.Who(r)
			if err == nil && settled && a.MustChange {
				err = ErrMustChange
			}
			if err != nil {
				refuse(w, r, err)
				return
			}
			next.ServeHTTP(w, WithAccount(r, a))
		})
	}
}

// Now is the time by which sessions, locks and keys are measured.
func (d *Door) Now() time.Time { return d.clock.Now() }

// Account returns who asks, behind Require.
func Account(r *http.Request) identity.Account {
	a, _ := r.Context().Value(accountKey{}).(identity.Account)
	return a
}

// RetryAfter is how long somebody waits after ErrTooMany.
func RetryAfter() time.Duration { return identity.LockFor }

func (d *Door) name() string {
	return identity.SessionCookie(d.secure)
}

func (d *Door) token(r *http.Request) string {
	c, err := r.Cookie(d.name())
	if err != nil {
		return ""
	}
	return c.Value
}

// browser is the token by which the browser is known again.
func (d *Door) browser(r *http.Request) string {
	c, err := r.Cookie(identity.BrowserCookie(d.secure))
	if err != nil || len(c.Value) > 100 {
		return ""
	}
	return c.Value
}

func (d *Door) cookie(name, token string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure follows the configuration: a local run has no TLS
		Name: name, Value: token, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: d.secure, SameSite: http.SameSiteLaxMode,
	}
}

func (d *Door) note(ctx context.Context, a identity.Account, action, place string) error {
	return d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return audit.Record(ctx, tx, audit.Entry{
			Actor: a.Username, Action: action, Subject: a.ID, Detail: map[string]any{"from": place},
		})
	})
}

// WithAccount returns the request as asked by a, for pages that need no session
// but greet whoever has one.
func WithAccount(r *http.Request, a identity.Account) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), accountKey{}, a))
}
