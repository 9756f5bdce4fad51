package console

import (
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/web"
)

const apiPath = "/api/v1/station"

// Mount adds the console's routes. They are for whoever stands at the machine: no
// other machine gets an answer, whatever address the station listens on.
func (c *Console) Mount(root chi.Router) error {
	sameSite, err := web.CrossOrigin()
	if err != nil {
		return err
	}
	own := root.With(atTheMachine, sameSite)
	own.Get(apiPath, func(w http.ResponseWriter, r *http.Request) {
		v := c.View()
		if r.URL.Query().Get("brief") == "true" { // for the screen, which asks twice a second
			v.Failures = []Failure{}
		}
		web.WriteJSON(w, r, http.StatusOK, v)
	})
	for verb, mode := range map[string]perso.Mode{"/pause": perso.Paused, "/drain": perso.Draining, "/resume": perso.Running} {
		own.Post(apiPath+verb, web.Handle(c.order(mode)))
	}
	newPages(c).mount(own.With(web.Pages))
	return nil
}

// atTheMachine lets in only requests from this machine itself, by one of its own
// names: a site elsewhere whose name leads here gets no answer either.
func atTheMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !web.Local(r) || !loopback(r.Host) {
			web.WriteProblem(w, r, *web.Forbidden("Alamat ini hanya untuk mesin stasiun itu sendiri."))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopback says whether a Host header names this machine itself.
func loopback(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}

// order takes a wish by the API.
func (c *Console) order(mode perso.Mode) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in struct {
			By     string `json:"by"`
			Reason string `json:"reason"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		s, err := c.Stand(r.Context(), perso.Wish{Mode: mode, By: in.By, Reason: in.Reason})
		var faults form.Faults
		if errors.As(err, &faults) {
			var list []web.FieldError
			for _, f := range faults {
				list = append(list, web.FieldError{Pointer: f.Pointer, Code: f.Code, Detail: f.Detail})
			}
			return web.Unprocessable("Ada isian yang perlu diperbaiki.", list...)
		}
		if err != nil {
			return err
		}
		web.WriteJSON(w, r, http.StatusOK, s)
		return nil
	}
}
