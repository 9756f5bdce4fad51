package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/web"
)

type clientKey struct{}

// checkKey finds out whose key a text is, for a use from an address; see
// identity.CheckAPIKey.
type checkKey func(ctx context.Context, key, from string) (identity.Client, error)

// client returns who asks; authenticate has put it there.
func client(ctx context.Context) identity.Client {
	c, _ := ctx.Value(clientKey{}).(identity.Client)
	return c
}

func withClient(ctx context.Context, c identity.Client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// longestKey bounds what is looked up; a key of ours is under 90 bytes.
const longestKey = 200

// authenticate lets in API keys with a scope, each at its rate, by how check
// finds out whose they are.
func (a *API) authenticate(scope string, check checkKey) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := a.admit(r, scope, check)
			if err != nil {
				web.WriteError(w, r, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(withClient(r.Context(), c)))
		})
	}
}

func badKey() *web.Problem {
	p := web.Unauthorized("Kunci API tidak dikenal, sudah kedaluwarsa, atau sudah dicabut. Periksa kuncinya, " +
		"atau buat kunci baru di portal, menu Kunci API.").WithCode("bad-api-key")
	p.Title = "Kunci API tidak berlaku"
	return p
}

func (a *API) admit(r *http.Request, scope string, check checkKey) (identity.Client, error) {
	kind, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		p := web.Unauthorized("Sertakan kunci API pada kepala Authorization: Bearer filma_… Kunci dibuat di portal, menu Kunci API.").WithCode("no-api-key")
		p.Title = "Kunci API belum disertakan"
		return identity.Client{}, p
	}
	key = strings.TrimSpace(key)
	if len(key) > longestKey || !utf8.ValidString(key) {
		return identity.Client{}, badKey()
	}
	from := web.ClientIP(r)
	c, err := check(r.Context(), key, from)
	switch {
	case errors.Is(err, identity.ErrBadKey):
		return identity.Client{}, badKey()
	case errors.Is(err, identity.ErrElsewhere):
		return identity.Client{}, a.elsewhere(r.Context(), c, from)
	case err != nil:
		return identity.Client{}, err
	}
	if wait := a.limiters.wait(c.KeyID, a.machine.Now()); wait > 0 {
		return identity.Client{}, web.TooMany(wait)
	}
	if !c.May(scope) {
		return identity.Client{}, web.Forbidden("Kunci API ini tidak memiliki cakupan " + scope + ".").WithCode("scope")
	}
	return c, nil
}

// elsewhere answers a key that is not for the address it is used from. The key may
// be stolen, so it is put on record; once in a while only, and at a rate of its
// own, so that whoever has it can neither fill the record nor use up the rate of
// its owner.
func (a *API) elsewhere(ctx context.Context, c identity.Client, from string) error {
	now := a.machine.Now()
	if wait := a.limiters.wait(c.KeyID+" elsewhere", now); wait > 0 {
		return web.TooMany(wait)
	}
	if _, told := a.misused.get(c.KeyID, now); !told {
		err := a.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			return audit.Record(ctx, tx, audit.Entry{
				Actor: c.Institution, Action: "api_key.refuse", Subject: c.KeyID, Detail: map[string]any{"from": from},
			})
		})
		if err != nil {
			return err
		}
		zerolog.Ctx(ctx).Warn().Str("api_key", c.KeyID).Str("from", from).Msg("API key used from an address that is not on its list")
		a.misused.put(c.KeyID, struct{}{}, now)
	}
	return web.Forbidden("Kunci API ini tidak boleh dipakai dari alamat " + from +
		". Pakai dari alamat yang terdaftar pada kunci, atau buat kunci lain di portal, menu Kunci API.").WithCode("key-address")
}

// checkNow asks the database whose key it is.
func (a *API) checkNow(ctx context.Context, key, from string) (identity.Client, error) {
	return identity.CheckAPIKey(ctx, a.db, key, from, a.machine.Now())
}

// checkSoon believes what was found a moment ago. It is for drops only: their
// transaction looks at the key once more.
func (a *API) checkSoon(ctx context.Context, key, from string) (identity.Client, error) {
	sum := sha256.Sum256([]byte(key))
	if c, ok := a.keys.get(sum, a.machine.Now()); ok {
		if !c.From(from) {
			return c, identity.ErrElsewhere
		}
		return c, nil
	}
	c, err := a.checkNow(ctx, key, from)
	if err == nil {
		a.keys.put(sum, c, a.machine.Now())
	}
	return c, err
}

// limiters hold one token bucket per API key. Only keys that are known get one,
// so their number is bounded.
type limiters struct {
	limit rate.Limit
	burst int

	mu  *sync.Mutex
	all map[string]*rate.Limiter
}

func newLimiters(cfg Config) limiters {
	return limiters{limit: rate.Limit(cfg.RatePerSecond), burst: cfg.RateBurst, mu: &sync.Mutex{}, all: map[string]*rate.Limiter{}}
}

// wait takes a token; when there is none it returns how long until there is.
func (l *limiters) wait(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := l.all[key]
	if bucket == nil {
		bucket = rate.NewLimiter(l.limit, l.burst)
		l.all[key] = bucket
	}
	taken := bucket.ReserveN(now, 1)
	delay := taken.DelayFrom(now)
	if delay > 0 {
		taken.CancelAt(now)
	}
	return delay
}
