package masterdata

import (
	"context"

	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Profile reads the profile of whoever asks.
func (d *Desk) Profile(ctx context.Context, who identity.Account) (identity.Profile, error) {
	return identity.GetProfile(ctx, d.db, who.ID)
}

// ProfileChange is what somebody changes of their own profile.
type ProfileChange struct {
	// To is the whole profile but for the photo, as of its version.
	To identity.Profile
	// Photo is a new one; without it the photo stays, or goes.
	Photo  *upload.File
	Remove bool
}

// ChangeProfile changes the profile of whoever asks. The record names what was
// changed, and tells a name, which stands in the timeline; how somebody is reached
// it does not keep for ever. Errors: form.Faults, postgres.ErrStale.
func (d *Desk) ChangeProfile(ctx context.Context, who identity.Account, c ProfileChange) (after identity.Profile, err error) {
	p := c.To
	p.ID = who.ID
	if err := p.Check().Err(); err != nil { // before a photo is stored
		return p, err
	}
	err = d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		now, err := identity.GetProfile(ctx, tx, who.ID)
		if err != nil {
			return err
		}
		detail := map[string]any{}
		p.Photo = now.Photo
		switch {
		case c.Photo != nil:
			ref, err := blob.Put(ctx, tx, c.Photo.Name, c.Photo.MediaType, c.Photo.Content())
			if err != nil {
				return err
			}
			p.Photo, detail["sha256"] = new(ref.ID.String()), ref.Hash()
		case c.Remove:
			p.Photo = nil
		}
		var before identity.Profile
		if before, after, err = identity.ChangeProfile(ctx, tx, p); err != nil {
			return err
		}
		changed := before.Differences(after)
		if len(changed) == 0 {
			return nil
		}
		if detail["changed"] = changed; before.Name != after.Name {
			detail["from"], detail["to"] = before.Name, after.Name
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "account.profile", Subject: who.ID, Detail: detail})
	})
	return after, err
}

// Photo is the file of an account's photo: for its own person and for those who
// look after accounts. Errors: ErrForbidden; identity.ErrNotFound, also when there is
// none.
func (d *Desk) Photo(ctx context.Context, who identity.Account, id string) (string, error) {
	if id != who.ID && !May(who.Role) {
		return "", ErrForbidden
	}
	p, err := identity.GetProfile(ctx, d.db, id)
	if err == nil && p.Photo == nil {
		err = identity.ErrNotFound
	}
	if err != nil {
		return "", err
	}
	return *p.Photo, nil
}
