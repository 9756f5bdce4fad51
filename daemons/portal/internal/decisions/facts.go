package decisions

import (
	"context"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// Statement is a fact that people state: a Letter, Blanks, a Comparison or a
// Disposition.
type Statement interface {
	// Fact is its code, such as request.FactCompared.
	Fact() string
	// detail is what is kept of it, if it can be true of the request today.
	detail(of request.Request, today clock.Date) (map[string]any, error)
}

// Letter says when the letter on paper came.
type Letter struct {
	On clock.Date
	At *workday.TimeOfDay // nil when nobody looked at the clock
}

// Fact is request.FactLetterReceived.
func (Letter) Fact() string { return request.FactLetterReceived }

func (l Letter) detail(of request.Request, today clock.Date) (map[string]any, error) {
	switch {
	case l.On.IsZero():
		return nil, refuse("/received_on", "missing", "Tanggal penerimaan surat wajib diisi.")
	case l.On.After(today):
		return nil, refuse("/received_on", "in_future", "Tanggal penerimaan surat tidak boleh setelah hari ini.")
	case l.On.Before(of.Letter.Date):
		return nil, refuse("/received_on", "before_letter", "Surat tidak dapat diterima sebelum tanggal surat itu sendiri.")
	}
	detail := map[string]any{"received_on": l.On}
	if l.At != nil {
		detail["received_time"] = *l.At
	}
	return detail, nil
}

// countsFrom is the hari kerja from which a letter counts: one that came in after
// office hours or on an off day counts from the next (users.md B.1). Without a time
// of its own, one that is recorded on its day came now, and one that is recorded
// later came within office hours.
func (d *Desk) countsFrom(ctx context.Context, rd postgres.Reader, l Letter) (clock.Date, error) {
	at := l.On.At(12, 0)
	if l.At != nil {
		at = l.On.At(int(*l.At)/60, int(*l.At)%60)
	} else if now := d.office.Now(); clock.DateOf(now) == l.On {
		at = now
	}
	calendar, err := capacity.Calendar(ctx, rd)
	if err != nil {
		return clock.Date{}, err
	}
	return calendar.ReceivedOn(at, d.hours), nil
}

// Blanks says how many blank cards were counted; nil is not said.
type Blanks struct{ Count *int }

// Fact is request.FactBlanksCounted.
func (Blanks) Fact() string { return request.FactBlanksCounted }

func (b Blanks) detail(request.Request, clock.Date) (map[string]any, error) {
	if b.Count == nil {
		return nil, refuse("/count", "missing", "Jumlah blangko wajib diisi.")
	}
	return map[string]any{"count": *b.Count}, nil
}

// Paper is a paper that is compared with what was typed.
type Paper struct{ Name, Label string }

// Papers are those of a kind of request (features.md N11): the names of a
// Comparison's papers.
func Papers(kind string) []Paper {
	papers := []Paper{{"letter", "Surat permohonan"}, {"purchase_orders", "Purchase order (PO)"}, {"pks", "Perjanjian kerja sama (PKS)"}}
	if kind != request.KindReader {
		return papers[:1]
	}
	return papers
}

// Comparison says that the papers of a submission are equal to what was typed;
// whoever finds a difference returns the request instead. It names the submission
// whose papers were compared, for a correction may have come in meanwhile.
type Comparison struct {
	Submission *int
	Equal      map[string]*bool // by the names of Papers; nil was not compared
	Notes      string
}

// Fact is request.FactCompared.
func (Comparison) Fact() string { return request.FactCompared }

func (c Comparison) detail(of request.Request, _ clock.Date) (map[string]any, error) {
	var wrong form.Faults
	switch {
	case c.Submission == nil:
		wrong.Add("/submission", "missing", "Sebutkan pengajuan ke berapa yang dibandingkan.")
	case *c.Submission != of.Submission:
		return nil, postgres.ErrStale
	}
	needed := len(Papers(of.Kind))
	for i, paper := range Papers(request.KindReader) { // a paper too many may be said to differ, too
		switch equal := c.Equal[paper.Name]; {
		case equal == nil && i < needed:
			wrong.Add("/"+paper.Name, "missing", "%s belum dibandingkan.", paper.Label)
		case equal != nil && !*equal:
			wrong.Add("/"+paper.Name, "differs", "%s tidak sesuai dengan isian.", paper.Label)
		}
	}
	if len(wrong) > 0 {
		return nil, &Refusal{"Pencatatan hanya untuk berkas yang sesuai. Bila ada yang berbeda, kembalikan permohonan dengan alasan.", wrong}
	}
	return noted("notes", c.Notes), nil
}

// Disposition is what the Direktur FPDDK says to a request that was approved. On is
// the day on which Subdit KI received it, which ranks the request (features.md I12);
// one that is recorded late keeps its rank. Zero is today.
type Disposition struct {
	Note string
	On   clock.Date
}

// Fact is request.FactDisposed.
func (Disposition) Fact() string { return request.FactDisposed }

func (d Disposition) detail(of request.Request, today clock.Date) (map[string]any, error) {
	switch {
	case d.On.After(today):
		return nil, refuse("/received_on", "in_future", "Tanggal disposisi tidak boleh setelah hari ini.")
	case !d.On.IsZero() && d.On.Before(of.Letter.Date):
		return nil, refuse("/received_on", "before_letter", "Disposisi tidak dapat diterima sebelum tanggal surat permohonannya.")
	}
	detail := noted("note", d.Note)
	if !d.On.IsZero() {
		detail["received_on"] = d.On
	}
	return detail, nil
}

// noted is a detail with a note, if there is one.
func noted(name, text string) map[string]any {
	if text == "" {
		return map[string]any{}
	}
	return map[string]any{name: Cut(text)}
}

// Cut bounds a note to MaxText.
func Cut(text string) string {
	if runes := []rune(text); len(runes) > MaxText {
		return string(runes[:MaxText])
	}
	return text
}
