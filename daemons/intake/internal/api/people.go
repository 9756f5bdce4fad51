package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/web"
)

type accountKey struct{}

// account returns the person who asks, behind person.
func account(ctx context.Context) identity.Account {
	a, _ := ctx.Value(accountKey{}).(identity.Account)
	return a
}

// person lets in people of an institution who have signed in at the portal: its
// session's cookie comes here too, since both are one site.
func (a *API) person(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := a.who(r)
		if err != nil {
			a.refusePerson(w, r, err)
			return
		}
		if wait := a.limiters.wait("account:"+who.ID, a.machine.Now()); wait > 0 {
			a.refusePerson(w, r, web.TooMany(wait))
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(withClient(r.Context(), clientOf(who)), accountKey{}, who)))
	})
}

func (a *API) who(r *http.Request) (identity.Account, error) {
	cookie, err := r.Cookie(identity.SessionCookie(strings.HasPrefix(a.cfg.PortalURL, "https://")))
	if err != nil {
		return identity.Account{}, identity.ErrNoSession
	}
	who, err := identity.SessionAccount(r.Context(), a.db, cookie.Value, a.machine.Now())
	if err != nil {
		return who, err
	}
	if who.MustChange {
		return who, web.Forbidden("Kata sandi Anda masih kata sandi sekali pakai. Masuk ke portal dan ganti kata sandi itu, lalu buka kembali halaman ini.").
			WithCode("password-change-due")
	}
	if who.InstitutionID == nil || who.Institution == nil {
		return who, web.Forbidden("Halaman ini untuk pemohon. Petugas Ditjen Dukcapil bekerja di portal.").WithCode("not-an-applicant")
	}
	return who, nil
}

// clientOf is a person as the client that drops: what an institution may do does
// not depend on how it comes.
func clientOf(who identity.Account) identity.Client {
	return identity.Client{
		InstitutionID: *who.InstitutionID, Institution: *who.Institution, Kind: string(who.Role),
		Scopes: []string{identity.ScopeRequestRead, identity.ScopeRequestWrite},
	}
}

// refusePerson answers with a page that says what to do.
func (a *API) refusePerson(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, identity.ErrNoSession) {
		if r.Method == http.MethodGet && a.cfg.PortalURL != "" {
			way := "/pengajuan" // the portal knows where this is
			if r.URL.RawQuery != "" && r.URL.Path == way {
				way += "?" + r.URL.RawQuery
			}
			w.Header().Set("Cache-Control", "no-store")
			http.Redirect(w, r, strings.TrimRight(a.cfg.PortalURL, "/")+"/masuk?lanjut="+url.QueryEscape(way), http.StatusSeeOther)
			return
		}
		a.render(w, r, http.StatusUnauthorized, "Masuk dahulu", "signin", nil)
		return
	}
	p := personal(web.ProblemOf(r.Context(), err))
	name := "refused"
	if client(r.Context()).Kind == institution.Lembaga {
		name = "lembaga"
	}
	a.render(w, r, p.Status, p.Title, name, p.Detail)
}
