// Package idempotency answers a call that comes again as it was answered the first
// time (draft-ietf-httpapi-idempotency-key-header): the client names each thing
// that it wants done by a key, and the answer is kept in the transaction that does
// it. A call whose key is in another's hands at this moment is told by an advisory
// lock, which goes with its connection, so that nobody who died leaves a key that
// is in use for ever. It writes the table idempotency.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/web"
)

// ErrRunning says that another transaction is at what is asked for.
var ErrRunning = errors.New("idempotency: still running")

const longestKey = 255

// Key reads the header, plain or as the quoted string of the Internet-Draft. The
// error is a *web.Problem.
func Key(r *http.Request) (string, error) {
	all := r.Header.Values("Idempotency-Key")
	if len(all) != 1 {
		return "", web.BadRequest("Kepala Idempotency-Key wajib ada, satu kali. Pakai nilai baru untuk tiap permohonan, misalnya UUID, " +
			"dan nilai yang sama saat mengulang kiriman yang sama.").WithCode("idempotency-key-missing")
	}
	key := strings.TrimSpace(all[0])
	if len(key) >= 2 && strings.HasPrefix(key, `"`) && strings.HasSuffix(key, `"`) {
		key = key[1 : len(key)-1]
	}
	bad := strings.ContainsFunc(key, func(r rune) bool { return r < 0x21 || r > 0x7e })
	if key == "" || len(key) > longestKey || bad {
		return "", web.BadRequest("Idempotency-Key harus 1 sampai 255 karakter ASCII tanpa spasi.").WithCode("idempotency-key-malformed")
	}
	return key, nil
}

// File is a file of a call.
type File struct {
	Kind   string
	SHA256 [sha256.Size]byte
}

// Print is the hash of what a call says: what is asked, the form as it is kept, and
// the files' hashes in their order. How the body is put together and what the files
// are called does not count.
func Print(target string, form any, files ...File) ([]byte, error) {
	text, err := json.Marshal(form)
	if err != nil {
		return nil, fmt.Errorf("idempotency: print: %w", err)
	}
	sum := sha256.New()
	put := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		_, _ = sum.Write(n[:]) // a hash never fails
		_, _ = sum.Write(b)
	}
	put([]byte(target))
	put(text)
	for _, f := range files {
		put([]byte(f.Kind))
		put(f.SHA256[:])
	}
	return sum.Sum(nil), nil
}

// Call is what is asked under a key. Keys are the client's own: another client has
// others of the same name.
type Call struct {
	Client, Key string
	Print       []byte
}

// Answer is what a client is told, and told again under the same key.
type Answer struct {
	Status   int             `db:"status"`
	Location string          `db:"location"`
	Body     json.RawMessage `db:"body"`
	Replayed bool            `db:"-"`
}

// columns are the clients and keys of calls.
func columns(calls []Call) (clients, keys []string) {
	for _, c := range calls {
		clients, keys = append(clients, c.Client), append(keys, c.Key)
	}
	return clients, keys
}

// Claim takes the keys of calls for this transaction, and of each a name beside it
// where also has one that is not empty, and says which calls have got theirs. It
// waits for nobody: whoever is frozen inside a transaction holds up the calls under
// its own keys and no others.
func Claim(ctx context.Context, tx *postgres.Tx, calls []Call, also []string) (free []bool, err error) {
	clients, keys := columns(calls)
	if also == nil {
		also = make([]string, len(calls))
	}
	if err := tx.Select(ctx, &free, `
		SELECT pg_try_advisory_xact_lock(hashtextextended('idempotency:' || client || ':' || key, 0))
		   AND (also = '' OR pg_try_advisory_xact_lock(hashtextextended(also, 0)))
		FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS c (client, key, also, place) ORDER BY place`,
		pq.Array(clients), pq.Array(keys), pq.Array(also)); err != nil {
		return nil, fmt.Errorf("idempotency: claiming keys: %w", err)
	}
	return free, nil
}

// Answered returns, by their places, the calls that were answered before.
func Answered(ctx context.Context, rd postgres.Reader, calls []Call) (map[int]Before, error) {
	clients, keys := columns(calls)
	var rows []struct {
		Answer
		Print []byte `db:"fingerprint"`
		Place int    `db:"place"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT i.status, i.location, i.body, i.fingerprint, c.place
		FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS c (client, key, place)
		JOIN idempotency i ON i.client = c.client AND i.key = c.key`, pq.Array(clients), pq.Array(keys)); err != nil {
		return nil, fmt.Errorf("idempotency: reading: %w", err)
	}
	before := make(map[int]Before, len(rows))
	for _, r := range rows {
		var b Before
		b.Answer, b.Err = Again(r.Answer, r.Print, calls[r.Place-1].Print)
		before[r.Place-1] = b
	}
	return before, nil
}

// Again is the answer to a call whose key was answered before, when it said first.
func Again(a Answer, first, now []byte) (Answer, error) {
	if !bytes.Equal(first, now) {
		return Answer{}, web.Unprocessable("Idempotency-Key ini sudah dipakai untuk kiriman lain. Pakai nilai baru untuk isi yang berbeda.").
			WithCode("idempotency-key-reused")
	}
	a.Replayed = true
	return a, nil
}

// Before is how a call was answered before; Err is the *web.Problem that its key was
// used for something else.
type Before struct {
	Answer Answer
	Err    error
}

// Keep writes answers down, to be given again, and returns them as they are then
// read: the first and its repetitions are the same to the byte.
func Keep(ctx context.Context, tx *postgres.Tx, calls []Call, answers []Answer) ([]Answer, error) {
	clients, keys := columns(calls)
	var statuses []int64
	var prints [][]byte
	var locations, bodies []string
	for i, a := range answers {
		prints, statuses = append(prints, calls[i].Print), append(statuses, int64(a.Status))
		locations, bodies = append(locations, a.Location), append(bodies, string(a.Body))
	}
	var rows []struct {
		Client string `db:"client"`
		Key    string `db:"key"`
		Body   []byte `db:"body"`
	}
	if err := tx.Select(ctx, &rows, `
		INSERT INTO idempotency (client, key, fingerprint, status, location, body)
		SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::int[], $5::text[], $6::jsonb[])
		RETURNING client, key, body`,
		pq.Array(clients), pq.Array(keys), pq.Array(prints), pq.Array(statuses), pq.Array(locations), pq.Array(bodies)); err != nil {
		return nil, fmt.Errorf("idempotency: writing: %w", err)
	}
	kept := map[[2]string][]byte{}
	for _, r := range rows {
		kept[[2]string{r.Client, r.Key}] = r.Body
	}
	done := make([]Answer, len(answers))
	for i, a := range answers {
		a.Body = kept[[2]string{calls[i].Client, calls[i].Key}]
		done[i] = a
	}
	return done, nil
}

// Once does what a call asks, in the caller's transaction, unless it was done
// before. also is a name that is claimed beside the key, or empty. Errors:
// ErrRunning, a *web.Problem for a key that was used for something else, and those
// of do.
func Once(ctx context.Context, tx *postgres.Tx, c Call, also string, do func() (Answer, error)) (Answer, error) {
	calls := []Call{c}
	free, err := Claim(ctx, tx, calls, []string{also})
	if err != nil {
		return Answer{}, err
	}
	if !free[0] {
		return Answer{}, ErrRunning
	}
	before, err := Answered(ctx, tx, calls)
	if err != nil {
		return Answer{}, err
	}
	if b, ok := before[0]; ok {
		return b.Answer, b.Err
	}
	a, err := do()
	if err != nil {
		return Answer{}, err
	}
	done, err := Keep(ctx, tx, calls, []Answer{a})
	if err != nil {
		return Answer{}, err
	}
	return done[0], nil
}

// A call that comes twice at once waits for its first time so long, looking so often, to
// be answered as that was; then its client is asked to come again.
const (
	patience = 5 * time.Second
	again    = 50 * time.Millisecond
	retry    = time.Second
)

// InTx is Once in a transaction of its own, that waits a while for another one that is at
// the same call. Errors: StillRunning, and those of Once.
func InTx(ctx context.Context, db *postgres.DB, machine clock.Machine, c Call, do func(context.Context, *postgres.Tx) (Answer, error)) (done Answer, err error) {
	for give := machine.Now().Add(patience); ; {
		err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			done, err = Once(ctx, tx, c, "", func() (Answer, error) { return do(ctx, tx) })
			return err
		})
		if !errors.Is(err, ErrRunning) {
			return done, err
		}
		if !machine.Now().Before(give) {
			return Answer{}, StillRunning(retry)
		}
		if err := clock.Sleep(ctx, machine, again); err != nil {
			return Answer{}, err
		}
	}
}

// StillRunning is the answer to a call that another transaction is at, and has been
// for longer than the client is to wait (section 2.6 of the draft). also is what
// people call the number that is claimed beside the key, if any.
func StillRunning(retry time.Duration, also ...string) error {
	names := strings.Join(append([]string{"Idempotency-Key"}, also...), " atau ")
	p := web.Conflict("Kiriman dengan " + names + " yang sama masih diproses. " +
		"Kirim ulang dengan Idempotency-Key yang sama beberapa saat lagi.").WithCode("idempotency-key-in-use")
	p.RetryAfter = retry
	return p
}

// pruneChunk bounds the rows of one DELETE, so that no transaction is long.
const pruneChunk = 5000

// Prune forgets the answers that were given before a moment of the machine's clock
// (users.md E3), and returns how many.
func Prune(ctx context.Context, db *postgres.DB, before time.Time) (gone int64, err error) {
	for {
		var n int64
		err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			n, err = tx.Exec(ctx, `
				DELETE FROM idempotency WHERE (client, key) IN (
					SELECT client, key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2)`, before.UTC(), pruneChunk)
			return err
		})
		if err != nil {
			return gone, fmt.Errorf("idempotency: forgetting: %w", err)
		}
		if gone += n; n < pruneChunk {
			return gone, nil
		}
	}
}
