package counter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

var (
	// ErrNotRegistrar says that somebody else than persuratan would say how papers are
	// numbered.
	ErrNotRegistrar = errors.New("counter: numbering is persuratan's")
	// ErrInside says that the papers of all requests are for the office's own people.
	ErrInside = errors.New("counter: for the office")
)

// maxNumber is the longest number of a paper, in characters.
const maxNumber = 100

// maxReason is the longest reason, in characters.
const maxReason = 2000

// MayNumber says whether a role decides how papers are numbered: the one that keeps the
// office's book of numbers.
func MayNumber(role machine.Role) bool { return role == request.Persuratan }

// Waiting is a paper that waits for its number.
type Waiting struct {
	ID        string     `json:"id"`
	Version   int64      `json:"version"`
	Ticket    string     `json:"ticket"`
	Kind      string     `json:"kind"`
	KindLabel string     `json:"kind_label"`
	Dated     clock.Date `json:"dated"`    // the day on which it was drafted
	Since     time.Time  `json:"since"`    // by the office's clock
	Template  string     `json:"template"` // what its number usually looks like; may be empty
	Ordinal   int        `json:"-"`        // of the handover that a BAST is of: a request may have several that wait
}

// mostWaiting bounds the list; the oldest come first.
const mostWaiting = 200

// AwaitingNumber lists the papers that wait until persuratan types their numbers, oldest
// first. Error: ErrInside.
func (d Desk) AwaitingNumber(ctx context.Context, who identity.Account) ([]Waiting, error) {
	if report.Outside(who) {
		return nil, ErrInside
	}
	list := []Waiting{}
	err := d.DB.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		papers, err := letter.AwaitingNumber(ctx, rd, mostWaiting)
		if err != nil {
			return err
		}
		all, err := letter.Numberings(ctx, rd)
		if err != nil {
			return err
		}
		templates := map[string]string{}
		for _, n := range all {
			templates[n.Kind] = n.Template
		}
		ids := make([]string, len(papers))
		for i, p := range papers {
			ids[i] = p.ID
		}
		tickets, err := report.PaperTickets(ctx, rd, ids)
		if err != nil {
			return err
		}
		for _, p := range papers {
			ordinal := 0
			if p.Kind == letter.BAST {
				h, err := handover.Get(ctx, rd, p.SubjectID)
				if err != nil {
					return err
				}
				ordinal = h.Ordinal
			}
			list = append(list, Waiting{
				Ordinal: ordinal,
				ID:      p.ID, Version: p.Version, Ticket: tickets[p.ID], Kind: p.Kind, KindLabel: letter.KindLabels[p.Kind], Dated: *p.Dated, Since: p.CreatedAt, Template: templates[p.Kind],
			})
		}
		return nil
	})
	return list, err
}

// Typed is the number that persuratan gives a paper.
type Typed struct {
	Number string
	Dated  string // YYYY-MM-DD
	// Unusual says that the number is meant, although it does not look like the usual ones.
	Unusual bool
}

// Number gives a paper the number that persuratan typed, with its date. A number that
// does not look like the usual ones is asked for once more. Errors: form.Faults, and
// those of Paper and letter.TypeNumber.
func (d Desk) Number(ctx context.Context, who identity.Account, id string, seen int64, n Typed) error {
	p, err := d.Paper(ctx, who, id)
	if err == nil {
		err = letter.MayType(p, who.Role)
	}
	if err == nil {
		err = same(seen, p.Version)
	}
	if err != nil {
		return err
	}
	var wrong form.Faults
	wrong.Need("/number", "Nomor", &n.Number, maxNumber)
	n.Number = strings.Join(strings.Fields(n.Number), " ")
	dated := d.day(&wrong, "/dated", "Tanggal naskah", n.Dated, p.Dated)
	if err := wrong.Err(); err != nil {
		return err
	}
	usual, err := letter.GetNumbering(ctx, d.DB, p.Kind)
	if err != nil && !errors.Is(err, letter.ErrNoNumbering) {
		return err
	}
	if !n.Unusual && !usual.Usual(n.Number, dated.Year) {
		return form.One("/unusual", "unusual_number", fmt.Sprintf("Nomor %s biasanya berbentuk %s. Bila nomor ini memang benar, centang pernyataannya, lalu kirim lagi.",
			letter.KindLabels[p.Kind], usual.Template))
	}
	c := d.change(who, "")
	err = d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		next, err := letter.TypeNumber(ctx, tx, p, n.Number, dated, c)
		if err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.number", p.ID, p.RequestID, about(next, "dated", dated))
	})
	var taken *letter.TakenError
	switch {
	case errors.As(err, &taken):
		of, lost := report.PaperTickets(ctx, d.DB, []string{taken.By.ID})
		if lost != nil {
			return lost
		}
		return form.One("/number", "number_taken", sameAs(n.Number, *taken.By.Number)+fmt.Sprintf(" sudah dipakai %s tertanggal %s pada permohonan %s, keadaan %q. Periksa buku nomor.",
			letter.KindLabels[taken.By.Kind], terbilang.FormatDate(*taken.By.Dated), of[taken.By.ID], letter.Machine.Label(taken.By.State)))
	case errors.Is(err, letter.ErrNoSignatory):
		return form.One("/dated", "no_signatory", "Pada tanggal itu tidak ada pejabat yang menandatangani naskah ini. Periksa tanggalnya, atau daftarkan pejabatnya pada Data induk.")
	}
	return err
}

// sameAs names a number that is taken, also where it was typed in another way: zeros at the
// front of the running number, capitals and blanks make no other number.
func sameAs(typed, taken string) string {
	if typed == taken {
		return "Nomor ini"
	}
	return "Nomor ini sama dengan " + taken + ", yang"
}

// Replace has a paper in force that is wrong made anew. It stays in force until the new
// one is. Errors: form.Faults, postgres.ErrStale, and those of Paper and
// letter.AskReplacement.
func (d Desk) Replace(ctx context.Context, who identity.Account, id string, seen int64, reason string) error {
	p, err := d.Paper(ctx, who, id)
	if err == nil {
		err = MayReplace(p, who)
	}
	if err == nil {
		err = same(seen, p.Version)
	}
	if err == nil {
		err = because(&reason)
	}
	if err != nil {
		return err
	}
	c := d.change(who, reason)
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := letter.AskReplacement(ctx, tx, p, c); err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.ask_replacement", p.ID, p.RequestID, about(p, "reason", c.Reason))
	})
}

// MayReplace says whether an account can have a paper replaced now. Errors:
// letter.ErrReplacementAsked, *machine.RoleError, *machine.IllegalError.
func MayReplace(p letter.Document, who identity.Account) error {
	if err := letter.Machine.MayEver(letter.VerbReplace, who.Role); err != nil {
		return err
	}
	if err := letter.May(p, letter.VerbReplace, who.Role); err != nil {
		return err
	}
	if p.ReplacementAsked {
		return letter.ErrReplacementAsked
	}
	return nil
}

// MayDraftAgain says whether an account can have a paper drafted in the place of a void
// one now. Errors: letter.ErrNotFound, *machine.RoleError.
func (d Desk) MayDraftAgain(ctx context.Context, p letter.Document, who identity.Account) error {
	if err := letter.Machine.MayEver(letter.VerbVoid, who.Role); err != nil {
		return err
	}
	_, err := letter.HeldBy(ctx, d.DB, p.Kind, p.SubjectID)
	return err
}

// DraftAgain lets a paper be drafted in the place of one that was voided for good.
// Errors: those of Paper and letter.DraftAgain.
func (d Desk) DraftAgain(ctx context.Context, who identity.Account, id string) error {
	p, err := d.Paper(ctx, who, id)
	if err != nil {
		return err
	}
	c := d.change(who, "")
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := letter.DraftAgain(ctx, tx, p, c); err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.draft_again", p.ID, p.RequestID, map[string]any{"kind": p.Kind})
	})
}

// Numbering is how a kind of paper gets its number, as it is shown.
type Numbering struct {
	Kind      string    `json:"kind"`
	KindLabel string    `json:"kind_label"`
	Way       string    `json:"way"`
	WayLabel  string    `json:"way_label"`
	Template  string    `json:"template"`
	Last      int       `json:"last"` // the counter's last number of the office's year
	Version   int64     `json:"version"`
	ChangedBy string    `json:"changed_by"`
	ChangedAt time.Time `json:"changed_at"`
}

// Numberings lists how each kind of paper gets its number. Error: ErrInside.
func (d Desk) Numberings(ctx context.Context, who identity.Account) ([]Numbering, error) {
	if report.Outside(who) {
		return nil, ErrInside
	}
	list := []Numbering{}
	err := d.DB.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		all, err := letter.Numberings(ctx, rd)
		if err != nil {
			return err
		}
		for _, n := range all {
			one, err := d.showNumbering(ctx, rd, n)
			if err != nil {
				return err
			}
			list = append(list, one)
		}
		return nil
	})
	return list, err
}

func (d Desk) showNumbering(ctx context.Context, rd postgres.Reader, n letter.Numbering) (Numbering, error) {
	last, err := letter.LastNumber(ctx, rd, n.Template, clock.Today(d.Office).Year)
	shown := Numbering{
		Kind: n.Kind, KindLabel: letter.KindLabels[n.Kind], Way: n.Way, Template: n.Template, Last: last, Version: n.Version, ChangedBy: n.ChangedBy, ChangedAt: n.ChangedAt,
	}
	for _, w := range letter.Ways {
		if w.Code == n.Way {
			shown.WayLabel = w.Label
		}
	}
	return shown, err
}

// ChangeNumbering says from now on how a kind of paper gets its number; last, where it is
// said and not 0, is the last number that is used already this year; with a reason the
// counter goes back to it, also to 0. Errors: ErrNotRegistrar, form.Faults, letter.ErrNoNumbering, postgres.ErrStale.
func (d Desk) ChangeNumbering(ctx context.Context, who identity.Account, kind string, seen int64, way, template string, last *int, reason string) (changed Numbering, err error) {
	if !MayNumber(who.Role) {
		return changed, ErrNotRegistrar
	}
	n, err := letter.GetNumbering(ctx, d.DB, kind)
	if err == nil {
		err = same(seen, n.Version)
	}
	if err != nil {
		return changed, err
	}
	var wrong form.Faults
	wrong.May("/template", "Pola nomor", &template, maxNumber)
	wrong.May("/reason", "Alasan", &reason, maxReason)
	used := 0
	if last != nil {
		used = *last
	} else {
		reason = "" // of nothing that is set
	}
	if way != letter.ByCounter && way != letter.Typed {
		wrong.Add("/way", "unknown_value", "Pilih cara penomoran.")
	}
	if (way == letter.ByCounter || template != "") && letter.CheckTemplate(template) != nil {
		wrong.Add("/template", "wrong_form", "Pola memuat {urut} satu kali dan boleh memuat {tahun}, misalnya 400.8.2.15/{urut}/Dukcapil.")
	}
	if used < 0 || used > 9999999 || used > 0 && template == "" {
		wrong.Add("/last", "out_of_range", "Nomor urut terakhir berupa angka, dan hanya untuk yang berpola.")
	}
	if err := wrong.Err(); err != nil {
		return changed, err
	}
	c, year := d.change(who, reason), clock.Today(d.Office).Year
	n.Way, n.Template = way, template
	err = d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		was, err := letter.LastNumber(ctx, tx, template, year)
		if err != nil {
			return err
		}
		n, err := letter.ChangeNumbering(ctx, tx, n, used, year, c)
		if err != nil {
			return err
		}
		if changed, err = d.showNumbering(ctx, tx, n); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: c.Actor.Name, Action: "numbering.change", Subject: kind,
			Detail: map[string]any{"kind": kind, "way": way, "template": template, "last": used, "was": was, "counter": changed.Last, "reason": c.Reason}})
	})
	var given *letter.GivenError
	switch {
	case errors.Is(err, letter.ErrCounterBack):
		return changed, form.One("/last", "counter_back", "Pencacah pola ini sudah lebih jauh. Bila isian sebelumnya keliru, isi juga alasannya untuk menyetelnya mundur.")
	case errors.As(err, &given) && given.Number != "":
		return changed, form.One("/last", "counter_back", fmt.Sprintf("Pencacah tidak dapat mundur melewati %d: nomor %s sudah diberikan.", given.Last, given.Number))
	case errors.As(err, &given):
		return changed, form.One("/last", "counter_back", fmt.Sprintf("Pencacah tidak dapat mundur melewati %d: nomor sampai itu dilewati sesudah pemulihan cadangan, karena mungkin sudah ada pada naskah.", given.Last))
	}
	return changed, err
}
