package api

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/feed"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountFeeds adds the routes of the asker's own calendar feed of a request. Keepers
// end the feeds of others on its page.
func (a *API) mountFeeds(r chi.Router) {
	r.Get("/requests/{ticket}/calendar-feed", handle(a.getFeed))
	r.Post("/requests/{ticket}/calendar-feed", handle(a.makeFeed))
	r.Delete("/requests/{ticket}/calendar-feed", handle(a.endFeed))
}

// ownFeed is the open feed that the asker has of the request in the address.
func (a *API) ownFeed(r *http.Request) (f feed.Feed, err error) {
	of, err := scoped(r.Context(), a.db, r)
	if err != nil {
		return f, err
	}
	list, err := feed.List(r.Context(), a.db, of.ID, signin.Account(r).ID)
	if err != nil {
		return f, err
	}
	if len(list) == 0 {
		return f, report.ErrNotFound
	}
	return list[0], nil
}

func (a *API) getFeed(w http.ResponseWriter, r *http.Request) error {
	f, err := a.ownFeed(r)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, struct {
		CreatedAt time.Time `json:"created_at"`
	}{f.CreatedAt})
	return nil
}

// makeFeed opens an address and tells it, once.
func (a *API) makeFeed(w http.ResponseWriter, r *http.Request) error {
	of, err := scoped(r.Context(), a.db, r)
	if err != nil {
		return err
	}
	token, err := a.window.Open(r.Context(), signin.Account(r), of.ID, nil)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusCreated, struct {
		Address string `json:"address"`
	}{a.window.Address(r, token)})
	return nil
}

func (a *API) endFeed(w http.ResponseWriter, r *http.Request) error {
	f, err := a.ownFeed(r)
	if err != nil {
		return err
	}
	if err := a.window.Close(r.Context(), signin.Account(r), f.RequestID, f.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
