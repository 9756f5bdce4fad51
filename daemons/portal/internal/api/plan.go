package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/planning"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountPlan adds the routes by which people decide about the plan.
func (a *API) mountPlan(r chi.Router) {
	r.Get("/requests/{ticket}/plan", handle(a.getPlan))
	r.Post("/requests/{ticket}/placements", handle(a.place))
	r.Post("/requests/{ticket}/release-now", handle(a.releaseNow))
	r.Post("/placements/{id}/removal", handle(a.unplace))
	r.Get("/days/{day}/commands", handle(a.getCommands))
	r.Post("/days/{day}/closing", handle(a.command(capacity.CloseEarly)))
	r.Post("/days/{day}/reopening", handle(a.command(capacity.Reopen)))
	r.Get("/downtimes", handle(a.listDowntimes))
	r.Post("/downtimes", handle(a.addDowntime))
	r.Get("/downtimes/{id}", handle(a.getDowntime))
	r.Put("/downtimes/{id}", handle(a.changeDowntime))
	r.Post("/downtimes/{id}/removal", handle(a.removeDowntime))
}

func (a *API) planDesk() planning.Desk { return planning.Desk{DB: a.db, Office: a.office} }

func (a *API) getPlan(w http.ResponseWriter, r *http.Request) error {
	v, err := a.planDesk().Plan(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"))
	if err != nil {
		return err
	}
	shown(w, r, v.Version, v)
	return nil
}

// mayPlan says whether whoever asks decides about the request in the address, if they
// may know of it.
func (a *API) mayPlan(r *http.Request) error {
	if _, err := scoped(r.Context(), a.db, r); err != nil {
		return err
	}
	if !planning.May(signin.Account(r).Role) {
		return planning.ErrForbidden
	}
	return nil
}

func (a *API) place(w http.ResponseWriter, r *http.Request) error {
	if err := a.mayPlan(r); err != nil {
		return err
	}
	version, err := web.MatchVersion(r)
	if err != nil {
		return err
	}
	var in struct {
		Day    clock.Date `json:"day"`
		Pin    bool       `json:"pin"`
		Cards  int        `json:"cards"`
		Reason string     `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	v, err := a.planDesk().Place(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), version,
		capacity.Placement{Day: in.Day, Pin: in.Pin, Cards: in.Cards}, in.Reason)
	if err != nil {
		return err
	}
	shown(w, r, v.Version, v)
	return nil
}

func (a *API) releaseNow(w http.ResponseWriter, r *http.Request) error {
	if err := a.mayPlan(r); err != nil {
		return err
	}
	var in struct {
		Cards  int    `json:"cards"`
		Reason string `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	given, err := a.planDesk().Give(r.Context(), signin.Account(r),
		planning.Order{Verb: capacity.ReleaseNow, Ticket: chi.URLParam(r, "ticket"), Cards: in.Cards, Reason: in.Reason})
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusAccepted, given)
	return nil
}

func (a *API) unplace(w http.ResponseWriter, r *http.Request) error {
	if !planning.May(signin.Account(r).Role) {
		return planning.ErrForbidden
	}
	return removal(w, r, versioned, func(id string, version int64, reason string) error {
		return a.planDesk().Unplace(r.Context(), signin.Account(r), id, version, reason)
	})
}

func (a *API) getCommands(w http.ResponseWriter, r *http.Request) error {
	if report.Outside(signin.Account(r)) {
		return planning.ErrInside
	}
	day, err := dayOf(r)
	if err != nil {
		return err
	}
	v, err := a.planDesk().Day(r.Context(), signin.Account(r), day)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

// command gives an order about today; another day in the address is refused.
func (a *API) command(verb capacity.CommandVerb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !planning.May(signin.Account(r).Role) {
			return planning.ErrForbidden
		}
		day, err := dayOf(r)
		if err != nil {
			return err
		}
		var in struct {
			Ticket string `json:"ticket"`
			Reason string `json:"reason"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		if day != a.planDesk().Today() {
			return web.Conflict("Perintah ini hanya untuk hari ini menurut jam kantor.").WithCode("not-today")
		}
		given, err := a.planDesk().Give(r.Context(), signin.Account(r), planning.Order{Verb: verb, Ticket: in.Ticket, Reason: in.Reason})
		if err != nil {
			return err
		}
		web.WriteJSON(w, r, http.StatusAccepted, given)
		return nil
	}
}

func (a *API) listDowntimes(w http.ResponseWriter, r *http.Request) error {
	from, err := dateParam(r, "from", clock.Today(a.office))
	if err != nil {
		return err
	}
	to, err := dateParam(r, "to", from.AddDays(daysMost))
	if err != nil {
		return err
	}
	list, err := a.planDesk().Downtimes(r.Context(), signin.Account(r), from, to)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"downtimes": list})
	return nil
}

func (a *API) getDowntime(w http.ResponseWriter, r *http.Request) error {
	if report.Outside(signin.Account(r)) {
		return planning.ErrInside
	}
	id, err := rowID(r)
	if err != nil {
		return err
	}
	down, err := a.planDesk().Downtime(r.Context(), signin.Account(r), id)
	if err != nil {
		return err
	}
	shown(w, r, down.Version, down)
	return nil
}

// downtimeForm is what is typed of a downtime.
type downtimeForm struct {
	Station string     `json:"station"`
	From    clock.Date `json:"from"`
	To      clock.Date `json:"to"`
	Cards   int        `json:"cards"`
	Reason  string     `json:"reason"`
}

func (f downtimeForm) row() capacity.Downtime {
	return capacity.Downtime{Station: f.Station, From: f.From, To: f.To, Cards: f.Cards}
}

func (a *API) addDowntime(w http.ResponseWriter, r *http.Request) error {
	if !planning.MayDowntime(signin.Account(r).Role) {
		return planning.ErrNotDowntime
	}
	var in downtimeForm
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	made, err := a.planDesk().AddDowntime(r.Context(), signin.Account(r), in.row(), in.Reason)
	if err != nil {
		return err
	}
	created(w, r, "downtimes/"+made.ID, made.Version, made)
	return nil
}

func (a *API) changeDowntime(w http.ResponseWriter, r *http.Request) error {
	if !planning.MayDowntime(signin.Account(r).Role) {
		return planning.ErrNotDowntime
	}
	id, version, err := versioned(r)
	if err != nil {
		return err
	}
	var in downtimeForm
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	down := in.row()
	down.ID, down.Version = id, version
	made, err := a.planDesk().ChangeDowntime(r.Context(), signin.Account(r), down, in.Reason)
	if err != nil {
		return err
	}
	shown(w, r, made.Version, made)
	return nil
}

func (a *API) removeDowntime(w http.ResponseWriter, r *http.Request) error {
	if !planning.MayDowntime(signin.Account(r).Role) {
		return planning.ErrNotDowntime
	}
	return removal(w, r, versioned, func(id string, version int64, reason string) error {
		return a.planDesk().RemoveDowntime(r.Context(), signin.Account(r), id, version, reason)
	})
}
