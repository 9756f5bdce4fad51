package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/go-chi/chi/v5"
)

// AssetRoute is where Assets are mounted.
const AssetRoute = "/static/{name}"

var assetTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// Assets are the style sheets, scripts and pictures of pages. Each is named by its
// content, so that browsers may keep it for ever.
type Assets struct {
	served    map[string]asset  // by the name in their address
	addresses map[string]string // by the name of their file
}

type asset struct {
	mediaType string
	content   []byte
}

// NewAssets reads the files of a folder. They come with the program: it panics when one
// cannot be read.
func NewAssets(files fs.FS, folder string) *Assets {
	a := &Assets{served: map[string]asset{}, addresses: map[string]string{}}
	entries, err := fs.ReadDir(files, folder)
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		content, err := fs.ReadFile(files, path.Join(folder, e.Name()))
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		ext := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		a.served[name] = asset{assetTypes[ext], content}
		a.addresses[e.Name()] = path.Dir(AssetRoute) + "/" + name
	}
	return a
}

// Address is that of a file, for templates.
func (a *Assets) Address(file string) (string, error) {
	if a.addresses[file] == "" {
		return "", fmt.Errorf("no asset %q", file)
	}
	return a.addresses[file], nil
}

// ServeHTTP answers AssetRoute.
func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	one, ok := a.served[chi.URLParam(r, "name")]
	if !ok {
		WriteProblem(w, r, *NotFound("Tidak ada berkas pada alamat ini."))
		return
	}
	w.Header().Set("Content-Type", one.mediaType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(one.content) // the client may be gone
}
