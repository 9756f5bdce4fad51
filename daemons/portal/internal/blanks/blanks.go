// Package blanks is the desk of the vault: where people see where the blanks of a
// request and of a day are, and write what comes in, what is drawn and what goes. It
// makes each of these one transaction; who may do what, and the audit rows, are said by
// package stock. The API and the pages share it.
package blanks

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/trace"
)

var (
	// ErrInside says that the book of blanks is for the office's own people.
	ErrInside = errors.New("blanks: for the office only")
	// ErrPaperNotMade says that the paper of a berita acara is still being made: it can
	// be voided a moment later.
	ErrPaperNotMade = errors.New("blanks: paper is not made yet")
)

// Longest texts, in characters.
const (
	maxName   = 200
	maxMethod = 200
)

// Desk is where blanks are looked after.
type Desk struct {
	DB     *postgres.DB
	Office clock.Office
}

// Today is the office's day.
func (d Desk) Today() clock.Date { return clock.Today(d.Office) }

// Paper is the document of a berita acara, a receipt or a day sheet.
type Paper struct {
	ID         string        `json:"id"`
	Number     string        `json:"number"`
	State      machine.State `json:"state"`
	StateLabel string        `json:"state_label"`
	Formats    []string      `json:"formats"`
}

// Destruction is a berita acara with its paper; nil while that is being drafted.
type Destruction struct {
	stock.Destruction
	Paper *Paper `json:"paper"`
}

// View is where the blanks of a request are, and what is known of them. The JSON names
// are the API.
type View struct {
	Ticket string `json:"ticket"`
	// Version changes with each line of the book; it is never 0.
	Version      int64            `json:"-"`
	Balance      stock.Balance    `json:"balance"`
	Days         []stock.Day      `json:"days"`
	Movements    []stock.Movement `json:"movements"`
	Lost         []stock.Lost     `json:"lost"`
	Destructions []Destruction    `json:"destructions"`
	Receipts     []Paper          `json:"receipts"` // tanda terima blangko
	// Offers are the verbs that whoever asks can do now.
	Offers []machine.Verb `json:"offers"`

	request request.Request
}

// Of reads the blanks of the request with this ticket. Errors: request.ErrNotFound,
// ErrInside.
func (d Desk) Of(ctx context.Context, who identity.Account, ticket string) (v View, err error) {
	err = d.DB.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		r, err := find(ctx, rd, who, ticket)
		if err != nil {
			return err
		}
		v, err = read(ctx, rd, who, r)
		return err
	})
	return v, err
}

// find reads a request as far as an account may know of its blanks.
func find(ctx context.Context, rd postgres.Reader, who identity.Account, ticket string) (request.Request, error) {
	r, err := request.ByTicket(ctx, rd, ticket, report.Scope(who))
	trace.Join(ctx, r.TraceParent)
	if err == nil && report.Outside(who) {
		err = ErrInside
	}
	return r, err
}

func read(ctx context.Context, rd postgres.Reader, who identity.Account, r request.Request) (v View, err error) {
	v = View{Ticket: r.Ticket, request: r, Offers: []machine.Verb{}, Destructions: []Destruction{}}
	lines, err := stock.Version(ctx, rd, r.ID)
	if err != nil {
		return v, err
	}
	v.Version = lines + 1
	if v.Balance, err = stock.Of(ctx, rd, r.ID); err != nil {
		return v, err
	}
	if v.Days, err = stock.DaysOf(ctx, rd, r.ID); err != nil {
		return v, err
	}
	if v.Movements, err = stock.Movements(ctx, rd, r.ID); err != nil {
		return v, err
	}
	if v.Lost, err = stock.LostCards(ctx, rd, r.ID); err != nil {
		return v, err
	}
	destructions, err := stock.Destructions(ctx, rd, r.ID)
	if err != nil {
		return v, err
	}
	papers, err := letter.List(ctx, rd, r.ID)
	if err != nil {
		return v, err
	}
	for _, one := range destructions {
		v.Destructions = append(v.Destructions, Destruction{one, paperOf(papers, one.ID)})
	}
	v.Receipts = receipts(papers)
	v.offer(who)
	return v, nil
}

// paperOf is the newest paper of a berita acara.
func paperOf(papers []letter.Document, id string) (p *Paper) {
	for _, d := range papers {
		if d.Kind == letter.DestructionReport && d.SubjectID == id {
			one := shownPaper(d)
			p = &one
		}
	}
	return p
}

// offer says what can be done now by whoever asks.
func (v *View) offer(who identity.Account) {
	b := v.Balance
	undestroyed := false
	for _, card := range v.Lost {
		undestroyed = undestroyed || card.DestructionID == nil
	}
	for _, o := range []struct {
		verb machine.Verb
		now  bool
	}{
		{stock.ReceiveVerb, stock.Open(v.request.State)}, {stock.TestVerb, b.Spare > 0 && stock.Open(v.request.State)}, {stock.ReturnVerb, b.Spare+b.Reduced > 0},
		{stock.ReverseVerb, len(v.Movements) > 0}, {stock.DestroyVerb, undestroyed},
		{stock.VoidVerb, len(v.Destructions) > 0}, {stock.AttestVerb, b.Received > 0},
	} {
		if o.now && stock.May(o.verb, who.Role) == nil {
			v.Offers = append(v.Offers, o.verb)
		}
	}
}

// Line is what is typed of a line of the book.
type Line struct {
	Kind     stock.Kind
	Source   stock.Source
	Quantity int
	Happened clock.Date
	Party    string
	Reason   string
}

// check gathers what is wrong with a line, by the names of the API.
func (l *Line) check(of request.Request, today clock.Date) error {
	var wrong form.Faults
	switch {
	case l.Quantity == 0:
		wrong.Add("/quantity", "missing", "Jumlah blangko wajib diisi.")
	case l.Quantity < 1 || l.Quantity > stock.MaxQuantity:
		wrong.Add("/quantity", "out_of_range", "Jumlah blangko antara 1 dan %s.", terbilang.FormatInt(stock.MaxQuantity))
	}
	checkDay(&wrong, "/happened_on", "Tanggal", l.Happened, clock.DateOf(of.CreatedAt), today)
	if l.Kind == stock.Test {
		l.Party = ""
	} else {
		wrong.Need("/party", map[stock.Kind]string{stock.Receipt: "Nama yang menyerahkan", stock.Return: "Nama yang menerima"}[l.Kind], &l.Party, maxName)
	}
	if l.Kind == stock.Return {
		switch l.Source {
		case stock.Spare, stock.Reduced, stock.Listed:
		case "":
			wrong.Add("/source", "missing", "Pilih blangko mana yang dikembalikan.")
		default:
			wrong.Add("/source", "unknown_value", "Pilih blangko mana yang dikembalikan.")
		}
	}
	checkReason(&wrong, &l.Reason)
	return wrong.Err()
}

func checkDay(wrong *form.Faults, pointer, label string, day, first, today clock.Date) {
	switch {
	case day.IsZero():
		wrong.Add(pointer, "missing", "%s wajib diisi.", label)
	case day.After(today):
		wrong.Add(pointer, "in_future", "%s tidak boleh setelah hari ini.", label)
	case day.Before(first):
		wrong.Add(pointer, "too_early", "%s tidak boleh sebelum permohonannya diajukan, %s.", label, terbilang.FormatDate(first))
	}
}

func checkReason(wrong *form.Faults, reason *string) {
	*reason = strings.TrimSpace(*reason)
	switch {
	case *reason == "":
		wrong.Add("/reason", "missing", "Alasan wajib diisi.")
	case len([]rune(*reason)) > decisions.MaxText:
		wrong.Add("/reason", "too_long", "Alasan paling panjang 2.000 karakter.")
	}
}

var bookVerbs = map[stock.Kind]machine.Verb{stock.Receipt: stock.ReceiveVerb, stock.Test: stock.TestVerb, stock.Return: stock.ReturnVerb}

func (d Desk) change(who identity.Account, reason string) request.Change {
	return request.Change{Actor: who.Actor(), Reason: reason, OfficeAt: d.Office.Now()}
}

// on finds the request with this ticket for a verb.
func (d Desk) on(ctx context.Context, who identity.Account, ticket string, verb machine.Verb) (request.Request, error) {
	r, err := find(ctx, d.DB, who, ticket)
	if err != nil {
		return r, err
	}
	return r, stock.May(verb, who.Role)
}

// Book writes a line into the book of the request with this ticket, as it was seen in
// this version. Errors: request.ErrNotFound, ErrInside, *machine.RoleError, form.Faults,
// postgres.ErrStale, stock.ErrNotOpen.
func (d Desk) Book(ctx context.Context, who identity.Account, ticket string, version int64, l Line) error {
	r, err := d.on(ctx, who, ticket, bookVerbs[l.Kind])
	if err != nil {
		return err
	}
	if err := l.check(r, d.Today()); err != nil {
		return err
	}
	return enough(d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := stock.Book(ctx, tx, r.ID, version-1, stock.Entry{Kind: l.Kind, Source: l.Source, Quantity: l.Quantity, Happened: l.Happened, Party: l.Party}, d.change(who, l.Reason))
		return err
	}))
}

// enough says of too few blanks where that was typed.
func enough(err error) error {
	var few *stock.TooFewError
	if !errors.As(err, &few) {
		return err
	}
	if few.Have == 0 {
		return form.One("/quantity", "too_many", stock.SourceLabels[few.Source]+" tidak ada. Bila blangkonya ada di tangan Anda, catat dahulu penerimaannya.")
	}
	var wrong form.Faults
	wrong.Add("/quantity", "too_many", "%s hanya %s keping.", stock.SourceLabels[few.Source], terbilang.FormatInt(int64(few.Have)))
	return wrong
}

// Reverse takes a line of the book back. Errors: those of Book, stock.ErrNotFound,
// stock.ErrReversed.
func (d Desk) Reverse(ctx context.Context, who identity.Account, ticket, id string, version int64, reason string) error {
	r, err := d.on(ctx, who, ticket, stock.ReverseVerb)
	if err != nil {
		return err
	}
	var wrong form.Faults
	if checkReason(&wrong, &reason); len(wrong) > 0 {
		return wrong
	}
	err = d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := stock.Reverse(ctx, tx, r.ID, id, version-1, d.change(who, reason))
		return err
	})
	if errors.Is(err, stock.ErrTooFew) {
		return form.One("/reason", "too_many", "Blangko yang diterima itu sebagian sudah dipakai atau dikembalikan. Batalkan dahulu pencatatan sesudahnya.")
	}
	return err
}

// Draft is what is typed of a berita acara kartu rusak.
type Draft struct {
	Cards     []string // ids
	Destroyed clock.Date
	Method    string
	First     stock.Signer
	Second    stock.Signer
	Reason    string
}

func (n *Draft) check(of request.Request, today clock.Date) error {
	var wrong form.Faults
	if len(n.Cards) == 0 {
		wrong.Add("/cards", "missing", "Pilih sekurangnya satu kartu.")
	}
	for i, text := range n.Cards {
		id, err := uuid.Parse(text)
		if err != nil {
			wrong.Add("/cards", "wrong_form", "Kartu tidak dikenal. Muat ulang halaman, lalu pilih lagi.")
			break
		}
		n.Cards[i] = id.String()
	}
	checkDay(&wrong, "/destroyed_on", "Tanggal pemusnahan", n.Destroyed, clock.DateOf(of.CreatedAt), today)
	wrong.Need("/method", "Cara pemusnahan", &n.Method, maxMethod)
	wrong.Need("/first_name", "Nama yang memusnahkan", &n.First.Name, maxName)
	wrong.Need("/first_post", "Jabatan yang memusnahkan", &n.First.Post, maxName)
	wrong.Need("/second_name", "Nama saksi", &n.Second.Name, maxName)
	wrong.Need("/second_post", "Jabatan saksi", &n.Second.Post, maxName)
	if n.First.Name != "" && strings.EqualFold(n.First.Name, n.Second.Name) {
		wrong.Add("/second_name", "same", "Saksi harus orang lain: kartu dimusnahkan oleh dua orang.")
	}
	checkReason(&wrong, &n.Reason)
	return wrong.Err()
}

// Destroy draws up a berita acara; its paper follows. Errors: request.ErrNotFound,
// ErrInside, *machine.RoleError, form.Faults.
func (d Desk) Destroy(ctx context.Context, who identity.Account, ticket string, n Draft) (made stock.Destruction, err error) {
	r, err := d.on(ctx, who, ticket, stock.DestroyVerb)
	if err != nil {
		return made, err
	}
	if err := n.check(r, d.Today()); err != nil {
		return made, err
	}
	err = d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		made, err = stock.Destroy(ctx, tx, r.ID, stock.Destruction{Destroyed: n.Destroyed, Method: n.Method, First: n.First, Second: n.Second}, n.Cards, d.change(who, n.Reason))
		return err
	})
	var unfit *stock.UnfitError
	if errors.As(err, &unfit) {
		var wrong form.Faults
		for _, card := range unfit.Cards {
			wrong.Add("/cards", "not_destroyable", "%s.", strings.TrimSpace("Kartu "+card.Serial+" "+card.Why))
		}
		return made, wrong
	}
	return made, err
}

// Void takes a berita acara back with its paper, which must not be in force. Errors:
// request.ErrNotFound, ErrInside, *machine.RoleError, form.Faults, stock.ErrNotFound,
// stock.ErrVoid, ErrPaperNotMade, and those of letter.Cancel.
func (d Desk) Void(ctx context.Context, who identity.Account, ticket, id, reason string) error {
	r, err := d.on(ctx, who, ticket, stock.VoidVerb)
	if err != nil {
		return err
	}
	var wrong form.Faults
	if checkReason(&wrong, &reason); len(wrong) > 0 {
		return wrong
	}
	c := d.change(who, reason)
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		one, err := stock.GetDestruction(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case one.RequestID != r.ID:
			return stock.ErrNotFound
		case one.VoidedAt != nil:
			return stock.ErrVoid
		}
		// While the paper lives, no other is drafted in its stead: it is voided here.
		paper, err := letter.Living(ctx, tx, letter.DestructionReport, id)
		if errors.Is(err, letter.ErrNotFound) {
			return ErrPaperNotMade
		}
		if err != nil {
			return err
		}
		if _, err := letter.Cancel(ctx, tx, paper, c); err != nil {
			return err
		}
		if _, err = stock.Void(ctx, tx, id, c); err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.void", paper.ID, r.ID, map[string]any{"kind": paper.Kind})
	})
}

// Sheet is the day sheet of the vault.
type Sheet struct {
	Day      clock.Date  `json:"day"`
	Requests []stock.Day `json:"requests"`
	Sum      stock.Day   `json:"-"`
	Papers   []Paper     `json:"papers"` // printed day sheets
}

// Day reads the day sheet. Error: ErrInside.
func (d Desk) Day(ctx context.Context, who identity.Account, day clock.Date) (s Sheet, err error) {
	if report.Outside(who) {
		return s, ErrInside
	}
	s.Day = day
	err = d.DB.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		if s.Requests, err = stock.OnDay(ctx, rd, day); err != nil {
			return err
		}
		s.Papers, err = sheets(ctx, rd, day)
		return err
	})
	s.Sum = stock.Sum(s.Requests)
	return s, err
}
