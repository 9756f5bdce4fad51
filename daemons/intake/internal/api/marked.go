package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
)

const (
	// markTime bounds the marking of one list and its way to the client.
	markTime = 2 * time.Minute
	// markWait is how long a client waits for its turn.
	markWait = 20 * time.Second
)

// marked answers with the card list of the newest submission of one of the
// client's own requests, its wrong cells marked and commented.
func (a *API) marked(w http.ResponseWriter, r *http.Request) error {
	is, err := request.ByTicket(r.Context(), a.db, chi.URLParam(r, "ticket"), client(r.Context()).InstitutionID)
	if errors.Is(err, request.ErrNotFound) {
		return noSuchTicket()
	}
	if err != nil {
		return err
	}
	trace.Join(r.Context(), is.TraceParent)
	wait, cancel := context.WithTimeout(r.Context(), markWait)
	defer cancel()
	list, err := a.marker.HandBack(r.Context(), wait, a.db, is)
	var unmarkable *validation.UnmarkableError
	switch {
	case errors.Is(err, validation.ErrNotJudged):
		return web.Conflict("Kiriman terakhir permohonan ini masih diperiksa. Coba lagi beberapa saat lagi.").WithCode("not-judged-yet")
	case errors.Is(err, validation.ErrNoFindings):
		return web.Conflict("Kiriman terakhir permohonan ini tidak memiliki temuan, sehingga tidak ada sel yang perlu ditandai.").WithCode("no-findings")
	case errors.As(err, &unmarkable):
		return web.Conflict(unmarkable.Detail + " Karena itu tidak ada berkas bertanda; temuannya ada pada jawaban permohonan ini.").WithCode("not-markable")
	case errors.Is(err, validation.ErrOwnTurn) && r.Context().Err() == nil:
		return web.TooMany(markWait)
	case errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil:
		return web.Unavailable(markWait)
	case err != nil:
		return err
	}
	web.Send(w, r, web.Download{
		Name: validation.MarkedName(is), MediaType: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		Size: int64(len(list)), Content: bytes.NewReader(list),
	})
	return nil
}
