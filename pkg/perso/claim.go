package perso

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Why says why a card is not taken.
type Why string

// Reasons of a refusal. Nothing was written, neither here nor on the card.
const (
	Unlisted       Why = "unlisted"         // no accepted list has this serial
	NotScheduled   Why = "not_scheduled"    // no released work order has room for it
	RequestHeld    Why = "request_held"     // its request is held, or not in production
	AlreadyDone    Why = "already_done"     // personalised before
	FailedEarlier  Why = "failed_earlier"   // waits for a replacement blank
	SetAside       Why = "set_aside"        // spoiled or taken off the list
	ChipTaken      Why = "chip_taken"       // the chip belongs to another serial
	OtherChip      Why = "other_chip"       // the serial belongs to another chip
	InOtherHands   Why = "in_other_hands"   // another reader or station has it
	Undecided      Why = "undecided"        // in doubt, and not decided yet
	WrongLifeCycle Why = "wrong_life_cycle" // the card is not a blank of ours
	IssuedEarlier  Why = "issued_earlier"   // the old register has it: issued before day one
	NoRecipe       Why = "no_recipe"        // no SAM type, profile and Kode Kunci for it are approved
	RecipeGone     Why = "recipe_withdrawn" // its work order's were withdrawn
	OtherRecipe    Why = "other_recipe"     // its work order is tied to another plan than it was looked at by
	OtherProfile   Why = "other_profile"    // this station does not work with its profile
	NoNumbers      Why = "no_numbers"       // no templates of numbers are approved
	ByHand         Why = "by_hand"          // it is personalised by hand, in another tool
	LotStopped     Why = "lot_stopped"      // cards of its lot failed, and people have not let it go on
	FirstCardWaits Why = "first_card_waits" // the first card of its lot is not approved yet
	SerialUnknown  Why = "serial_unknown"   // no list says which serial this chip has
	SerialTwice    Why = "serial_twice"     // more than one listed card has this chip
	ScanAwaited    Why = "scan_awaited"     // its printed serial is to be scanned
	ScanTwice      Why = "scan_twice"       // different serials were scanned for it
	ScanDiffers    Why = "scan_differs"     // another serial was scanned than the chip's
	TestCardDue    Why = "test_card_due"    // no test card has passed at the station today
	WrongType      Why = "wrong_type"       // it is not of the kind that its request needs
	KeysMissing    Why = "keys_missing"     // the HSM of the station does not have the keys for it
	NoRecipient    Why = "no_recipient"     // whom it is for has no confirmed key for its secret
	NoEscrow       Why = "no_escrow"        // the office has no escrow key
)

// WhyLabels are the reasons as the station shows them.
var WhyLabels = map[Why]string{
	Unlisted:       "Nomor seri tidak ada dalam daftar kartu mana pun",
	NotScheduled:   "Tidak ada perintah kerja yang dilepas untuk kartu ini",
	RequestHeld:    "Permohonan kartu ini sedang ditahan atau belum diproduksi",
	AlreadyDone:    "Kartu ini sudah dipersonalisasi",
	FailedEarlier:  "Kartu ini gagal sebelumnya; gunakan blangko pengganti",
	SetAside:       "Kartu ini sudah dinyatakan rusak atau dikurangi",
	ChipTaken:      "Chip ini terikat pada nomor seri lain",
	OtherChip:      "Nomor seri ini terikat pada chip lain",
	InOtherHands:   "Kartu ini sedang dikerjakan di tempat lain",
	Undecided:      "Kartu ini meragukan dan menunggu keputusan",
	WrongLifeCycle: "Isi kartu bukan blangko baru",
	IssuedEarlier:  "Kartu ini sudah diterbitkan sebelum sistem ini dipakai (ada dalam register lama)",
	NoRecipe:       "Belum ada jenis SAM, profil, dan Kode Kunci yang disetujui untuk kartu ini",
	RecipeGone:     "Jenis SAM, profil, atau Kode Kunci perintah kerja ini sudah ditarik",
	OtherRecipe:    "Profil perintah kerja kartu ini lain; kartu dibaca ulang",
	OtherProfile:   "Stasiun ini tidak mengerjakan kartu dengan profil ini",
	NoNumbers:      "Belum ada pola PCID dan nomor manifest yang disetujui",
	ByHand:         "Kartu ini dikerjakan dengan cara manual, bukan di stasiun",
	LotStopped:     "Lot kartu ini dihentikan; menunggu keputusan petugas",
	FirstCardWaits: "Kartu pertama lot ini belum disetujui; kartu menunggu",
	SerialUnknown:  "UID chip ini tidak ada dalam daftar kartu mana pun",
	SerialTwice:    "UID chip ini ada pada lebih dari satu baris daftar",
	ScanAwaited:    "Pindai nomor seri yang tercetak pada kartu ini",
	ScanTwice:      "Dua nomor berbeda dipindai; keluarkan kartu, lalu pindai lagi nomornya saja",
	ScanDiffers:    "Nomor yang dipindai bukan nomor kartu ini",
	TestCardDue:    "Kartu uji hari ini belum lulus di stasiun ini; masukkan kartu uji dahulu",
	WrongType:      "Jenis kartu ini lain daripada yang diminta permohonannya",
	KeysMissing:    "HSM stasiun ini tidak memiliki kunci untuk kartu ini",
	NoRecipient:    "Pemohon belum punya kunci penerima rahasia kartu yang dipastikan; kartu menunggu",
	NoEscrow:       "Kantor belum punya kunci escrow rahasia kartu; kartu menunggu",
}

// Refusal is an error that says why a card is not taken.
type Refusal struct {
	Why Why
	// CardID is the listed card concerned, when there is one.
	CardID string
}

func (r *Refusal) Error() string { return "perso: card refused: " + string(r.Why) }

// RefusedFor returns the reason inside err; ok is false when err is no refusal.
func RefusedFor(err error) (why Why, ok bool) {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Why, true
	}
	return "", false
}

// Identity is what a card in a slot says it is.
type Identity struct {
	Serial string // printed serial, normalised as in the list
	ChipID string // of the chip itself
}

// SerialOf returns the serial of the listed card that has a chip, as a list says it. A
// *Refusal says that no list does (SerialUnknown), or more than one row (SerialTwice).
func SerialOf(ctx context.Context, r postgres.Reader, uid string) (string, error) {
	var serials []string
	if err := r.Select(ctx, &serials, `
		SELECT c.serial FROM listed_card l JOIN card c ON c.id = l.id WHERE l.uid = $1 AND l.uid <> '' AND c.state <> 'reduced' LIMIT 2`, uid); err != nil {
		return "", fmt.Errorf("perso: chip of a list: %w", err)
	}
	switch len(serials) {
	case 0:
		return "", &Refusal{Why: SerialUnknown}
	case 1:
		return serials[0], nil
	}
	return "", &Refusal{Why: SerialTwice}
}

// SerialOfChip returns the serial that a chip was tied to by its first claim; empty for
// a chip that none was.
func SerialOfChip(ctx context.Context, r postgres.Reader, chipID string) (string, error) {
	c, err := getCard(ctx, r, `WHERE chip_id = $1`, chipID)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return c.Serial, err
}

// Find returns the card that an identity stands for, with its newest attempt. A
// *Refusal says that there is none (Unlisted), that serial and chip belong to
// different cards (ChipTaken, OtherChip), or that the old register has one of them
// (IssuedEarlier).
func Find(ctx context.Context, r postgres.Reader, id Identity) (Hand, error) {
	c, err := find(ctx, r, id, "")
	if err != nil {
		return Hand{}, err
	}
	return hand(ctx, r, c, selectAttempt)
}

// FindChip returns the card that a chip was tied to, with its newest attempt. Error:
// ErrNotFound.
func FindChip(ctx context.Context, r postgres.Reader, chipID string) (Hand, error) {
	c, err := getCard(ctx, r, `WHERE chip_id = $1`, chipID)
	if err != nil {
		return Hand{}, err
	}
	return hand(ctx, r, c, selectAttempt)
}

func find(ctx context.Context, r postgres.Reader, id Identity, lock string) (Card, error) {
	c, err := getCard(ctx, r, `WHERE serial = $1 AND state <> 'reduced'`+lock, id.Serial)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Card{}, err
	}
	found := err == nil
	if found && c.ChipID == id.ChipID {
		return c, nil
	}
	if found && c.ChipID != "" {
		return Card{}, &Refusal{Why: OtherChip, CardID: c.ID}
	}
	other, err := getCard(ctx, r, `WHERE chip_id = $1`, id.ChipID)
	switch {
	case err == nil && other.State == Reduced && other.Serial == id.Serial:
		return Card{}, &Refusal{Why: SetAside, CardID: other.ID}
	case err == nil:
		return Card{}, &Refusal{Why: ChipTaken, CardID: other.ID}
	case !errors.Is(err, ErrNotFound):
		return Card{}, err
	}
	// A serial that is listed is not in the register; its chip may be.
	issued, err := register.HasCard(ctx, r, id.Serial, id.ChipID)
	switch {
	case err != nil:
		return Card{}, err
	case issued:
		return Card{}, &Refusal{Why: IssuedEarlier, CardID: c.ID}
	case found:
		return c, nil
	}
	switch gone, err := getCard(ctx, r, `WHERE serial = $1 ORDER BY id DESC LIMIT 1`, id.Serial); {
	case err == nil: // taken off its request, by now at least
		return Card{}, &Refusal{Why: SetAside, CardID: gone.ID}
	case !errors.Is(err, ErrNotFound):
		return Card{}, err
	}
	return Card{}, &Refusal{Why: Unlisted}
}

// Claimable says why a card in this state cannot be claimed, as a *Refusal; nil
// if it can.
func Claimable(c Card) error {
	switch c.State {
	case Listed, Bound, Numbered, Claimed:
		if c.ByHand {
			return &Refusal{Why: ByHand, CardID: c.ID}
		}
	}
	switch c.State {
	case Listed, Bound, Numbered:
		return nil
	case Clear:
		return &Refusal{Why: AlreadyDone, CardID: c.ID}
	case Failed:
		return &Refusal{Why: FailedEarlier, CardID: c.ID}
	case Spoiled, Reduced:
		return &Refusal{Why: SetAside, CardID: c.ID}
	case InDoubt:
		return &Refusal{Why: Undecided, CardID: c.ID}
	}
	return &Refusal{Why: InOtherHands, CardID: c.ID}
}

// Place is where and how a card is to be written.
type Place struct {
	Station string
	Reader  string
	Plan    recipe.Plan // that the station has looked at the card by
	// FirstCard says that the plan's profile wants the first card of a lot approved
	// before the others are begun.
	FirstCard bool
}

// Claim takes a presented card for a station: under lock it ties the chip to
// the listed serial, gives the card its numbers, finds a released work order
// with room, ties the order to its plan unless it is tied already, and opens a new
// attempt by this plan, all in the caller's one transaction. A
// *Refusal changes nothing as long as the caller returns it from InTx.
func Claim(ctx context.Context, tx *postgres.Tx, id Identity, p Place, ch Change) (Hand, error) {
	c, err := find(ctx, tx, id, ` FOR UPDATE`)
	if err != nil {
		return Hand{}, err
	}
	if err := Claimable(c); err != nil {
		return Hand{}, err
	}
	r, err := request.Get(ctx, tx, c.RequestID)
	if err != nil {
		return Hand{}, err
	}
	switch r.State {
	case request.InProgress:
	case request.Accepted, request.Scheduled:
		return Hand{}, &Refusal{Why: NotScheduled, CardID: c.ID}
	default:
		return Hand{}, &Refusal{Why: RequestHeld, CardID: c.ID}
	}
	order, err := capacity.ClaimOrder(ctx, tx, c.RequestID, clock.DateOf(ch.OfficeAt))
	if errors.Is(err, capacity.ErrNoOrder) {
		return Hand{}, &Refusal{Why: NotScheduled, CardID: c.ID}
	}
	if err != nil {
		return Hand{}, err
	}
	plan, err := recipe.Tie(ctx, tx, order.ID, useOf(r), ch.OfficeAt)
	if err != nil {
		return Hand{}, unplanned(err, c)
	}
	if !plan.Same(p.Plan) {
		return Hand{}, &Refusal{Why: OtherRecipe, CardID: c.ID}
	}
	if err := admit(ctx, tx, order.ID, c, p, ch); err != nil {
		return Hand{}, err
	}
	w := &walk{tx: tx, card: c, change: ch}
	if err := w.prepare(ctx, id); err != nil {
		return Hand{}, err
	}
	attemptID, err := uuid.NewV7()
	if err != nil {
		return Hand{}, fmt.Errorf("perso: attempt id: %w", err)
	}
	a := Attempt{
		ID: attemptID.String(), CardID: c.ID, Number: c.Attempt + 1, WorkOrderID: order.ID, Station: p.Station, Reader: p.Reader,
		ChipID: id.ChipID, Profile: plan.Profile.Label(), ProfileSHA256: plan.Profile.SHA256, ProfileID: plan.Profile.ID,
	}
	detail := map[string]any{"station": p.Station, "reader": p.Reader, "attempt": a.Number, "work_order": order.ID}
	if err := w.take(ctx, ClaimVerb, detail, `, work_order_id=$6, attempt=attempt+1, reason=''`, order.ID); err != nil {
		return Hand{}, err
	}
	w.card.WorkOrderID, w.card.Attempt, w.card.Reason = order.ID, a.Number, ""
	if err := tx.ExecOne(ctx, `
		INSERT INTO perso_attempt (id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256, profile_id)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`,
		a.ID, a.CardID, a.Number, a.WorkOrderID, a.Station, a.Reader, a.ChipID, a.Profile, a.ProfileSHA256, a.ProfileID); err != nil {
		return Hand{}, fmt.Errorf("perso: opening attempt: %w", err)
	}
	return Hand{Card: w.card, Attempt: a}, w.done(ctx)
}

// prepare binds the chip and numbers the card, as far as an earlier claim has
// not done so.
func (w *walk) prepare(ctx context.Context, id Identity) error {
	if w.card.State == Listed {
		err := w.take(ctx, BindVerb, map[string]any{"chip": id.ChipID}, `, chip_id=$6`, id.ChipID)
		if postgres.IsUnique(err, "card_chip_id_key") {
			return &Refusal{Why: ChipTaken, CardID: w.card.ID}
		}
		if err != nil {
			return err
		}
		w.card.ChipID = id.ChipID
	}
	if w.card.State != Bound {
		return nil
	}
	given, label, err := give(ctx, w.tx, []string{w.card.ID}, clock.DateOf(w.change.OfficeAt).Year)
	if err != nil {
		return unnumbered(err, w.card)
	}
	w.card.PCID, w.card.ManifestNo = given[0].pcid, given[0].manifest
	return w.take(ctx, NumberVerb, map[string]any{"manifest_no": given[0].manifest, "template": label}, `, pcid=$6, manifest_no=$7`,
		given[0].pcid, given[0].manifest)
}

// ReleaseClaim gives a claimed card back that nothing was written to; it keeps
// its chip and numbers. The reason goes into the timeline.
func ReleaseClaim(ctx context.Context, tx *postgres.Tx, h Hand, ch Change) (Hand, error) {
	w := &walk{tx: tx, card: h.Card, change: ch}
	if err := w.take(ctx, ReleaseVerb, nil, ``); err != nil {
		return Hand{}, err
	}
	if err := endAttempt(ctx, tx, h.Attempt.ID, "released"); err != nil {
		return Hand{}, err
	}
	return Hand{Card: w.card, Attempt: h.Attempt}, w.done(ctx)
}

// Unfinished returns the cards that a station holds by the database: claimed or
// writing, oldest first. After its start these are what a crash left.
func Unfinished(ctx context.Context, r postgres.Reader, stationName string) ([]Hand, error) {
	var ids []string
	if err := r.Select(ctx, &ids, `
		SELECT c.id FROM card c JOIN perso_attempt a ON a.card_id = c.id AND a.attempt = c.attempt
		WHERE a.station = $1 AND c.state = ANY ('{claimed,writing}') ORDER BY a.id`, stationName); err != nil {
		return nil, fmt.Errorf("perso: unfinished cards: %w", err)
	}
	hands := make([]Hand, 0, len(ids))
	for _, id := range ids {
		h, err := Reload(ctx, r, id)
		if err != nil {
			return nil, err
		}
		hands = append(hands, h)
	}
	return hands, nil
}

func endAttempt(ctx context.Context, tx *postgres.Tx, attemptID, outcome string) error {
	if err := tx.ExecOne(ctx, `
		UPDATE perso_attempt SET outcome=$2, ended_at=now() WHERE id=$1`, attemptID, outcome); err != nil {
		return fmt.Errorf("perso: ending attempt: %w", err)
	}
	return nil
}

// StationActor is a station as the taker of a step.
func StationActor(name string) machine.Actor { return machine.Actor{Name: name, Role: request.Station} }
