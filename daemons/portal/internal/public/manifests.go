package public

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Addresses of what verifies manifests: makers of readers fetch it without a login.
const (
	RevocationsPath = "/manifest/" + manifest.ListFile
	KeysPath        = "/manifest/" + manifest.KeysFile
)

func (p *Window) mountManifests(root chi.Router) {
	root.With(p.limited).Get(RevocationsPath, web.Handle(p.revocations))
	root.With(p.limited).Get(KeysPath, web.Handle(p.manifestKeys))
}

// revocations gives out the revocation list in force, byte by byte as it was signed.
func (p *Window) revocations(w http.ResponseWriter, r *http.Request) error {
	l, err := release.Latest(r.Context(), p.db)
	if errors.Is(err, release.ErrNotFound) {
		return web.NotFound("Belum ada daftar pencabutan yang diterbitkan.")
	}
	if err != nil {
		return err
	}
	give(w, r, "application/jose", []byte(l.Token))
	return nil
}

// manifestKeys gives out the public keys of all versions, those too that sign no more, each
// with what became of it. After a restore the book may have forgotten that: nothing is given
// out until the last list was given, which tells of it.
func (p *Window) manifestKeys(w http.ResponseWriter, r *http.Request) error {
	if err := release.Recovered(r.Context(), p.db); err != nil {
		if errors.Is(err, release.ErrUnrecovered) {
			return web.NewProblem(http.StatusServiceUnavailable, "Basis data baru dipulihkan, dan kunci mana yang sudah dicabut belum dipastikan. Sementara ini pakai berkas kunci yang sudah Anda punyai.")
		}
		return err
	}
	entries, err := keybook.Signing(r.Context(), p.db, activation.SigningKey)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return web.NotFound("Belum ada kunci penanda tangan manifest.")
	}
	keys, err := keybook.PublicKeys(entries)
	if err != nil {
		return err
	}
	file, err := keys.File()
	if err != nil {
		return err
	}
	give(w, r, "application/jwk-set+json", file)
	return nil
}

// give sends a small file that may be kept for a while.
func give(w http.ResponseWriter, r *http.Request, mediaType string, body []byte) {
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "public, max-age=300")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", mediaType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client may be gone
}
