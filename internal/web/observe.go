package web

import (
	"log/slog"
	"time"

	"github.com/gin-gonic/gin"
)

// observe counts every request and, at debug level, logs it: the route's
// pattern and never the path, which may hold a link's token.
func (d *desk) observe(c *gin.Context) {
	start := time.Now()
	c.Next()
	took, route, status := time.Since(start), c.FullPath(), c.Writer.Status()
	if route == "" {
		route = "none"
	}
	d.Metrics.Request(route, status, took)
	ctx := c.Request.Context()
	if d.Log.Enabled(ctx, slog.LevelDebug) {
		d.Log.LogAttrs(ctx, slog.LevelDebug, "request answered", slog.String("route", route),
			slog.Int("status", status), slog.Duration("took", took))
	}
}
