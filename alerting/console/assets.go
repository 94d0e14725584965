package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// asset is one file that pages load.
type asset struct {
	body  []byte
	media string
}

// assets are the files by the names under which they are served, which change with what is
// in them, so that a browser may keep them for good.
type assets struct {
	byName map[string]asset
	names  map[string]string // served name by file name
}

var media = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8"}

func loadAssets() *assets {
	a := &assets{byName: map[string]asset{}, names: map[string]string{}}
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // it is part of the binary
	}
	for _, f := range files {
		b, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(b)
		ext := path.Ext(f.Name())
		name := strings.TrimSuffix(f.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		a.byName[name], a.names[f.Name()] = asset{b, media[ext]}, name
	}
	return a
}

// url is where a file is served.
func (a *assets) url(file string) string { return "/assets/" + a.names[file] }

// serve answers a request for a file: by its whole name and nothing else.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := a.byName[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.media)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}
