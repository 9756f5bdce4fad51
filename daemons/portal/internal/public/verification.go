package public

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/gate"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// NoPaper is said of a token that no paper carries.
const NoPaper = "Tidak ada naskah dengan kode pemeriksaan ini. Periksa kembali kode yang tercetak pada naskah. Bila kodenya sudah sama, naskah itu tidak tercatat pada Direktorat Jenderal Kependudukan dan Pencatatan Sipil."

// Wait refuses a network that has asked too often.
func (p *Window) Wait(r *http.Request) error {
	if p.gate.Allow(web.ClientIP(r)) {
		return nil
	}
	return web.TooMany(gate.Window)
}

// Verify is what anybody may know of the paper that carries a token, as somebody typed
// it. Error: report.ErrNotFound.
func (p *Window) Verify(ctx context.Context, typed string) (report.Verification, error) {
	token, ok := letter.ParseToken(typed)
	if !ok {
		return report.Verification{}, report.ErrNotFound
	}
	return report.Verify(ctx, p.db, token)
}

// verification answers GET /api/v1/verifications/{token}.
func (p *Window) verification(w http.ResponseWriter, r *http.Request) error {
	v, err := p.Verify(r.Context(), chi.URLParam(r, "token"))
	if errors.Is(err, report.ErrNotFound) {
		return web.NotFound(NoPaper)
	}
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}
