package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/daemons/portal/internal/manifests"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

var sizes = []int{25, 50, 100}

const (
	maxSearch = 200 // bytes
	mineOnly  = "menunggu-saya"
)

type stateOption struct {
	Code   machine.State
	Label  string
	Count  int
	Chosen bool
}

type listBody struct {
	Search         string
	Mine           bool // only what waits for the asker
	Readers        int  // letters of readers that wait for the asker, where Mine
	Keys           int  // manifests of revoked keys that the asker is to see replaced, where Mine
	States         []stateOption
	Sizes          []int
	Limit          int
	Page           *report.Page
	Outside        bool
	Narrowed       bool
	Summary        string
	Number, Last   int
	Previous, Next string
}

// list shows the requests. Everything that narrows it is in the address.
func (p *Pages) list(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	who := signin.Account(r)
	f := request.Filter{Search: strings.TrimSpace(q.Get("cari")), Limit: sizes[0]}
	if len(f.Search) > maxSearch || !utf8.ValidString(f.Search) || strings.ContainsRune(f.Search, 0) {
		f.Search = ""
	}
	if n, err := strconv.Atoi(q.Get("baris")); err == nil && slices.Contains(sizes, n) {
		f.Limit = n
	}
	state := machine.State(q.Get("keadaan"))
	if slices.Contains(request.Machine.States(), state) {
		f.States = []machine.State{state}
	}
	number, err := strconv.Atoi(q.Get("halaman"))
	if err != nil || number < 1 || number > 1_000_000 {
		number = 1
	}
	f.Offset = (number - 1) * f.Limit
	mine := q.Get(mineOnly) != ""
	page, err := report.List(r.Context(), p.db, who, report.Query{Filter: f, Totals: true, Mine: mine})
	if err != nil {
		return err
	}
	body := listBody{
		Search: f.Search, Mine: mine, Sizes: sizes, Limit: f.Limit, Page: page, Outside: report.Outside(who), Narrowed: mine || f.Search != "" || len(f.States) > 0,
		Number: number, Last: max(1, (page.Total+f.Limit-1)/f.Limit),
	}
	if mine {
		letters, err := report.ActivationsWaitingFor(r.Context(), p.db, who)
		if err != nil {
			return err
		}
		body.Readers = len(letters)
		if manifests.MayReissue(who.Role) == nil {
			keys, err := p.manifestDesk().Keys(r.Context(), who)
			if err != nil {
				return err
			}
			due, held := keys.Lost()
			body.Keys = due + held
		}
	}
	for _, s := range request.Machine.States() {
		if n := page.Counts[s]; n > 0 || s == state {
			body.States = append(body.States, stateOption{s, request.Machine.Label(s), n, s == state})
		}
	}
	body.Summary = summary(page, f.Offset, body.Narrowed)
	if number > 1 {
		body.Previous = listAddress(f, mine, min(number-1, body.Last))
	}
	if number < body.Last {
		body.Next = listAddress(f, mine, number+1)
	}
	p.show(w, r, http.StatusOK, "list", "Permohonan", body)
	return nil
}

func summary(page *report.Page, offset int, narrowed bool) string {
	all := number(page.Total) + " permohonan"
	if narrowed {
		all += " yang cocok"
	}
	if n := len(page.Requests); n > 0 && n < page.Total {
		return number(offset+1) + " sampai " + number(offset+n) + " dari " + all + "."
	}
	return all + "."
}

func listAddress(f request.Filter, mine bool, page int) string {
	q := url.Values{}
	if mine {
		q.Set(mineOnly, "1")
	}
	if f.Search != "" {
		q.Set("cari", f.Search)
	}
	if len(f.States) > 0 {
		q.Set("keadaan", string(f.States[0]))
	}
	if f.Limit != sizes[0] {
		q.Set("baris", strconv.Itoa(f.Limit))
	}
	if page > 1 {
		q.Set("halaman", strconv.Itoa(page))
	}
	if len(q) == 0 {
		return home
	}
	return home + "?" + q.Encode()
}
