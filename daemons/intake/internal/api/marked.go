package api

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
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
	sendWorkbook(w, r, validation.MarkedName(is), list)
	return nil
}

const mediaXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

func sendWorkbook(w http.ResponseWriter, r *http.Request, name string, list []byte) {
	web.Send(w, r, web.Download{Name: name, MediaType: mediaXLSX, Size: int64(len(list)), Content: bytes.NewReader(list)})
}

// wantsWorkbook says whether a client names workbooks among what it accepts.
func wantsWorkbook(r *http.Request) bool {
	for _, header := range r.Header.Values("Accept") {
		for one := range strings.SplitSeq(header, ",") {
			mediaType, params, err := mime.ParseMediaType(one)
			if q, qerr := strconv.ParseFloat(params["q"], 64); err == nil && mediaType == mediaXLSX && (qerr != nil || q > 0) {
				return true
			}
		}
	}
	return false
}

// sendMarked sends the card list of a check with its wrong cells marked and
// commented, unless there is nothing to mark or nothing to mark it in. What the
// intake itself would refuse stands on the page of findings too.
func (a *API) sendMarked(w http.ResponseWriter, r *http.Request, is request.Request, d *drop.Drop, out checked) (sent bool, err error) {
	file := cardListOf(d)
	if file == nil || !validation.Markable(out.Findings) {
		return false, nil
	}
	found := slices.Clone(out.Findings)
	for _, e := range out.Errors {
		found = append(found, validation.Finding{Code: e.Code, Severity: validation.Error, Pointer: e.Pointer, Detail: e.Detail})
	}
	wait, cancel := context.WithTimeout(r.Context(), markWait)
	defer cancel()
	list, err := a.marker.Checked(wait, is, file.Content(), file.Size, found)
	var unmarkable *validation.UnmarkableError
	switch {
	case errors.As(err, &unmarkable):
		return false, nil
	case errors.Is(err, validation.ErrOwnTurn) && r.Context().Err() == nil:
		return false, web.TooMany(markWait)
	case errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil:
		return false, web.Unavailable(markWait)
	case err != nil:
		return false, err
	}
	sendWorkbook(w, r, validation.CheckedName(is), list)
	return true, nil
}

// cardListOf is the card list of a drop, nil when it has none.
func cardListOf(d *drop.Drop) *drop.File {
	i := slices.IndexFunc(d.Files, func(f *drop.File) bool { return f.Kind == request.FileCardList })
	if i < 0 {
		return nil
	}
	return d.Files[i]
}
