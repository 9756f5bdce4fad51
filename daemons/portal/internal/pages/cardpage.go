package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

type cardLine struct {
	perso.CardRow
	Tag  tag
	Note string
}

type cardCount struct {
	Tag   tag
	Count int
	Path  string // of these alone
}

// cardBlock is a page of the cards of a request on its page.
type cardBlock struct {
	Action         string
	Counts         []cardCount     // of all cards; none while no card is on the line
	Lines          []cardLine      // of this page
	Listed         []cardlist.Card // instead, while no card is on the line
	Search         string
	States         []stateOption
	Finding        bool // a list long enough to look for a card in it
	Narrowed       bool
	Summary        string
	Number, Last   int
	Previous, Next string
}

// cardsAsked are the cards that the address asks for.
func cardsAsked(r *http.Request) perso.Part {
	q := r.URL.Query()
	part := perso.Part{Search: strings.TrimSpace(q.Get("cari")), Limit: cardsPerPage}
	if len(part.Search) > maxSearch || !utf8.ValidString(part.Search) || strings.ContainsRune(part.Search, 0) {
		part.Search = ""
	}
	if s := machine.State(q.Get("status")); slices.Contains(perso.Machine.States(), s) {
		part.State = s
	}
	if n, err := strconv.Atoi(q.Get("halaman")); err == nil && n > 1 && n <= cardlist.MostRows {
		part.Offset = (n - 1) * part.Limit
	}
	return part
}

func cardsBlock(ticket string, page report.CardPage, asked perso.Part) cardBlock {
	at := home + "/" + ticket
	number1 := asked.Offset/asked.Limit + 1
	b := cardBlock{
		Action: at + "#kartu", Lines: cardLines(page.Cards), Listed: page.Listed, Search: asked.Search, Narrowed: asked.Search != "" || asked.State != "",
		Number: number1, Last: max(1, (page.Total+asked.Limit-1)/asked.Limit),
	}
	all := 0
	tagFor := tagOf(perso.Machine)
	for _, s := range perso.Machine.States() {
		n := page.Counts[s]
		all += n
		if n > 0 {
			b.Counts = append(b.Counts, cardCount{tagFor(s), n, cardsAddress(at, perso.Part{State: s}, 1)})
		}
		if n > 0 || s == asked.State {
			b.States = append(b.States, stateOption{s, perso.Machine.Label(s), n, s == asked.State})
		}
	}
	b.Finding = b.Narrowed || max(all, page.Total) > 10
	b.Summary = number(page.Total) + " kartu"
	if b.Narrowed {
		b.Summary += " yang cocok"
	}
	if n := len(page.Cards) + len(page.Listed); n > 0 && n < page.Total {
		b.Summary = number(asked.Offset+1) + " sampai " + number(asked.Offset+n) + " dari " + b.Summary
	}
	b.Summary += "."
	if b.Number > 1 {
		b.Previous = cardsAddress(at, asked, b.Number-1)
	}
	if b.Number < b.Last {
		b.Next = cardsAddress(at, asked, b.Number+1)
	}
	return b
}

func cardsAddress(at string, part perso.Part, page int) string {
	q := url.Values{}
	if part.Search != "" {
		q.Set("cari", part.Search)
	}
	if part.State != "" {
		q.Set("status", string(part.State))
	}
	if page > 1 {
		q.Set("halaman", strconv.Itoa(page))
	}
	if len(q) == 0 {
		return at + "#kartu"
	}
	return at + "?" + q.Encode() + "#kartu"
}

// cardLines words the cards' remarks.
func cardLines(cards []perso.CardRow) []cardLine {
	tagFor := tagOf(perso.Machine)
	var lines []cardLine
	for _, c := range cards {
		var notes []string
		if c.Reason != "" {
			notes = append(notes, c.Reason)
		}
		if c.ReplacedBy != nil {
			notes = append(notes, "diganti oleh "+c.NewSerial)
		}
		if c.Replaces != nil {
			notes = append(notes, "pengganti "+c.OldSerial)
		}
		if d := c.Reduction; d != nil {
			if d.Was != perso.Listed {
				notes = []string{strings.TrimSuffix(d.WasLabel+": "+c.Reason, ": ")}
			}
			notes = append(notes, "dikurangi menurut surat nomor "+d.LetterNumber+" tanggal "+terbilang.FormatDate(d.LetterDate))
		}
		if c.Proposal != "" {
			notes = append(notes, "usul stasiun: "+perso.DecisionLabels[c.Proposal])
		}
		if s := c.Resolution; s != nil && c.State == perso.InDoubt {
			decided := "diputuskan " + s.DecidedBy + ": " + perso.DecisionLabels[s.Decision]
			if s.ConfirmedBy == nil {
				decided += ", menunggu konfirmasi orang kedua"
			}
			notes = append(notes, decided)
		}
		shown := tagFor(c.State)
		shown.Text = c.StateLabel // of one that is done by hand another than the state's
		lines = append(lines, cardLine{CardRow: c, Tag: shown, Note: sentenceCase(strings.Join(notes, "; "))})
	}
	return lines
}
