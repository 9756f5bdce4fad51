package api

import (
	"bytes"
	"net/http"

	"dukcapil.go.id/sifilma/daemons/portal/internal/readers"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/readersheet"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// listPairs tells which card went into which reader, and where the office knows it from.
func (a *API) listPairs(w http.ResponseWriter, r *http.Request) error {
	if err := readers.MaySeePairs(signin.Account(r)); err != nil {
		return err
	}
	q, bad := report.ParsePairQuery(r.URL.Query())
	if len(bad) > 0 {
		return badParameters(bad)
	}
	page, err := report.ReaderPairs(r.Context(), a.db, signin.Account(r), q)
	if err != nil {
		return err
	}
	web.SetNext(w, r, page.Next)
	web.WriteJSON(w, r, http.StatusOK, page)
	return nil
}

// pairsTemplate gives the empty workbook of pairs.
func (a *API) pairsTemplate(w http.ResponseWriter, r *http.Request) error {
	if err := readers.MaySeePairs(signin.Account(r)); err != nil {
		return err
	}
	book, err := a.readerDesk().PairsTemplate()
	if err != nil {
		return err
	}
	web.Send(w, r, web.Download{Name: readersheet.PairsFile, MediaType: mediaXLSX, Size: int64(len(book)), Content: bytes.NewReader(book)})
	return nil
}

// pairReaders records into which readers cards went.
func (a *API) pairReaders(w http.ResponseWriter, r *http.Request) error {
	if err := activation.MayPair(signin.Account(r).Role); err != nil {
		return err
	}
	var in struct {
		Pairs []activation.Pair `json:"pairs"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if err := a.readerDesk().Pair(r.Context(), signin.Account(r), in.Pairs, activation.SourceAPI); err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"paired": len(in.Pairs)})
	return nil
}
