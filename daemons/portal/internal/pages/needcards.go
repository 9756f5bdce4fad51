package pages

import (
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/report"
)

// cardsPerPage are the rows of a list on one page.
const cardsPerPage = 100

type needCardsBody struct {
	*report.NeedCards
	First, Latest  int // rows on this page
	Number, Last   int // pages
	Previous, Next string
	ListPath       string // of the file itself
}

// needCards shows the rows of the list that came with a need (features.md C12).
// There is no such page for a need whose list was never read (C17).
func (p *Pages) needCards(w http.ResponseWriter, r *http.Request) error {
	number, who := chi.URLParam(r, "number"), signin.Account(r)
	v, err := report.LoadNeed(r.Context(), p.db, number, who)
	if err != nil {
		return err
	}
	if v.ListRows == 0 {
		return report.ErrNotFound
	}
	last := (v.ListRows + cardsPerPage - 1) / cardsPerPage
	n, err := strconv.Atoi(r.URL.Query().Get("halaman"))
	if err != nil || n < 1 {
		n = 1
	}
	n = min(n, last)
	page, err := report.ListNeedCards(r.Context(), p.db, number, who, report.CardsQuery{After: (n - 1) * cardsPerPage, Limit: cardsPerPage})
	if err != nil {
		return err
	}
	path := needsPath + "/" + v.Number + "/daftar?halaman="
	body := needCardsBody{
		NeedCards: page, First: (n-1)*cardsPerPage + 1, Latest: (n-1)*cardsPerPage + len(page.Cards), Number: n, Last: last,
		ListPath: "/api/v1/needs/" + v.Number + "/files/" + filesOf(v.NeedSummary).List.ID,
	}
	if n > 1 {
		body.Previous = path + strconv.Itoa(n-1)
	}
	if n < last {
		body.Next = path + strconv.Itoa(n+1)
	}
	p.show(w, r, http.StatusOK, "need-cards", "Daftar alat "+v.Number, body)
	return nil
}
