package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/daemons/document-generator/internal/desk"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// errBack says that the database has not the list that this process has seen.
var errBack = errors.New("the database has gone back behind a published revocation list")

// CheckLists is the readyz check that lists can be published.
func (k *Desk) CheckLists(ctx context.Context) error { return release.Recovered(ctx, k.db) }

// before is the list in force, and the number above which the next one is. Errors:
// release.ErrUnrecovered, errBack.
func (k *Desk) before(ctx context.Context) (last release.PublishedList, above int64, err error) {
	if err := release.Recovered(ctx, k.db); err != nil {
		return last, 0, err
	}
	if last, err = release.Latest(ctx, k.db); err != nil && !errors.Is(err, release.ErrNotFound) {
		return last, 0, err
	}
	floor, err := release.Floor(ctx, k.db)
	if err != nil {
		return last, 0, err
	}
	above = max(last.Number, floor)
	if above < k.listed {
		return last, 0, fmt.Errorf("seal: %w: number %d, it has %d; sifilma restored was not run, or not given that list", errBack, k.listed, above)
	}
	k.listed = above
	return last, above, nil
}

// list publishes a revocation list when it says something new or the last one is half
// over, and returns the one in force. After a restore it publishes nothing until the last
// list was given, and then at once.
func (k *Desk) list(ctx context.Context, s *sealed.Signer) (release.PublishedList, error) {
	last, above, err := k.before(ctx)
	if err != nil {
		return last, err
	}
	rows, err := activation.RevocationList(ctx, k.db)
	if err != nil {
		return last, err
	}
	carried, err := release.CarriedRevocations(ctx, k.db)
	if err != nil {
		return last, err
	}
	revoked, err := release.RevokedKeys(ctx, k.db)
	if err != nil {
		return last, err
	}
	var own []manifest.Entry
	for _, r := range rows {
		own = append(own, release.EntryOf(r))
	}
	l := manifest.List{IssuedAt: k.office.Now().Truncate(time.Second), Keys: revoked}
	l.NextUpdate = l.IssuedAt.Add(k.cfg.ListValidity)
	var repeated []string
	l.Entries, repeated = release.With(own, carried)
	says, err := l.Says()
	if err != nil {
		return last, err
	}
	half := last.IssuedAt.Add(last.NextUpdate.Sub(last.IssuedAt) / 2)
	if last.Number > 0 && last.Number == above && len(repeated) == 0 && bytes.Equal(release.Sum(says), last.Sum) && l.IssuedAt.Before(half) && last.KeyID == s.KeyID() {
		return last, nil
	}
	l.Number = release.NextNumber(above, l.IssuedAt)
	token, err := l.Sign(ctx, s)
	if err != nil {
		return last, err
	}
	next := release.PublishedList{
		Number: l.Number, KeyID: s.KeyID(), Token: string(token), Sum: release.Sum(says), IssuedAt: l.IssuedAt, NextUpdate: l.NextUpdate,
	}
	err = k.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := release.Publish(ctx, tx, next, last.Number); err != nil {
			return err
		}
		if err := release.Settle(ctx, tx, repeated, l.IssuedAt); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: desk.Self.Name, Action: "revocations.published", Subject: fmt.Sprint(l.Number), Detail: map[string]any{
			"entries": len(l.Entries), "key": s.KeyID(), "carried": len(carried) - len(repeated), "revoked_keys": len(revoked),
		}})
	})
	if err == nil {
		k.listed = next.Number
	}
	return next, err
}

// renumber gives other serials to lines that an earlier timeline numbered and that are not
// signed here: whoever restored may have forgotten to say so.
func (k *Desk) renumber(ctx context.Context) (some bool, err error) {
	err = k.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		lines, err := activation.Renumber(ctx, tx, false)
		if err != nil {
			return err
		}
		entries := make([]audit.Entry, len(lines))
		for i, l := range lines {
			entries[i] = audit.Entry{Actor: desk.Self.Name, Action: "manifest.renumbered", Subject: l.ID, Detail: map[string]any{"was": l.Was, "now": l.Now}}
		}
		some = len(lines) > 0
		return audit.Record(ctx, tx, entries...)
	})
	return some, err
}
