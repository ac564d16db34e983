package web

import (
	"embed"
	"net/http"

	"github.com/gin-gonic/gin"
)

// descriptionFile holds the JSON API in words that programs read. A test holds
// every answer to it.
//
//go:embed openapi.yaml
var descriptionFile embed.FS

func description() []byte {
	text, _ := descriptionFile.ReadFile("openapi.yaml") // embedded: cannot fail
	return text
}

var yamlType = []string{"application/yaml"} // RFC 9512

// openAPI is GET /openapi.yaml.
func (d *desk) openAPI(c *gin.Context) error {
	write(c, http.StatusOK, yamlType, description())
	return nil
}
