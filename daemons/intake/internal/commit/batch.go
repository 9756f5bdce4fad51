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
	"dukcapil.go.id/sifilma/pkg/idempotency"
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
	calls, locks := callsOf(all)
	free, err := idempotency.Claim(ctx, tx, calls, locks)
	if err != nil {
		return nil, err
	}
	before, err := idempotency.Answered(ctx, tx, calls)
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
		b, answered := before[i]
		switch {
		case !free[i]:
			results[i].err = idempotency.ErrRunning
		case !usable[e.sender()]:
			results[i].err = identity.ErrBadKey
		case answered:
			results[i].answer, results[i].err = b.Answer, b.Err
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

// running makes idempotency.ErrRunning of a refusal that says no more than that somebody else
// is at it.
func running(err error) error {
	var refused *need.RefusedError
	if errors.As(err, &refused) && refused.Busy() {
		return idempotency.ErrRunning
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

// callsOf are drops as they are asked, and what each claims beside its key.
func callsOf(all []Entry) (calls []idempotency.Call, locks []string) {
	for _, e := range all {
		calls, locks = append(calls, e.call()), append(locks, e.referenceLock())
	}
	return calls, locks
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

// keep writes the answers down, to be given again.
func keep(ctx context.Context, tx *postgres.Tx, all []Entry, fresh []int, results []outcome) error {
	var kept []Entry
	var answers []Answer
	for _, k := range fresh {
		kept, answers = append(kept, all[k]), append(answers, results[k].answer)
	}
	calls, _ := callsOf(kept)
	answers, err := idempotency.Keep(ctx, tx, calls, answers)
	for i, k := range fresh {
		if err == nil {
			results[k].answer = answers[i]
		}
	}
	return err
}
