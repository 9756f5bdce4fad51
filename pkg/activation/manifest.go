package activation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Due is an accepted line with all that its manifest tells (features.md J09, J13).
type Due struct {
	Activation
	LembagaID  string     `db:"lembaga_id"`
	Lembaga    string     `db:"lembaga"`
	ProdusenID string     `db:"produsen_id"`
	Produsen   string     `db:"produsen"`
	LetterNo   string     `db:"letter_number"`
	LetterDate clock.Date `db:"letter_dated"`
	// ChipID is the card's own, ManifestNo its No. Manifest Kartu SAM: the office's record,
	// whatever the letter says.
	ChipID     string `db:"chip_id"`
	ManifestNo string `db:"manifest_no"`
}

// AwaitingManifest returns accepted lines without a manifest, oldest first.
func AwaitingManifest(ctx context.Context, rd postgres.Reader, limit int) ([]Due, error) {
	return due(ctx, rd, `a.state = 'accepted' ORDER BY a.id LIMIT $1`, limit)
}

// Ready returns the lines of a produsen whose manifests wait to be handed to it; not those
// that were signed with a key which was revoked since.
func Ready(ctx context.Context, rd postgres.Reader, produsenID string) ([]Due, error) {
	return due(ctx, rd, `a.state = 'manifest_ready' AND t.produsen_id = $1 AND a.id NOT IN (SELECT activation_id FROM under_revoked_key) ORDER BY a.id`, produsenID)
}

func due(ctx context.Context, rd postgres.Reader, where string, args ...any) ([]Due, error) {
	var list []Due
	if err := rd.Select(ctx, &list, `
		SELECT a.id, a.letter_id, t.ticket, a.line, a.submission, a.reader_serial, a.sam_serial, a.origin_no, a.perso_no, a.pcid, a.machine_type, a.mode,
		       a.address, a.region, a.card_id, a.state, a.version, a.suspended_from, a.cause, a.disposed_on, a.accepted_on, a.reply_id, a.manifest_serial,
		       a.delivery_id, a.installed_on, a.found_on, a.replaces, t.traceparent, t.lembaga_id, l.name AS lembaga, t.produsen_id, p.name AS produsen,
		       t.number AS letter_number, t.dated AS letter_dated, coalesce(c.chip_id, '') AS chip_id, coalesce(c.manifest_no, '') AS manifest_no
		FROM activation a JOIN activation_letter t ON t.id = a.letter_id JOIN institution l ON l.id = t.lembaga_id JOIN institution p ON p.id = t.produsen_id
		JOIN card c ON c.id = a.card_id WHERE `+where, args...); err != nil {
		return nil, fmt.Errorf("activation: manifests: %w", err)
	}
	return list, nil
}

// ManifestFile is a signed manifest: its serial is the activation's ManifestSerial.
type ManifestFile struct {
	KeyID       string     `db:"key_id"`
	PayloadBlob string     `db:"payload_blob"`
	JWS         string     `db:"jws"`    // compact, detached (RFC 7797)
	SHA256      []byte     `db:"sha256"` // of the payload
	ValidFrom   clock.Date `db:"valid_from"`
	ValidTo     clock.Date `db:"valid_to"` // the last day
	MadeAt      time.Time  `db:"made_at"`
}

// AttachManifest keeps the signed manifest of a line that waits for it, which is then
// ready for its produsen. The line is as it was read before signing: postgres.ErrStale
// says that it was suspended, moved or signed by another meanwhile, and the file is not
// needed. Errors: that, *machine.RoleError, *machine.IllegalError.
func AttachManifest(ctx context.Context, tx *postgres.Tx, a Activation, m ManifestFile, c request.Change) error {
	return AttachManifests(ctx, tx, []Activation{a}, []ManifestFile{m}, c)
}

// AttachManifests is AttachManifest for many lines, with as many statements as for one; all
// or none.
func AttachManifests(ctx context.Context, tx *postgres.Tx, of []Activation, files []ManifestFile, c request.Change) error {
	if len(of) != len(files) {
		return fmt.Errorf("activation: %d manifests for %d lines", len(files), len(of))
	}
	letters := make([]string, len(of))
	ids, keys, payloads, signatures, hashes, froms, tos := idsOf(of), make([]string, len(of)), make([]string, len(of)), make([]string, len(of)),
		make([][]byte, len(of)), make([]string, len(of)), make([]string, len(of))
	serials := make([]string, len(of))
	for i, m := range files {
		letters[i], keys[i], payloads[i], signatures[i], hashes[i] = of[i].LetterID, m.KeyID, m.PayloadBlob, m.JWS, m.SHA256
		froms[i], tos[i] = m.ValidFrom.String(), m.ValidTo.String()
		if of[i].ManifestSerial != nil {
			serials[i] = *of[i].ManifestSerial
		}
	}
	if err := lockLetters(ctx, tx, letters); err != nil {
		return err
	}
	if err := take(ctx, tx, of, VerbSign, c, ""); err != nil {
		return err
	}
	// A line whose serial is another one by now, see Renumber, was signed in vain.
	n, err := tx.Exec(ctx, `
		INSERT INTO activation_manifest (activation_id, key_id, payload_blob, jws, sha256, valid_from, valid_to, made_at)
		SELECT m.id, m.key_id, m.payload, m.jws, m.sha256, m.valid_from, m.valid_to, $8
		FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::bytea[], $6::date[], $7::date[], $9::text[])
		     AS m (id, key_id, payload, jws, sha256, valid_from, valid_to, serial)
		JOIN activation a ON a.id = m.id AND a.manifest_serial = m.serial`,
		pq.Array(ids), pq.Array(keys), pq.Array(payloads), pq.Array(signatures), pq.Array(hashes), pq.Array(froms), pq.Array(tos), c.OfficeAt.UTC(), pq.Array(serials))
	if err != nil {
		return fmt.Errorf("activation: keeping manifests: %w", err)
	}
	if int(n) != len(of) {
		return fmt.Errorf("activation: serials of manifests: %w", postgres.ErrStale)
	}
	return nil
}

// Manifest returns the manifest of an activation. Error: ErrNotFound.
func Manifest(ctx context.Context, rd postgres.Reader, activationID string) (ManifestFile, error) {
	return one[ManifestFile](ctx, rd, `
		SELECT key_id, payload_blob, jws, sha256, valid_from, valid_to, made_at FROM activation_manifest WHERE activation_id = $1`, activationID)
}

// Receipt says who of the produsen took a bundle of manifests, and when.
type Receipt struct {
	Receiver, ReceiverPost string
	On                     clock.Date
	BundleBlob             string // what was handed over; may be empty
}

// Delivery is a bundle that was handed over.
type Delivery struct {
	ID           string     `db:"id" json:"id"`
	ProdusenID   string     `db:"produsen_id" json:"-"`
	Receiver     string     `db:"receiver" json:"receiver"`
	ReceiverPost string     `db:"receiver_post" json:"receiver_post"`
	DeliveredOn  clock.Date `db:"delivered_on" json:"delivered_on"`
	DeliveredBy  string     `db:"delivered_by" json:"delivered_by"`
	BundleBlob   *string    `db:"bundle_blob" json:"-"`
}

// GetDelivery returns a bundle that was handed over. Error: ErrNotFound.
func GetDelivery(ctx context.Context, rd postgres.Reader, id string) (Delivery, error) {
	return one[Delivery](ctx, rd, `
		SELECT id, produsen_id, receiver, receiver_post, delivered_on, delivered_by, bundle_blob FROM activation_delivery WHERE id = $1`, id)
}

// Deliver records that the manifests of lines of one produsen, of one letter or several,
// were handed to it (features.md J11, N9). Errors: ErrNoLines, ErrNotFound when a line is
// another produsen's, *machine.RoleError, *machine.IllegalError, postgres.ErrStale.
func Deliver(ctx context.Context, tx *postgres.Tx, produsenID string, of []Activation, r Receipt, c request.Change) (Delivery, error) {
	if len(of) == 0 {
		return Delivery{}, ErrNoLines
	}
	letters := make([]string, len(of))
	for i, a := range of {
		letters[i] = a.LetterID
		if err := Machine.May(a.State, VerbDeliver, c.Actor.Role); err != nil {
			return Delivery{}, err
		}
	}
	if err := lockLetters(ctx, tx, letters); err != nil {
		return Delivery{}, err
	}
	var strange int
	if err := tx.Get(ctx, &strange, `SELECT count(*) FROM activation_letter WHERE id = ANY ($1::uuid[]) AND produsen_id <> $2`, pq.Array(letters), produsenID); err != nil {
		return Delivery{}, fmt.Errorf("activation: whose manifests: %w", err)
	}
	if strange > 0 {
		return Delivery{}, ErrNotFound
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Delivery{}, fmt.Errorf("activation: id: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO activation_delivery (id, produsen_id, receiver, receiver_post, delivered_on, delivered_by, bundle_blob, office_at)
		VALUES ($1, $2, $3, $4, $5, $6, nullif($7, '')::uuid, $8)`,
		id.String(), produsenID, r.Receiver, r.ReceiverPost, r.On, c.Actor.Name, r.BundleBlob, c.OfficeAt.UTC()); err != nil {
		return Delivery{}, fmt.Errorf("activation: delivery: %w", err)
	}
	if err := take(ctx, tx, of, VerbDeliver, c, "delivery_id = $5::uuid", id.String()); err != nil {
		return Delivery{}, err
	}
	return GetDelivery(ctx, tx, id.String())
}

// ErrInstalledEarly says that a manifest would have been installed before the produsen had it.
var ErrInstalledEarly = errors.New("activation: installed before the manifest was delivered")

// Install records that the produsen or the lembaga has installed manifests on readers: they
// are active (features.md J15). Error, besides those of a verb: ErrInstalledEarly.
func Install(ctx context.Context, tx *postgres.Tx, l Letter, numbers []int, on clock.Date, c request.Change) error {
	chosen, err := Chosen(ctx, tx, l, numbers, VerbInstall, c.Actor.Role)
	if err != nil {
		return err
	}
	var early bool
	if err := tx.Get(ctx, &early, `
		SELECT EXISTS (SELECT FROM activation a JOIN activation_delivery d ON d.id = a.delivery_id WHERE a.id = ANY ($1::uuid[]) AND d.delivered_on > $2)`,
		pq.Array(idsOf(chosen)), on); err != nil {
		return fmt.Errorf("activation: when manifests were delivered: %w", err)
	}
	if early {
		return ErrInstalledEarly
	}
	return simply(ctx, tx, l, numbers, VerbInstall, c, "installed_on = $5", on)
}

// Revocation is a row of the revocation list: a manifest that was signed and does not
// count now.
type Revocation struct {
	ActivationID   string        `db:"id"`
	ManifestSerial string        `db:"manifest_serial"`
	ManifestNo     string        `db:"manifest_no"` // of the card
	Reader         string        `db:"reader_serial"`
	PCID           string        `db:"pcid"`
	ProdusenID     string        `db:"produsen_id"`
	State          machine.State `db:"state"` // Revoked for good, or Suspended
	Cause          string        `db:"cause"` // one of CauseLabels
	Since          time.Time     `db:"since"` // by the office's clock
}

// RevocationList returns it in the order of the manifests' serials.
func RevocationList(ctx context.Context, rd postgres.Reader) ([]Revocation, error) {
	var list []Revocation
	if err := rd.Select(ctx, &list, `
		SELECT a.id, a.manifest_serial, coalesce(c.manifest_no, '') AS manifest_no, a.reader_serial, a.pcid, t.produsen_id, a.state, a.cause, h.office_at AS since
		FROM activation a JOIN activation_manifest m ON m.activation_id = a.id JOIN activation_letter t ON t.id = a.letter_id JOIN card c ON c.id = a.card_id
		JOIN history h ON h.machine = $1 AND h.subject = a.id AND h.version = a.version - (a.found_on IS NOT NULL)::int -- found again, it stays revoked
		WHERE a.state IN ('suspended', 'revoked') ORDER BY a.manifest_serial`, Machine.Name); err != nil {
		return nil, fmt.Errorf("activation: revocation list: %w", err)
	}
	return list, nil
}
