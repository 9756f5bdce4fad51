// Package manifests lets signed manifests out of the office: Kasubdit KI releases them, a
// named person of the produsen takes the bundle, and both leave an audit row.
package manifests

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

var (
	// ErrNotTaken says that a produsen must name who takes a bundle before it is given out.
	ErrNotTaken = errors.New("manifests: nobody has taken the bundle")
	// ErrKeyRevoked says that a bundle was signed with a key that was revoked since.
	ErrKeyRevoked = errors.New("manifests: the key of the bundle was revoked")
	// ErrEvidenceRevoked says so of a bundle of evidence.
	ErrEvidenceRevoked = errors.New("manifests: the key of the evidence was revoked")
)

// Desk works with releases.
type Desk struct {
	DB     *postgres.DB
	Office clock.Office
}

// View is a release as its produsen and the office see it.
type View struct {
	Number       string        `json:"number"`
	Produsen     string        `json:"produsen"`
	Manifests    int           `json:"manifests"`
	State        machine.State `json:"state"`
	StateLabel   string        `json:"state_label"`
	ReleasedAt   time.Time     `json:"released_at"`
	Bundle       bool          `json:"bundle"`      // whether whoever asks may fetch it now
	KeyRevoked   bool          `json:"key_revoked"` // of the bundle or of what is in it: it does not leave, and nobody may install it
	Receiver     string        `json:"receiver,omitempty"`
	ReceiverPost string        `json:"receiver_post,omitempty"`
	DeliveredOn  *clock.Date   `json:"delivered_on,omitempty"`
}

func view(r release.Release, who identity.Account) View {
	v := View{
		Number: r.Number, Produsen: r.Produsen, Manifests: r.Lines, State: r.State, StateLabel: release.Machine.Label(r.State), ReleasedAt: r.ReleasedAt,
		Bundle: mayFetch(r, who) == nil, KeyRevoked: r.KeyRevoked, DeliveredOn: r.DeliveredOn,
	}
	if r.Receiver != nil {
		v.Receiver, v.ReceiverPost = *r.Receiver, *r.ReceiverPost
	}
	return v
}

// mayFetch says whether somebody may have the bundle: the office once it is made, the
// produsen once somebody has taken it.
func mayFetch(r release.Release, who identity.Account) error {
	switch {
	case r.Bundle == nil || r.State == release.Voided && report.Outside(who):
		return release.ErrNotFound
	case report.Outside(who) && r.State != release.Delivered:
		return ErrNotTaken
	case r.KeyRevoked:
		return ErrKeyRevoked
	}
	return nil
}

// listMost bounds a list of releases; older ones have their own addresses.
const listMost = 200

// Overview is what was released, and for the office what could be.
type Overview struct {
	Waiting  []release.Waiting `json:"waiting"`
	Releases []View            `json:"releases"`
	// ListWaits says that no revocation list is published since a restore; Carried are the
	// revocations that the restored database lacks. Both are the office's to know.
	ListWaits bool              `json:"list_waits"`
	Carried   []release.Carried `json:"carried"`
	// Keys are those that sign manifests; the office's, and asked for by itself: see Keys.
	Keys activation.SigningKeys `json:"-"`
	// Revoked are the keys that produsen and lembaga are told to trust no more; everybody has
	// them in the key file and the list.
	Revoked []manifest.KeyEntry `json:"-"`
}

// Overview shows releases, of a produsen its own.
func (d Desk) Overview(ctx context.Context, who identity.Account) (o Overview, err error) {
	o = Overview{Waiting: []release.Waiting{}, Releases: []View{}, Carried: []release.Carried{}}
	all, err := release.List(ctx, d.DB, report.Scope(who), listMost)
	if err != nil {
		return o, err
	}
	for _, r := range all {
		o.Releases = append(o.Releases, view(r, who))
	}
	if report.Outside(who) {
		o.Revoked, err = release.RevokedKeys(ctx, d.DB)
		return o, err
	}
	if o.Waiting, err = release.WaitingFor(ctx, d.DB); err != nil {
		return o, err
	}
	if o.Keys, err = activation.Keys(ctx, d.DB, clock.Today(d.Office)); err != nil {
		return o, err
	}
	o.ListWaits, o.Carried, err = d.afterRestore(ctx)
	return o, err
}

// Find returns a release as somebody may know of it. Error: release.ErrNotFound.
func (d Desk) Find(ctx context.Context, who identity.Account, number string) (View, error) {
	r, err := d.find(ctx, who, number)
	return view(r, who), err
}

func (d Desk) find(ctx context.Context, who identity.Account, number string) (release.Release, error) {
	number, ok := release.ParseNumber(number)
	if !ok {
		return release.Release{}, release.ErrNotFound
	}
	return release.Get(ctx, d.DB, number, report.Scope(who))
}

// MayRelease says whether a role releases manifests.
func MayRelease(role machine.Role) bool {
	return release.Machine.May("", release.VerbRelease, role) == nil
}

// MayTake says whether a release waits for somebody of this role to name who takes it.
func MayTake(v View, role machine.Role) bool {
	return release.Machine.May(v.State, release.VerbDeliver, role) == nil && !v.KeyRevoked
}

// Release releases all manifests that are ready for a produsen, of which there are seen.
// Errors: form.Faults, those of release.Make.
func (d Desk) Release(ctx context.Context, who identity.Account, produsenID string, seen int) (v View, err error) {
	if err := release.Machine.May("", release.VerbRelease, who.Role); err != nil {
		return v, err
	}
	id, err := uuid.Parse(produsenID)
	if err != nil {
		return v, activation.ErrNoLines
	}
	produsenID = id.String() // one spelling
	err = d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		r, err := release.Make(ctx, tx, produsenID, seen, request.Change{Actor: who.Actor(), OfficeAt: d.Office.Now()})
		if err != nil {
			return err
		}
		v = view(r, who)
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "manifests.released", Subject: r.ID, Detail: map[string]any{
			"number": r.Number, "produsen": r.Produsen, "manifests": r.Lines,
		}})
	})
	return v, err
}

// nameMost bounds the name and the post of a receiver in characters.
const nameMost = 200

// Take records who of the produsen takes a bundle. Errors: form.Faults, those of
// release.Receive.
func (d Desk) Take(ctx context.Context, who identity.Account, number, receiver, post string) (v View, err error) {
	r, err := d.find(ctx, who, number)
	if err == nil {
		err = release.Machine.May(r.State, release.VerbDeliver, who.Role)
	}
	if err != nil {
		return v, err
	}
	receiver, post = strings.Join(strings.Fields(receiver), " "), strings.Join(strings.Fields(post), " ")
	var wrong form.Faults
	wrong.Need("/receiver", "Nama penerima", &receiver, nameMost)
	wrong.Need("/receiver_post", "Jabatan penerima", &post, nameMost)
	if err := wrong.Err(); err != nil {
		return v, err
	}
	err = d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		r, err := release.Receive(ctx, tx, r.Number, report.Scope(who), receiver, post, request.Change{Actor: who.Actor(), OfficeAt: d.Office.Now()})
		if err != nil {
			return err
		}
		v = view(r, who)
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "manifests.taken", Subject: r.ID, Detail: map[string]any{
			"number": r.Number, "receiver": receiver, "post": post, "manifests": r.Lines,
		}})
	})
	return v, err
}

// Fetch is the file of a bundle that somebody fetches, which is noted. Errors:
// release.ErrNotFound, ErrNotTaken, ErrKeyRevoked.
func (d Desk) Fetch(ctx context.Context, who identity.Account, number string) (blobID, name string, err error) {
	r, err := d.find(ctx, who, number)
	if err == nil {
		err = mayFetch(r, who)
	}
	if err != nil {
		return "", "", err
	}
	return *r.Bundle, r.Number + ".zip", d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "manifests.fetched", Subject: r.ID, Detail: map[string]any{"number": r.Number}})
	})
}

// Ready is how many manifests wait for a produsen. Error: activation.ErrNoLines.
func (d Desk) Ready(ctx context.Context, produsenID string) (release.Waiting, error) {
	all, err := release.WaitingFor(ctx, d.DB)
	if err != nil {
		return release.Waiting{}, err
	}
	for _, w := range all {
		if w.ProdusenID == produsenID {
			return w, nil
		}
	}
	return release.Waiting{}, activation.ErrNoLines
}
