package web

import (
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/rs/zerolog"
)

// SetVersion sets the ETag of a row to its version.
func SetVersion(w http.ResponseWriter, version int64) {
	w.Header().Set("ETag", `"`+strconv.FormatInt(version, 10)+`"`)
}

// SetNext links a page of a list to the next by its mark, as the parameter after
// (RFC 8288). The link keeps the other parameters and is relative, so that it
// holds behind whatever address the client came by. A nil mark is the end.
func SetNext(w http.ResponseWriter, r *http.Request, after *string) {
	if after == nil {
		return
	}
	q := r.URL.Query()
	q.Set("after", *after)
	w.Header().Set("Link", `<?`+q.Encode()+`>; rel="next"`)
}

// Download is a file that is sent to be kept.
type Download struct {
	Name, MediaType string
	Size            int64  // bytes; less than 0 when it is not known before
	ETag            string // without quotes; empty sends none
	Content         io.Reader
}

// Send sends a download. A browser shows nothing of it as a page of ours.
func Send(w http.ResponseWriter, r *http.Request, d Download) {
	h := w.Header()
	h.Set("Content-Type", d.MediaType)
	if d.Size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(d.Size, 10))
	}
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": d.Name}))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if d.ETag != "" {
		h.Set("ETag", `"`+d.ETag+`"`)
	}
	w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(w, d.Content); err != nil {
		if r.Context().Err() == nil {
			zerolog.Ctx(r.Context()).Error().Err(err).Str("file", d.Name).Msg("download broke off")
		}
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
}
