package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/gin-gonic/gin"
)

//go:embed assets
var assetFiles embed.FS

// asset is a file of ours, under a path that names its content.
type asset struct {
	contentType []string
	body        []byte
}

// contentTypes are told by us and not by the machine's tables.
var contentTypes = map[string]string{".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

// loadAssets returns the assets by path: /style.HASH.css for assets/style.css.
// A new version has a new path, so browsers may keep the old one for ever.
func loadAssets() map[string]asset {
	assets := make(map[string]asset)
	entries, _ := fs.ReadDir(assetFiles, "assets") // embedded: cannot fail
	for _, entry := range entries {
		body, _ := assetFiles.ReadFile("assets/" + entry.Name())
		sum := sha256.Sum256(body)
		ext := path.Ext(entry.Name())
		name := strings.TrimSuffix(entry.Name(), ext) + "." + base64.RawURLEncoding.EncodeToString(sum[:9]) + ext
		assets["/"+name] = asset{contentType: []string{contentTypes[ext]}, body: body}
	}
	return assets
}

func (d *desk) asset(c *gin.Context) error {
	a := d.assets[c.FullPath()]
	h := c.Writer.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Del("Vary")
	write(c, http.StatusOK, a.contentType, a.body)
	return nil
}
