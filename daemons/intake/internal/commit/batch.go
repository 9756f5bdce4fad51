package commit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// outcome is what became of one drop.
type outcome struct {
	answer Answer
	err    error
}

// together writes drops of different keys and references in one transaction,
// with as many statements as for one drop. An error is that of the transaction:
// nothing was written, and it may be that of one drop among many.
func (w *Writer) together(ctx context.Context, all []Entry) (results []outcome, err error) {
	defer func() { // a drop that makes this panic must not take the others with it
		if v := recover(); v != nil {
			results, err = nil, fmt.Errorf("intake: panic: %v", v)
		}
	}()
	err = w.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		results = make([]outcome, len(all))
		fresh, err := w.sieve(ctx, tx, all, results)
		if err != nil || len(fresh) == 0 {
			return err
		}
		news := make([]request.New, len(fresh))
		stored, err := storeAll(ctx, tx, all, fresh)
		if err != nil {
			return err
		}
		for i, k := range fresh {
			e := all[k]
			news[i] = request.New{
				InstitutionID: e.Client.InstitutionID, Form: e.Drop.Form, Files: stored[i], Actor: e.Actor,
				OfficeAt: w.office.Now(), TraceParent: e.TraceParent,
			}
		}
		made, err := request.CreateAll(ctx, tx, news)
		if err != nil {
			return err
		}
		receipts := make([]audit.Entry, len(fresh))
		for i, k := range fresh {
			receipts[i] = receipt(all[k], made[i])
			if results[k].answer, err = w.accept(made[i]); err != nil {
				return err
			}
		}
		if err := audit.Record(ctx, tx, receipts...); err != nil {
			return err
		}
		return keep(ctx, tx, all, fresh, results)
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// sieve answers the drops that need no writing and returns the places of the
// others.
func (w *Writer) sieve(ctx context.Context, tx *postgres.Tx, all []Entry, results []outcome) (fresh []int, err error) {
	free, err := w.claim(ctx, tx, all)
	if err != nil {
		return nil, err
	}
	before, err := w.answered(ctx, tx, all)
	if err != nil {
		return nil, err
	}
	usable, err := w.usable(ctx, tx, all)
	if err != nil {
		return nil, err
	}
	used, err := w.used(ctx, tx, all)
	if err != nil {
		return nil, err
	}
	for i, e := range all {
		b, answered := before[keyOf(e)]
		switch {
		case !free[i]:
			results[i].err = errRunning
		case !usable[e.sender()]:
			results[i].err = identity.ErrBadKey
		case answered:
			results[i].answer, results[i].err = b.again(e.Print)
		case used[referenceOf(e)]:
			results[i].err = request.ErrReferenceUsed
		default:
			fresh = append(fresh, i)
		}
	}
	return w.needed(ctx, tx, all, fresh, results)
}

// needed answers the drops whose lines name needs that they cannot have and
// returns the places of the others. Of two drops with one need the first has it.
func (w *Writer) needed(ctx context.Context, tx *postgres.Tx, all []Entry, fresh []int, results []outcome) (still []int, err error) {
	claims := make([]need.Claims, len(fresh))
	for i, k := range fresh {
		claims[i] = all[k].Drop.Form.Claims(all[k].Client.InstitutionID)
	}
	refused, err := need.Judge(ctx, tx, claims)
	if err != nil {
		return nil, err
	}
	for i, k := range fresh {
		if refused[i] == nil {
			still = append(still, k)
			continue
		}
		results[k].err = running(refused[i])
	}
	return still, nil
}

// running makes errRunning of a refusal that says no more than that somebody else
// is at it.
func running(err error) error {
	var refused *need.RefusedError
	if errors.As(err, &refused) && refused.Busy() {
		return errRunning
	}
	return err
}

// pair names something within one institution: an Idempotency-Key, so that the
// API key may change between a try and its repetition, or a No. Pengajuan.
type pair struct{ institution, name string }

func keyOf(e Entry) pair       { return pair{e.Client.InstitutionID, e.Key} }
func referenceOf(e Entry) pair { return pair{e.Client.InstitutionID, e.Drop.Form.Reference} }

func columns(all []Entry, of func(Entry) pair) (institutions, names any) {
	var a, b []string
	for _, e := range all {
		p := of(e)
		a, b = append(a, p.institution), append(b, p.name)
	}
	return pq.Array(a), pq.Array(b)
}

// errRunning says that another transaction, of this process or another, is
// writing a drop under the same key or the same No. Pengajuan.
var errRunning = errors.New("intake: still running")

// claim takes the keys and references of drops for this transaction and says
// which drops have got theirs. It waits for nobody: another intake that is frozen
// inside its transaction holds up the drops under its own keys and no others, and
// with its connection its claims are gone.
func (w *Writer) claim(ctx context.Context, tx *postgres.Tx, all []Entry) (free []bool, err error) {
	clients, keys := columns(all, keyOf)
	_, references := columns(all, referenceOf)
	if err := tx.Select(ctx, &free, `
		SELECT pg_try_advisory_xact_lock(hashtextextended('idempotency:' || client || ':' || key, 0))
		   AND pg_try_advisory_xact_lock(hashtextextended('reference:' || client || ':' || reference, 0))
		FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS d (client, key, reference, place) ORDER BY place`,
		clients, keys, references); err != nil {
		return nil, fmt.Errorf("intake: claiming keys: %w", err)
	}
	return free, nil
}

// answered returns what was answered under the keys before.
func (w *Writer) answered(ctx context.Context, rd postgres.Reader, all []Entry) (map[pair]given, error) {
	clients, keys := columns(all, keyOf)
	var rows []struct {
		given
		Client string `db:"client"`
		Key    string `db:"key"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT i.client, i.key, i.status, i.location, i.body, i.fingerprint
		FROM unnest($1::text[], $2::text[]) AS k (client, key) JOIN idempotency i ON i.client = k.client AND i.key = k.key`,
		clients, keys); err != nil {
		return nil, fmt.Errorf("intake: reading idempotency: %w", err)
	}
	before := make(map[pair]given, len(rows))
	for _, r := range rows {
		before[pair{r.Client, r.Key}] = r.given
	}
	return before, nil
}

// usable looks at the API keys and accounts once more: they were checked a while
// ago, and one that is revoked or closed writes nothing from that moment on.
func (w *Writer) usable(ctx context.Context, tx *postgres.Tx, all []Entry) (map[string]bool, error) {
	var keys, people []string
	for _, e := range all {
		if e.AccountID != "" {
			people = append(people, e.AccountID)
		} else {
			keys = append(keys, e.Client.KeyID)
		}
	}
	usable := map[string]bool{}
	if len(keys) > 0 {
		found, err := identity.UsableKeys(ctx, tx, keys, identity.ScopeRequestWrite, w.machine.Now())
		if err != nil {
			return nil, err
		}
		maps.Copy(usable, found)
	}
	if len(people) > 0 {
		found, err := identity.ActiveAccounts(ctx, tx, people)
		if err != nil {
			return nil, err
		}
		maps.Copy(usable, found)
	}
	return usable, nil
}

// used returns which No. Pengajuan the institutions have used before.
func (w *Writer) used(ctx context.Context, tx *postgres.Tx, all []Entry) (map[pair]bool, error) {
	institutions, references := columns(all, referenceOf)
	var rows []struct {
		Institution string `db:"institution_id"`
		Reference   string `db:"reference"`
	}
	if err := tx.Select(ctx, &rows, `
		SELECT r.institution_id, r.reference
		FROM unnest($1::uuid[], $2::text[]) AS n (institution, reference)
		JOIN request r ON r.institution_id = n.institution AND r.reference = n.reference`,
		institutions, references); err != nil {
		return nil, fmt.Errorf("intake: reading references: %w", err)
	}
	used := make(map[pair]bool, len(rows))
	for _, r := range rows {
		used[pair{r.Institution, r.Reference}] = true
	}
	return used, nil
}

// storeAll puts the files of small drops away, and returns them drop by drop.
func storeAll(ctx context.Context, tx *postgres.Tx, all []Entry, fresh []int) ([][]request.File, error) {
	var contents []blob.Content
	for _, k := range fresh {
		for _, f := range all[k].Drop.Files {
			data := make([]byte, f.Size)
			if _, err := io.ReadFull(f.Content(), data); err != nil {
				return nil, fmt.Errorf("intake: storing %s: %w", f.Kind, err)
			}
			contents = append(contents, blob.Content{Name: f.Name, MediaType: f.MediaType, Data: data})
		}
	}
	refs, err := blob.PutAll(ctx, tx, contents)
	if err != nil {
		return nil, err
	}
	stored := make([][]request.File, len(fresh))
	for i, k := range fresh {
		for _, f := range all[k].Drop.Files {
			if refs[0].SHA256 != f.SHA256 {
				return nil, fmt.Errorf("intake: %s changed in the spool", f.Kind)
			}
			stored[i] = append(stored[i], request.File{Kind: f.Kind, BlobID: refs[0].ID.String(), Name: f.Name})
			refs = refs[1:]
		}
	}
	return stored, nil
}

// keep writes the answers down, to be given again. Their bodies are read back,
// so that the first answer and its repetitions are the same to the byte.
func keep(ctx context.Context, tx *postgres.Tx, all []Entry, fresh []int, results []outcome) error {
	var kept []Entry
	var statuses []int64
	var prints [][]byte
	var locations, bodies []string
	at := make(map[pair]int, len(fresh))
	for _, k := range fresh {
		a := results[k].answer
		at[keyOf(all[k])] = k
		kept, prints = append(kept, all[k]), append(prints, all[k].Print)
		statuses, locations, bodies = append(statuses, int64(a.Status)), append(locations, a.Location), append(bodies, string(a.Body))
	}
	clients, keys := columns(kept, keyOf)
	var rows []struct {
		Client string `db:"client"`
		Key    string `db:"key"`
		Body   []byte `db:"body"`
	}
	if err := tx.Select(ctx, &rows, `
		INSERT INTO idempotency (client, key, fingerprint, status, location, body)
		SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::int[], $5::text[], $6::jsonb[])
		RETURNING client, key, body`,
		clients, keys, pq.Array(prints), pq.Array(statuses), pq.Array(locations), pq.Array(bodies)); err != nil {
		return fmt.Errorf("intake: writing idempotency: %w", err)
	}
	for _, r := range rows {
		results[at[pair{r.Client, r.Key}]].answer.Body = r.Body
	}
	return nil
}
