package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
)

// markWait is how long somebody waits for the turn of a list to be marked.
const markWait = 20 * time.Second

// markedList gives the card list of the newest submission with its wrong cells
// marked and commented, for its applicant to correct in place.
func (a *API) markedList(w http.ResponseWriter, r *http.Request) error {
	of, err := scoped(r.Context(), a.db, r)
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(r.Context(), markWait)
	defer cancel()
	list, err := a.marker.HandBack(r.Context(), wait, a.db, of)
	var unmarkable *validation.UnmarkableError
	switch {
	case errors.Is(err, validation.ErrNotJudged):
		return web.Conflict("Kiriman terakhir permohonan ini masih diperiksa. Coba lagi beberapa saat lagi.").WithCode("not-judged-yet")
	case errors.Is(err, validation.ErrNoFindings):
		return web.Conflict("Kiriman terakhir permohonan ini tidak memiliki temuan, sehingga tidak ada sel yang perlu ditandai.").WithCode("no-findings")
	case errors.As(err, &unmarkable):
		return web.Conflict(unmarkable.Detail + " Karena itu tidak ada berkas bertanda; temuannya ada pada halaman permohonan ini.").WithCode("not-markable")
	case errors.Is(err, validation.ErrOwnTurn) && r.Context().Err() == nil:
		return web.TooMany(markWait)
	case errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil:
		return web.Unavailable(markWait)
	case err != nil:
		return err
	}
	web.Send(w, r, web.Download{
		Name: validation.MarkedName(of), MediaType: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		Size: int64(len(list)), Content: bytes.NewReader(list),
	})
	return nil
}
