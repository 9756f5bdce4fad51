// Package pages are the portal's pages: plain HTML that works without scripts.
package pages

import (
	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Pages serves the pages.
type Pages struct {
	db     *postgres.DB
	office clock.Office
	door   *signin.Door
}

// New returns the pages.
func New(db *postgres.DB, office clock.Office, door *signin.Door) *Pages {
	return &Pages{db: db, office: office, door: door}
}

// Mount adds the pages' routes.
func (p *Pages) Mount(chi.Router) {}
