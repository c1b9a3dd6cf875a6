package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"time"
)

// asset is one static file in memory.
type asset struct {
	body []byte
	hash string // of the body; part of the URL, so that a changed file has a new URL
}

type assets map[string]asset

func loadAssets(files fs.FS) (assets, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("list static files: %w", err)
	}
	loaded := make(assets)
	for _, entry := range entries {
		body, err := fs.ReadFile(files, entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read static file %s: %w", entry.Name(), err)
		}
		sum := sha256.Sum256(body)
		loaded[entry.Name()] = asset{body, hex.EncodeToString(sum[:6])}
	}
	return loaded, nil
}

// url is the URL of a file, for templates. An unknown name is an error, which makes rendering fail.
func (a assets) url(name string) (string, error) {
	file, known := a[name]
	if !known {
		return "", fmt.Errorf("static file %s does not exist", name)
	}
	return "/static/" + file.hash + "/" + name, nil
}

// Static serves GET /static/{hash}/{file}. Under its own hash a file never changes, and may be cached without end. Under another
// hash, which a page of an older or newer replica may contain, it is served but not cached.
func (t *Toolkit) Static() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, known := t.assets[r.PathValue("file")]
		if !known {
			t.fail(w, r, wantsPage(r), NotFound())
			return
		}
		t.apiHeaders(w.Header())
		w.Header().Set("ETag", `"`+file.hash+`"`)
		w.Header().Set("Cache-Control", "no-cache")
		if r.PathValue("hash") == file.hash {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		http.ServeContent(w, r, r.PathValue("file"), time.Time{}, bytes.NewReader(file.body))
	})
}
