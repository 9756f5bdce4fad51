package pages

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/shelf"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

const (
	shelfPath  = "/antrean-gagal"
	shelfShown = 50   // entries of the page
	maxReason  = 2000 // characters
)

type shelfLine struct {
	shelf.Entry
	Content string // the payload, indented
	Tag     tag
}

type shelfBody struct {
	Lines   []shelfLine
	All     int
	Types   []shelf.TypeCount // of all open entries that can be replayed
	Notice  string
	Problem string
}

// More is how many open entries are not shown.
func (b shelfBody) More() int { return b.All - len(b.Lines) }

// keeper wants somebody who looks after the shelf.
func (p *Pages) keeper(f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return p.handle(func(w http.ResponseWriter, r *http.Request) error {
		if role := signin.Account(r).Role; !shelf.May(role) {
			return web.Forbidden("Peran " + request.RoleLabels[role] + " tidak berwenang atas antrean gagal.")
		}
		return f(w, r)
	})
}

// shelf shows the messages that wait for a person.
func (p *Pages) shelf(w http.ResponseWriter, r *http.Request) error {
	list, all, err := shelf.Open(r.Context(), p.db)
	if err != nil {
		return err
	}
	body := shelfBody{All: all, Types: shelf.Types(list)}
	for _, e := range list[:min(len(list), shelfShown)] {
		body.Lines = append(body.Lines, shelfLine{Entry: e, Content: indented(e.Payload), Tag: tag{bad, e.ReasonLabel}})
	}
	q := r.URL.Query()
	if n, err := strconv.Atoi(q.Get("diulang")); err == nil && n >= 0 {
		body.Notice = number(n) + " pesan dikirim ulang. Bila gagal lagi, pesan itu kembali ke daftar ini."
	}
	if q.Get("ditutup") != "" {
		body.Notice = "Pesan ditutup."
	}
	body.Problem = shelfProblems[q.Get("masalah")]
	p.show(w, r, http.StatusOK, "shelf", "Antrean gagal", body)
	return nil
}

func indented(payload json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, payload, "", "  ") != nil {
		return string(payload)
	}
	return out.String()
}

// shelfProblems are what may be in the way of an action, by the code in the
// address that it leads back to.
var shelfProblems = map[string]string{
	"ditangani": "Pesan ini sudah ditangani orang lain.",
	"bentuk":    "Pesan ini tidak dapat dikirim ulang karena bentuknya tidak dikenal; tutup dengan alasan.",
	"alasan":    "Alasan wajib diisi untuk menutup pesan, paling panjang 2.000 karakter.",
	"jenis":     "Jenis pesan ini tidak dikenal.",
}

func (p *Pages) replayOne(w http.ResponseWriter, r *http.Request) error {
	id, err := shelfID(r)
	if err != nil {
		return err
	}
	return backToShelf(w, r, shelf.Replay(r.Context(), p.db, signin.Account(r), id), "diulang", "1")
}

func (p *Pages) replayType(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	messageType := r.PostForm.Get("jenis")
	if !slices.Contains(rabbit.Types(), messageType) {
		return backToShelf(w, r, nil, "masalah", "jenis")
	}
	ids, err := shelf.OfType(r.Context(), p.db, messageType)
	if err != nil {
		return err
	}
	_, replayed, err := shelf.ReplayAll(r.Context(), p.db, signin.Account(r), ids)
	return backToShelf(w, r, err, "diulang", strconv.Itoa(replayed))
}

func (p *Pages) layAside(w http.ResponseWriter, r *http.Request) error {
	id, err := shelfID(r)
	if err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	reason := r.PostForm.Get("alasan")
	if len([]rune(reason)) > maxReason {
		return backToShelf(w, r, shelf.ErrReasonMissing, "", "")
	}
	return backToShelf(w, r, shelf.Close(r.Context(), p.db, signin.Account(r), id, reason), "ditutup", "1")
}

func shelfID(r *http.Request) (string, error) {
	id, err := uuid.Parse(chi.URLParam(r, "id"))
	if err != nil {
		return "", web.NotFound("Pesan ini tidak ada.")
	}
	return id.String(), nil
}

// backToShelf leads from an action to the list, which says what became of it.
func backToShelf(w http.ResponseWriter, r *http.Request, err error, key, value string) error {
	switch {
	case errors.Is(err, shelf.ErrNotFound):
		return web.NotFound("Pesan ini tidak ada.")
	case errors.Is(err, shelf.ErrClosed):
		key, value = "masalah", "ditangani"
	case errors.Is(err, shelf.ErrReasonMissing):
		key, value = "masalah", "alasan"
	case errors.Is(err, outbox.ErrNotReplayable):
		key, value = "masalah", "bentuk"
	case err != nil:
		return err
	}
	http.Redirect(w, r, shelfPath+"?"+url.Values{key: {value}}.Encode(), http.StatusSeeOther)
	return nil
}
