package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"

	"github.com/gin-gonic/gin"
)

var errPanic = errors.New("handler panicked")

// recoverPanics answers 500 for a handler that panics. The log gets the stack,
// but of the value only what cannot hold anything a person typed.
func (d *desk) recoverPanics(c *gin.Context) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler { // the documented way to drop a connection
			panic(v)
		}
		d.Metrics.Panic()
		d.Log.LogAttrs(c.Request.Context(), slog.LevelError, "handler panicked",
			slog.String("route", c.FullPath()), slog.String("panic", describePanic(v)), slog.String("stack", string(debug.Stack())))
		c.Abort()
		if c.Writer.Written() { // too late for another answer: cut this one short
			panic(http.ErrAbortHandler)
		}
		d.fail(c, errPanic)
	}()
	c.Next()
}

func describePanic(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}
