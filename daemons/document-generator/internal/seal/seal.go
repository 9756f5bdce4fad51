// Package seal signs: manifests of accepted activations, the revocation list, the
// bundles that are handed to a produsen (features.md J09, J11), and evidence of requests.
//
// It stands in the document generator, which makes all papers of the office. That process
// takes in no file from outside (what LibreOffice opens is made from templates that the
// office approves), answers nobody but its own machine, and has a token of its own that
// holds the signing key only.
//
// What is owed follows from the data; a message only says to look at once. No transaction
// is open while the token works: what was signed is attached by compare-and-set. If the
// process dies between, what was signed is lost with it and is signed again under the same
// number, which was given at the acceptance; nothing has left the house.
package seal

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/document-generator/internal/desk"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// BellName is the in-process bell that tells of something to sign.
const BellName = desk.SealBellName

// Desk signs what is owed.
type Desk struct {
	cfg    Config
	db     *postgres.DB
	token  *pkcs11.Token
	driver manifest.Driver
	office clock.Office
	clock  clock.Machine
	log    zerolog.Logger
	status *daemon.Status
	ended  clock.Date // the day before which all days have their signed heads
	listed int64      // the highest number of a list that this process has seen

	mu      sync.Mutex
	waiting string // why nothing is signed, empty when it is
	pairs   map[string]*pkcs11.SigningKey

	sign func(k *pkcs11.SigningKey, ctx context.Context, digest []byte) ([]byte, error)
}

// New makes a desk; the token is looked for when it is first used.
func New(cfg Config, db *postgres.DB, env *daemon.Env) (*Desk, error) {
	token, err := pkcs11.Open(cfg.Token)
	if err != nil {
		return nil, err
	}
	env.OnStop(token.Close)
	k := &Desk{
		cfg: cfg, db: db, token: token, driver: manifest.JSON{}, office: env.Office, clock: env.Machine, log: env.Log, status: env.Status,
		pairs: map[string]*pkcs11.SigningKey{}, sign: (*pkcs11.SigningKey).Sign,
	}
	env.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sifilma_signing_waits", Help: "1 while something that is owed cannot be signed; the status page says why.",
	}, func() float64 {
		if k.Waiting() == "" {
			return 0
		}
		return 1
	}))
	return k, nil
}

// Check says for readyz whether the token is there.
func (k *Desk) Check(ctx context.Context) error { return k.token.Check(ctx) }

// Waiting tells the status page why nothing is signed; empty when all is well.
func (k *Desk) Waiting() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.waiting
}

// Run signs until ctx ends: at the start, when somebody rings, and now and then. A failure
// is logged when it begins.
func (k *Desk) Run(ctx context.Context) error {
	bell := k.db.Bell(BellName)
	for ctx.Err() == nil {
		err := k.Once(trace.ContextWith(ctx, trace.New()))
		if ctx.Err() == nil {
			k.note(err)
		}
		timer := k.clock.NewTimer(k.cfg.Look)
		select {
		case <-ctx.Done():
		case <-bell.C():
		case <-timer.C():
		}
		timer.Stop()
	}
	return nil
}

func (k *Desk) note(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	said := ""
	if err != nil {
		said = err.Error()
		k.status.Error(err)
		if said != k.waiting {
			k.log.Warn().Err(err).Msg("manifests wait to be signed; it is tried again")
		}
	}
	k.waiting = said
}

// Once signs everything that is owed now: heads of the audit chain, manifests, then the
// list, then bundles, which carry the newest list, and evidence.
func (k *Desk) Once(ctx context.Context) error {
	s, err := k.signer(ctx)
	if err != nil {
		return err
	}
	failed := k.heads(ctx, s) // what cannot be signed holds up no revocation and no bundle
	for {
		more, err := k.manifests(ctx, s)
		if err != nil {
			failed = errors.Join(failed, err)
			break
		}
		if !more {
			break
		}
	}
	list, err := k.list(ctx, s)
	if err == nil { // bundles carry it
		err = k.bundles(ctx, s, list)
	}
	return errors.Join(failed, err, k.evidence(ctx, s))
}

// signer is the newest version of the key that the book has and that was not given up. The
// book must know the public key before anything is signed, because it is from there that
// others get it.
func (k *Desk) signer(ctx context.Context) (*sealed.Signer, error) {
	entries, err := keybook.Signing(ctx, k.db, k.cfg.Key)
	if err != nil {
		return nil, err
	}
	e, ok := keybook.InForce(entries)
	if !ok {
		return nil, fmt.Errorf("seal: the key book has no key %s in use; sifilma keys generate makes it", k.cfg.Key)
	}
	pair := k.pairs[e.Label]
	if pair == nil {
		if pair, err = k.token.FindSigning(ctx, e.Label); err != nil {
			return nil, fmt.Errorf("seal: key %s: %w", e.Label, err)
		}
	}
	der, err := x509.MarshalPKIXPublicKey(pair.Public())
	if err != nil {
		return nil, fmt.Errorf("seal: key %s: %w", e.Label, err)
	}
	if !bytes.Equal(der, e.PublicKey) {
		return nil, fmt.Errorf("seal: key %s: %w", e.Label, keybook.ErrOtherKey)
	}
	k.pairs[e.Label] = pair
	return sealed.NewSigner(pair.Public(), func(ctx context.Context, digest []byte) ([]byte, error) { return k.sign(pair, ctx, digest) })
}

func (k *Desk) change() request.Change {
	return request.Change{Actor: desk.Self, OfficeAt: k.office.Now()}
}

// manifests signs a batch of those that are owed; more says that there may be others.
func (k *Desk) manifests(ctx context.Context, s *sealed.Signer) (more bool, err error) {
	due, err := activation.AwaitingManifest(ctx, k.db, k.cfg.Batch)
	if err != nil || len(due) == 0 {
		return false, err
	}
	if renumbered, err := k.renumber(ctx); err != nil || renumbered {
		return err == nil, err
	}
	c := k.change()
	from := clock.DateOf(c.OfficeAt)
	to := clock.NewDate(from.Year+k.cfg.ValidYears, from.Month, from.Day).AddDays(-1)
	all := len(due)
	facts := make([]manifest.Facts, 0, len(due))
	var unfit error
	due = slices.DeleteFunc(due, func(d activation.Due) bool { // one that cannot be a manifest harms no other
		f := factsOf(d, from, to)
		if err := f.Check(); err != nil {
			unfit = errors.Join(unfit, fmt.Errorf("seal: manifest %s: %w", f.Number, err))
			return true
		}
		facts = append(facts, f)
		return false
	})
	if len(due) == 0 {
		return false, unfit
	}
	signed, err := manifest.IssueAll(ctx, s, k.driver, facts, c.OfficeAt, k.cfg.sessions())
	if err != nil {
		return false, err
	}
	done := 0
	err = k.attach(ctx, s, due, signed, from, to, c)
	switch {
	case err == nil:
		done = len(due)
	case postgres.Foreign(err):
		return false, err
	default: // one that changed meanwhile harms no other
		for i := range due {
			if err := k.attach(ctx, s, due[i:i+1], signed[i:i+1], from, to, c); err == nil {
				done++
			} else if postgres.Foreign(err) {
				return false, err
			} else if !errors.Is(err, postgres.ErrStale) {
				return false, fmt.Errorf("seal: manifest %s: %w", signed[i].Number, err)
			}
		}
	}
	if done == 0 || all < k.cfg.Batch {
		return false, unfit
	}
	return true, nil // unfit is said when nothing else is left
}

func factsOf(d activation.Due, from, to clock.Date) manifest.Facts {
	return manifest.Facts{
		Number: *d.ManifestSerial, Reader: d.Reader, SAM: d.SAM, SAMOrigin: d.Origin, PCID: d.PCID, Producer: d.Produsen, Institution: d.Lembaga,
		ReaderType: d.MachineType, Place: d.Address, Region: d.Region, Mode: d.Mode, ValidFrom: from.String(), ValidUntil: to.String(),
	}
}

// attach keeps signed manifests and moves their lines on, in one transaction.
func (k *Desk) attach(ctx context.Context, s *sealed.Signer, due []activation.Due, signed []manifest.Manifest, from, to clock.Date, c request.Change) error {
	return k.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		files, of := make([]blob.Content, len(due)), make([]activation.Activation, len(due))
		for i, m := range signed {
			files[i] = blob.Content{Name: manifest.FileName(m.Number) + "." + k.driver.Extension(), MediaType: "application/octet-stream", Data: m.Payload}
			of[i] = due[i].Activation
		}
		refs, err := blob.PutAll(ctx, tx, files)
		if err != nil {
			return err
		}
		kept, entries := make([]activation.ManifestFile, len(due)), make([]audit.Entry, len(due))
		for i, m := range signed {
			kept[i] = activation.ManifestFile{
				KeyID: s.KeyID(), PayloadBlob: refs[i].ID.String(), JWS: string(m.JWS), SHA256: refs[i].SHA256[:], ValidFrom: from, ValidTo: to,
			}
			entries[i] = audit.Entry{Actor: c.Actor.Name, Action: "manifest.signed", Subject: due[i].ID, Detail: map[string]any{
				"manifest": m.Number, "sha256": refs[i].Hash(), "key": s.KeyID(),
			}}
		}
		if err := activation.AttachManifests(ctx, tx, of, kept, c); err != nil {
			return err
		}
		return audit.Record(ctx, tx, entries...)
	})
}

// bundlesMost bounds one look; the next one goes on.
const bundlesMost = 20

// bundles makes the bundles of what was released.
func (k *Desk) bundles(ctx context.Context, s *sealed.Signer, list release.PublishedList) error {
	releases, err := release.Unbundled(ctx, k.db, bundlesMost)
	if err != nil || len(releases) == 0 {
		return err
	}
	entries, err := keybook.Signing(ctx, k.db, k.cfg.Key)
	if err != nil {
		return err
	}
	keys, err := keybook.PublicKeys(entries)
	if err != nil {
		return err
	}
	var failed error // one that cannot be made harms no other
	for _, r := range releases {
		err := k.bundle(ctx, s, r, list, keys)
		if err != nil && !errors.Is(err, postgres.ErrStale) { // stale: it was replaced or bundled by another
			failed = errors.Join(failed, fmt.Errorf("seal: bundle %s: %w", r.Number, err))
		}
	}
	return failed
}

func (k *Desk) bundle(ctx context.Context, s *sealed.Signer, r release.Release, list release.PublishedList, keys sealed.Keys) error {
	files, err := release.Files(ctx, k.db, r.ID)
	if err != nil {
		return err
	}
	ids := make([]uuid.UUID, len(files))
	for i, f := range files {
		ids[i] = f.Payload
	}
	payloads, err := blob.ReadAll(ctx, k.db, ids)
	if err != nil {
		return err
	}
	c := k.change()
	d := manifest.Delivery{Number: r.Number, About: "Manifest pembaca KTP-el untuk " + r.Produsen, Issued: c.OfficeAt, List: []byte(list.Token), Keys: keys, Drivers: []manifest.Driver{k.driver}}
	for i, f := range files {
		h, err := sealed.Peek([]byte(f.JWS))
		if err != nil {
			return err
		}
		d.Manifests = append(d.Manifests, manifest.Manifest{Number: f.Number, Format: h.Format, Payload: payloads[i], JWS: []byte(f.JWS)})
	}
	var zip bytes.Buffer
	if err := d.Write(ctx, &zip, s); err != nil {
		return err
	}
	// What would not verify at the produsen's desk does not leave this one.
	if _, err := (manifest.Verifier{Keys: keys}).OpenDelivery(bytes.NewReader(zip.Bytes()), int64(zip.Len()), c.OfficeAt); err != nil {
		return fmt.Errorf("it does not verify: %w", err)
	}
	return k.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, r.Number+".zip", "application/zip", &zip)
		if err != nil {
			return err
		}
		if err := release.Attach(ctx, tx, r, ref.ID, s.KeyID(), c); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: c.Actor.Name, Action: "manifests.bundled", Subject: r.ID, Detail: map[string]any{
			"number": r.Number, "manifests": len(files), "sha256": ref.Hash(), "list": list.Number,
		}})
	})
}
