package report

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// NoChip says that a number is nobody's, to whoever asked.
const NoChip = "Nomor ini tidak dikenal, atau bukan milik lembaga Anda. Periksa lagi: No. Seri Kartu SAM, id chip, No. Seri Reader, PCID, dan No. Manifest dapat dicari, lengkap seperti yang tercetak."

// ChipAnswer is what a number leads to.
type ChipAnswer struct {
	Key     string      `json:"key"` // as it was compared
	Total   int         `json:"total"`
	Matches []ChipMatch `json:"matches"` // newest first; mostChips at most
	Chip    *Chip       `json:"chip"`    // whole, where the number is that of one card
	// Register is what was issued before day one, and LostAttempts what only journals
	// know; both for the office alone.
	Register     []RegisterRow `json:"register"`
	LostAttempts []LostAttempt `json:"lost_attempts"`
}

// Chip is the whole life of a chip: the passport of a listed card. To eyes outside it
// tells no more than their request does: nothing of work orders, stations, doubts and
// destruction, and nobody's name.
type Chip struct {
	ID           string        `json:"id"`
	Row          int           `json:"row"` // of the card list
	Serial       string        `json:"serial"`
	ReaderSerial string        `json:"reader_serial"`
	ChipID       string        `json:"chip"` // what the chip calls itself; for the office
	State        machine.State `json:"state"`
	StateLabel   string        `json:"state_label"`
	Reason       string        `json:"reason"` // of a failure or doubt
	PCID         string        `json:"pcid"`
	ManifestNo   string        `json:"manifest_no"`
	Remarks      string        `json:"remarks"` // of the list
	ByHand       bool          `json:"by_hand"`
	FinishedAt   *time.Time    `json:"finished_at"` // office time
	// Authentications are the failed ones in a row; two lock the chip to stations.
	Authentications int `json:"failed_authentications"`

	Request ChipRequest         `json:"request"`
	Line    *request.Line       `json:"line"` // of its lembaga; nil where the list names none
	Blank   ChipBlank           `json:"blank"`
	Numbers []ChipNumber        `json:"numbers"`
	Days    []ChipDay           `json:"days"`
	Tries   []ChipAttempt       `json:"attempts"`
	Decided []ChipDecision      `json:"decisions"`
	Looks   []perso.Observation `json:"observations"`
	Holds   []ChipHold          `json:"holds"` // lots that waited for people because of it

	Chain        []ChipLink        `json:"chain"` // what it replaces and what replaces it, the first card first; empty where nothing was replaced
	Reduction    *perso.TakenOff   `json:"reduction"`
	Destructions []ChipDestruction `json:"destructions"`
	Handover     *Handover         `json:"handover"`
	Activations  []ChipActivation  `json:"activations"` // oldest first
	Documents    []Document        `json:"documents"`   // that it stands in
	History      []Event           `json:"history"`     // newest first
}

// ChipRequest is the request of a card.
type ChipRequest struct {
	Ticket        string        `json:"ticket"`
	Reference     string        `json:"reference"`
	Title         string        `json:"title"`
	KindLabel     string        `json:"kind_label"`
	Institution   string        `json:"institution"`
	State         machine.State `json:"state"`
	StateLabel    string        `json:"state_label"`
	CreatedAt     time.Time     `json:"created_at"`
	DispositionOn *clock.Date   `json:"disposition_date"`
	SAMFunction   string        `json:"sam_function"`
	MachineLabel  string        `json:"machine_type_label"`
	Letter        Letter        `json:"letter"`
	PKSNumber     string        `json:"pks_number"`
	PKS           *ChipPKS      `json:"pks"` // for the office, where it is in the master data
	// Orders are the PO of the card's lembaga, or all where none bears its name.
	Orders []request.PurchaseOrder `json:"purchase_orders"`
}

// ChipPKS is the agreement under which a card was asked for, as it is today.
type ChipPKS struct {
	Institution string     `json:"institution"`
	ValidFrom   clock.Date `json:"valid_from"`
	ValidTo     clock.Date `json:"valid_to"`
	Status      string     `json:"status"`
	StatusLabel string     `json:"status_label"`
}

// ChipBlank is how the blank of a card came in: counted with its list, or as a spare
// when it replaces another.
type ChipBlank struct {
	CountedAt *time.Time `json:"counted_at"` // office time; nil until the list's blanks are counted
	Counted   *int       `json:"counted"`    // of the whole list; for the office
	CountedBy string     `json:"counted_by"` // user name; for the office
	// Receipts are the spares that were received before it took the place of another
	// card; for the office.
	Receipts []stock.Movement `json:"receipts"`
}

// listed is the row of a card as the list and the line have it.
type listed struct {
	ID           string        `db:"id"`
	RequestID    string        `db:"request_id"`
	Row          int           `db:"row"`
	Line         int           `db:"line"`
	Serial       string        `db:"serial"`
	ReaderSerial string        `db:"reader_serial"`
	UID          string        `db:"uid"`
	Remarks      string        `db:"remarks"`
	Replaces     *string       `db:"replaces"`
	State        machine.State `db:"state"`
	ChipID       string        `db:"chip_id"`
	PCID         string        `db:"pcid"`
	ManifestNo   string        `db:"manifest_no"`
	Reason       string        `db:"reason"`
	ByHand       bool          `db:"by_hand"`
	FinishedAt   *time.Time    `db:"finished_at"`
	HandoverID   *string       `db:"handover_id"`
	Failures     int           `db:"failures"`
	Activated    bool          `db:"activated"` // it is, or was, in an activation

	ReductionID *string       `db:"reduction_id"`
	LetterNo    *string       `db:"letter_number"`
	LetterDate  *clock.Date   `db:"letter_date"`
	Was         machine.State `db:"was"`
}

// Chips finds what a number leads to, as an account may know of it, on a day of the
// office's clock: a serial, what a chip calls itself, a PCID or manifest number (also one
// that was wiped or burnt), or the id of a card. Where that is one card, its whole life.
// The number of statements does not grow with the life. Error: ErrNotFound.
func Chips(ctx context.Context, db *postgres.DB, typed string, a identity.Account, today clock.Date) (*ChipAnswer, error) {
	keys := chipKeys(typed)
	if len(keys) == 0 {
		return nil, ErrNotFound
	}
	var found *ChipAnswer
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) (err error) {
		found, err = seeChips(ctx, rd, keys, a, today)
		return err
	})
	return found, err
}

func seeChips(ctx context.Context, rd postgres.Reader, keys []string, a identity.Account, today clock.Date) (found *ChipAnswer, err error) {
	found = &ChipAnswer{Key: keys[0], Register: []RegisterRow{}, LostAttempts: []LostAttempt{}}
	if found.Matches, err = findChips(ctx, rd, keys, Scope(a)); err != nil {
		return nil, err
	}
	if len(found.Matches) > 0 {
		found.Total = found.Matches[0].Total
	}
	chips := keys
	if found.Total == 1 {
		if found.Chip, err = loadChip(ctx, rd, found.Matches[0].ID, a, today); err != nil {
			return nil, err
		}
		if c := found.Chip.ChipID; c != "" {
			chips = appendNew(chips, c)
		}
	}
	if !Outside(a) {
		if found.Register, err = registered(ctx, rd, keys); err != nil {
			return nil, err
		}
		if found.LostAttempts, err = lostAttempts(ctx, rd, chips); err != nil {
			return nil, err
		}
	}
	if len(found.Matches)+len(found.Register)+len(found.LostAttempts) == 0 {
		return nil, ErrNotFound
	}
	return found, nil
}

// loadChip reads the life of a listed card, in a number of statements that is the same
// for all.
func loadChip(ctx context.Context, rd postgres.Reader, id string, a identity.Account, today clock.Date) (*Chip, error) {
	var row listed
	if err := rd.Get(ctx, &row, `
		SELECT l.id, l.request_id, l.row, l.line, l.serial, l.reader_serial, l.uid, l.remarks, l.replaces, EXISTS (SELECT FROM activation a WHERE a.card_id = l.id) AS activated, coalesce(c.state, '') AS state,
		       coalesce(c.chip_id, '') AS chip_id, coalesce(c.pcid, '') AS pcid, coalesce(c.manifest_no, '') AS manifest_no,
		       coalesce(c.reason, '') AS reason, coalesce(c.by_hand, false) AS by_hand, c.finished_at, h.handover_id, coalesce(n.failures, 0) AS failures,
		       x.reduction_id, d.letter_number, d.letter_date, coalesce(x.was, '') AS was
		FROM listed_card l LEFT JOIN card c ON c.id = l.id LEFT JOIN handover_card h ON h.card_id = l.id
		LEFT JOIN chip_authentication n ON n.chip_id = c.chip_id
		LEFT JOIN reduced_card x ON x.card_id = l.id LEFT JOIN card_reduction d ON d.id = x.reduction_id WHERE l.id = $1`, id); err != nil {
		return nil, fmt.Errorf("report: a card: %w", err)
	}
	r, err := request.Get(ctx, rd, row.RequestID)
	if err != nil {
		return nil, err
	}
	trace.Join(ctx, r.TraceParent)
	if err := r.LoadParts(ctx, rd); err != nil {
		return nil, err
	}
	v := row.chip(r)
	outside := Outside(a)
	if err := v.readRequest(ctx, rd, r, outside, today); err != nil {
		return nil, err
	}
	facts, err := readFacts(ctx, rd, r.ID)
	if err != nil {
		return nil, err
	}
	life := &life{Chip: v, row: row, facts: facts, applicant: r.InstitutionID}
	for _, read := range []func(context.Context, postgres.Reader, bool) error{
		life.readChain, life.readHandover, life.readDestructions, life.readActivations, life.readDocuments, life.readHistory, // in this order: each needs those before it
		life.readNumbers, life.readBlank, life.readLine,
	} {
		if err := read(ctx, rd, outside); err != nil {
			return nil, err
		}
	}
	if outside {
		v.veil()
	}
	return v, nil
}

// life is a chip while it is read.
type life struct {
	*Chip
	row   listed
	facts []Fact
	own   []taken // steps of the card itself, oldest first

	applicant string           // institution of the request
	readers   []activation.Due // activations of the card, oldest first
}

func (row listed) chip(r request.Request) *Chip {
	v := &Chip{
		ID: row.ID, Row: row.Row, Serial: row.Serial, ReaderSerial: row.ReaderSerial, ChipID: row.ChipID, State: row.State,
		StateLabel: chipState(row.State, row.ByHand, r.State), Reason: row.Reason, PCID: row.PCID, ManifestNo: row.ManifestNo, Remarks: row.Remarks,
		ByHand: row.ByHand, FinishedAt: row.FinishedAt, Authentications: row.Failures,
		Blank: ChipBlank{Receipts: []stock.Movement{}}, Numbers: []ChipNumber{}, Days: []ChipDay{}, Tries: []ChipAttempt{}, Decided: []ChipDecision{},
		Looks: []perso.Observation{}, Holds: []ChipHold{}, Chain: []ChipLink{}, Destructions: []ChipDestruction{}, Documents: []Document{},
		Request: ChipRequest{
			Ticket: r.Ticket, Reference: r.Reference, Title: r.Title, KindLabel: request.KindLabels[r.Kind], Institution: r.Institution, State: r.State,
			StateLabel: request.Machine.Label(r.State), CreatedAt: r.CreatedAt, DispositionOn: r.DispositionDate, SAMFunction: r.SAMFunction,
			Letter:    Letter{Sender: r.Sender, Post: r.Post, Number: r.Number, Date: r.Letter.Date, Subject: r.Subject},
			PKSNumber: r.PKSNumber, Orders: []request.PurchaseOrder{},
		},
	}
	if v.ChipID == "" {
		v.ChipID = row.UID // as the list has it
	}
	if row.ReductionID != nil {
		v.Reduction = &perso.TakenOff{ID: *row.ReductionID, LetterNumber: *row.LetterNo, LetterDate: *row.LetterDate, Was: row.Was, WasLabel: perso.Machine.Label(row.Was)}
	}
	for i, l := range r.Lines {
		if l.Line == row.Line {
			v.Line = &r.Lines[i]
		}
	}
	for _, o := range r.Orders {
		if v.Line != nil && strings.EqualFold(strings.TrimSpace(o.From), v.Line.Lembaga) {
			v.Request.Orders = append(v.Request.Orders, o)
		}
	}
	if len(v.Request.Orders) == 0 {
		v.Request.Orders = notNil(r.Orders)
	}
	return v
}

func (v *Chip) readRequest(ctx context.Context, rd postgres.Reader, r request.Request, outside bool, today clock.Date) error {
	kind, err := institution.MachineTypeByCode(ctx, rd, r.MachineType)
	if err != nil {
		return err
	}
	v.Request.MachineLabel = kind.Name
	if outside || r.PKSNumber == "" {
		return nil
	}
	p, err := institution.PKSByNumber(ctx, rd, r.PKSNumber)
	if errors.Is(err, institution.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	on := p.On(today)
	v.Request.PKS = &ChipPKS{Institution: p.Institution, ValidFrom: p.ValidFrom, ValidTo: p.ValidTo, Status: on, StatusLabel: institution.PKSLabels[on]}
	return nil
}

// readBlank tells how the blank came in.
func (l *life) readBlank(ctx context.Context, rd postgres.Reader, outside bool) error {
	if l.row.Replaces != nil {
		return l.readSpares(ctx, rd, outside)
	}
	for _, f := range l.facts {
		if f.Fact.Fact != request.FactBlanksCounted {
			continue
		}
		at := f.OfficeAt
		l.Blank.CountedAt = &at
		if !outside {
			l.Blank.Counted, l.Blank.CountedBy = counted(f), f.Actor
		}
	}
	return nil
}

// readSpares tells which spares had come in when a card took the place of another.
func (l *life) readSpares(ctx context.Context, rd postgres.Reader, outside bool) error {
	if outside || len(l.own) == 0 {
		return nil
	}
	book, err := stock.Movements(ctx, rd, l.row.RequestID)
	if err != nil {
		return err
	}
	for _, m := range book {
		if m.Kind == stock.Receipt && m.Reverses == nil && !m.Reversed && !m.OfficeAt.After(l.own[0].OfficeAt) {
			l.Blank.Receipts = append(l.Blank.Receipts, m)
		}
	}
	return nil
}

func (l *life) readHandover(ctx context.Context, rd postgres.Reader, _ bool) error {
	if l.row.HandoverID == nil {
		return nil
	}
	h, err := handover.Get(ctx, rd, *l.row.HandoverID)
	if err != nil {
		return err
	}
	shown := showHandover(h)
	l.Handover = &shown
	return nil
}

// readDocuments keeps of the request's papers those that the card stands in.
func (l *life) readDocuments(ctx context.Context, rd postgres.Reader, outside bool) error {
	all, err := letter.List(ctx, rd, l.row.RequestID)
	if err != nil {
		return err
	}
	var in []letter.Document
	for _, d := range all {
		switch d.Kind {
		case letter.BAST:
			if l.row.HandoverID == nil || d.SubjectID != *l.row.HandoverID {
				continue
			}
		case letter.DestructionReport:
			if !l.destroyedIn(d.SubjectID) {
				continue
			}
		case letter.ResultList:
			if l.State == "" {
				continue
			}
		default:
			continue
		}
		in = append(in, d)
	}
	told, err := l.replies(ctx, rd, outside)
	l.Documents = append(showDocuments(in, outside), told...)
	return err
}

// veil takes away what is the office's own business from eyes outside.
func (v *Chip) veil() {
	v.ChipID, v.Authentications, v.Destructions = "", 0, []ChipDestruction{}
	if v.State == perso.InDoubt {
		v.Reason = ""
	}
	var shown []ChipNumber
	for _, n := range v.Numbers {
		if n.State != NumberWiped { // it is shown to nobody outside since
			shown = append(shown, n)
		}
	}
	v.Numbers = notNil(shown)
}
