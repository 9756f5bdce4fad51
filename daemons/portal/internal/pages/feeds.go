package pages

import (
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/feed"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/report"
)

const feedsPath = "/langganan"

// feedBlock is the part of a request's page where its dates are subscribed to.
type feedBlock struct {
	Action string
	Own    *feed.Feed  // of whoever looks
	Others []feed.Feed // for keepers
}

// feedBlock reads the open feeds of a request, as far as somebody may end them.
func (p *Pages) feedBlock(r *http.Request, who identity.Account, v *report.Request) (feedBlock, error) {
	b := feedBlock{Action: feedsPath + "/" + v.Ticket}
	list, err := p.window.Feeds(r.Context(), who, v.ID)
	if err != nil {
		return b, err
	}
	for i, f := range list {
		if f.AccountID == who.ID {
			b.Own = &list[i]
		} else {
			b.Others = append(b.Others, f)
		}
	}
	return b, nil
}

func (p *Pages) mountFeeds(inside chi.Router) {
	inside.Get(feedsPath+"/{ticket}", p.handle(explained(p.seeFeed)))
	inside.Post(feedsPath+"/{ticket}", p.handle(explained(p.openFeed)))
	inside.Post(feedsPath+"/{ticket}/cabut", p.handle(explained(p.closeFeed)))
}

type feedBody struct{ Ticket, Address, Back string }

// seeFeed is for who comes by the address of the form: the feeds are on the request.
func (p *Pages) seeFeed(w http.ResponseWriter, r *http.Request) error {
	v, err := report.Load(r.Context(), p.db, chi.URLParam(r, "ticket"), signin.Account(r), p.office.Now())
	if err != nil {
		return err
	}
	http.Redirect(w, r, home+"/"+v.Ticket+"#langganan", http.StatusSeeOther) //nolint:gosec // the ticket is the database's own
	return nil
}

// openFeed makes an address and shows it, once: the form names the address that it
// replaces, so that a page that is loaded again does not end what it has just shown.
func (p *Pages) openFeed(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	v, err := report.Load(r.Context(), p.db, chi.URLParam(r, "ticket"), who, p.office.Now())
	if err != nil {
		return err
	}
	if err := typed(r); err != nil {
		return err
	}
	seen := r.PostForm.Get("lama")
	token, err := p.window.Open(r.Context(), who, v.ID, &seen)
	if errors.Is(err, feed.ErrStale) {
		p.show(w, r, http.StatusConflict, "feed", "Langganan kalender", feedBody{v.Ticket, "", home + "/" + v.Ticket})
		return nil
	}
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "feed", "Langganan kalender", feedBody{v.Ticket, p.window.Address(r, token), home + "/" + v.Ticket})
	return nil
}

// closeFeed ends an address.
func (p *Pages) closeFeed(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	v, err := report.Load(r.Context(), p.db, chi.URLParam(r, "ticket"), who, p.office.Now())
	if err != nil {
		return err
	}
	if err := typed(r); err != nil {
		return err
	}
	id, err := uuid.Parse(r.PostForm.Get("alamat"))
	if err != nil {
		return report.ErrNotFound
	}
	if err := p.window.Close(r.Context(), who, v.ID, id.String()); err != nil {
		return err
	}
	http.Redirect(w, r, home+"/"+v.Ticket+"#langganan", http.StatusSeeOther) //nolint:gosec // the ticket is the database's own
	return nil
}
