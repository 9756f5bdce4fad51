// Package api is the portal's JSON API: what staff, and a produsen's people, see
// and decide. Every verb is one transaction of an office function and its audit
// row; who may do what is said by the machines' tables, not here.
package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/public"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
)

// transfer is how long a file may take on its way in or out.
const transfer = 2 * time.Minute

// API serves /api/v1.
type API struct {
	db     *postgres.DB
	office clock.Office
	door   *signin.Door
	spool  *upload.Spool
	marker *validation.Marker
	desk   *masterdata.Desk
	decide *decisions.Desk
	window *public.Window
	asker  *report.Asker
	signer *counter.Service
}

// New returns the API; signer is the service that signs papers, or nil.
func New(db *postgres.DB, office clock.Office, door *signin.Door, spool *upload.Spool, desk *masterdata.Desk, decide *decisions.Desk, window *public.Window, asker *report.Asker, signer *counter.Service) *API {
	return &API{
		db: db, office: office, door: door, spool: spool,
		marker: validation.NewMarker(1), desk: desk, decide: decide, window: window, asker: asker, signer: signer,
	}
}

// Mount adds the API's routes.
func (a *API) Mount(root chi.Router) {
	root.Route("/api/v1", func(r chi.Router) {
		r.Post("/session", handle(a.startSession))
		r.Delete("/session", handle(a.endSession))
		r.Group(func(r chi.Router) {
			r.Use(a.door.RequireAny(refuse))
			r.Get("/me", handle(a.me))
			r.Post("/me/password", handle(a.changePassword))
		})
		r.Group(func(r chi.Router) {
			r.Use(a.door.Require(refuse))
			a.mountMasterData(r)
			a.mountProfile(r)
			a.mountRecipes(r)
			a.mountTemplates(r)
			a.mountLots(r)
			a.mountCalendar(r)
			a.mountPlan(r)
			a.mountBoard(r)
			a.mountBlanks(r)
			a.mountDoubts(r)
			a.mountFeeds(r)
			a.mountNumbers(r)
			a.mountPrints(r)
			a.mountSecrets(r)
			a.mountCertified(r)
			r.Get("/requests", handle(a.listRequests))
			r.Get("/late-requests", handle(a.lateRequests))
			r.Get("/late-activations", handle(a.lateActivations))
			r.Get("/requests/{ticket}", handle(a.getRequest))
			for path, verb := range requestVerbs {
				r.Post("/requests/{ticket}/"+path, handle(a.take(verb)))
			}
			for path, s := range statements {
				r.Post("/requests/{ticket}/"+path, handle(a.state(s)))
			}
			r.Get("/requests/{ticket}/cards", handle(a.listCards))
			r.Get("/chips/{key}", handle(a.getChip))
			r.With(web.Slow(transfer)).Get("/requests/{ticket}/files/{id}", handle(a.requestFile))
			r.With(web.Slow(transfer)).Get("/requests/{ticket}/card-list/marked", handle(a.markedList))
			r.Post("/requests/{ticket}/handovers", handle(a.openHandover))
			r.Post("/requests/{ticket}/replacements", handle(a.replaceCards))
			r.Get("/requests/{ticket}/reductions", handle(a.listReductions))
			r.With(web.BodyLimit(upload.MaxLetterBody), web.Slow(transfer)).Post("/requests/{ticket}/reductions", handle(a.reduce))
			r.With(web.Slow(transfer)).Get("/requests/{ticket}/reductions/{id}/letter", handle(a.reductionLetter))
			r.Post("/cards/{id}/replacement", handle(a.replaceCard))
			r.Post("/cards/{id}/resolution", handle(a.proposeResolution))
			r.Delete("/cards/{id}/resolution", handle(a.withdrawResolution))
			r.Post("/cards/{id}/resolution/confirmation", handle(a.confirmResolution))
			r.With(web.Slow(transfer)).Get("/documents/{id}/files/{format}", handle(a.documentFile))
			r.Post("/documents/{id}/voiding", handle(a.void))
			r.Get("/handovers/{id}", handle(a.getHandover))
			r.Put("/handovers/{id}/appointment", handle(a.appoint))
			r.Post("/handovers/{id}/scans", handle(a.scanTray))
			r.Post("/handovers/{id}/receipt", handle(a.receive))
			r.Post("/handovers/{id}/shortages/{shortage}/settlement", handle(a.settleShortage))
			r.Post("/handovers/{id}/closure", handle(a.closeHandover))
			r.Post("/handovers/{id}/cancellation", handle(a.cancelHandover))
			a.mountNeeds(r)
			a.mountActivations(r)
			a.mountManifests(r)
			a.mountByHand(r)
			r.Get("/shelf", keeper(a.listShelf))
			r.Post("/shelf/replay", keeper(a.replayShelf))
			r.Post("/shelf/{id}/replay", keeper(a.replayShelved))
			r.Post("/shelf/{id}/close", keeper(a.closeShelved))
			uploads := r.With(web.BodyLimit(a.spool.MaxBody()), web.Slow(transfer))
			uploads.Post("/documents/{id}/signature", handle(a.sign))
			uploads.Post("/handovers/{id}/delivery", handle(a.deliver))
		})
	})
}

// handle answers errors of the office in its words.
func handle(f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return web.Handle(func(w http.ResponseWriter, r *http.Request) error {
		if err := f(w, r); err != nil {
			return explain(err)
		}
		return nil
	})
}

func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, identity.ErrNoSession) {
		err = web.Unauthorized("Masuk dahulu dengan POST /api/v1/session.")
		w.Header().Set("WWW-Authenticate", `Cookie realm="SI-FILMA"`)
	}
	if errors.Is(err, signin.ErrMustChange) {
		err = web.Forbidden("Ganti dahulu kata sandi sekali pakai Anda dengan POST /api/v1/me/password.").WithCode("password-change-due")
	}
	web.WriteError(w, r, err)
}

// change is a step taken by whoever asks, now.
func (a *API) change(r *http.Request, reason string) request.Change {
	return request.Change{Actor: signin.Account(r).Actor(), Reason: strings.TrimSpace(reason), OfficeAt: a.office.Now()}
}

// scoped reads the request of the address as far as the asker may know of it.
func scoped(ctx context.Context, rd postgres.Reader, r *http.Request) (request.Request, error) {
	row, err := request.ByTicket(ctx, rd, chi.URLParam(r, "ticket"), report.Scope(signin.Account(r)))
	trace.Join(ctx, row.TraceParent)
	return row, err
}

// within says that a request is not for the asker to know of.
func within(ctx context.Context, rd postgres.Reader, r *http.Request, requestID string) (request.Request, error) {
	row, err := request.Get(ctx, rd, requestID)
	if err != nil {
		return row, err
	}
	if scope := report.Scope(signin.Account(r)); scope != "" && scope != row.InstitutionID {
		return request.Request{}, request.ErrNotFound
	}
	trace.Join(ctx, row.TraceParent)
	return row, nil
}

// rowID is the id of the address; anything but a UUID is no row.
func rowID(r *http.Request) (string, error) {
	id, err := uuid.Parse(chi.URLParam(r, "id"))
	if err != nil {
		return "", report.ErrNotFound
	}
	return id.String(), nil
}

// showRequest answers with a request as it stands now.
func (a *API) showRequest(w http.ResponseWriter, r *http.Request, id string) error {
	v, err := report.LoadID(r.Context(), a.db, id, signin.Account(r), a.office.Now())
	if err != nil {
		return err
	}
	web.SetVersion(w, v.Version)
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

// decode reads the body; none at all is an empty one.
func decode(r *http.Request, dst any) error {
	if r.ContentLength == 0 && r.Header.Get("Content-Type") == "" {
		return nil
	}
	return web.DecodeJSON(r, dst)
}

// missing is the problem of one field.
func missing(pointer, detail string) error { return invalid(pointer, "missing", detail) }

func invalid(pointer, code, detail string) error {
	return web.Unprocessable(detail, web.FieldError{Pointer: pointer, Code: code, Detail: detail})
}
