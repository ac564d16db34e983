package web

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
)

// health answers as long as the process serves at all.
func (d *desk) health(c *gin.Context) error {
	writeJSON(c, http.StatusOK, []byte(`{"message":"server is up and running."}`))
	return nil
}

// readyz answers whether requests are welcome here: 200, also when something
// is broken that does not stop the work, or 503.
func (d *desk) readyz(c *gin.Context) error {
	type answer struct {
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	}
	ready := d.Readiness.Ready(c.Request.Context())
	switch {
	case ready.Unavailable:
		return &problem{status: http.StatusServiceUnavailable, code: "not_ready", text: message{key: "problem.not-ready", values: []any{"reason", ready.Reason}}}
	case ready.Degraded:
		return writeAs(c, answer{"degraded", ready.Reason})
	}
	return writeAs(c, answer{Status: "ready"})
}

// writeAs answers 200 with v as JSON.
func writeAs(c *gin.Context, v any) error { return writeStatusAs(c, http.StatusOK, v) }

func writeStatusAs(c *gin.Context, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	writeJSON(c, status, body)
	return nil
}
