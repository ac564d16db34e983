package notice

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		log := slog.New(slog.NewTextHandler(&text, nil))
		var n Notices
		for _, step := range []struct {
			after   time.Duration
			message string
			lines   int // by then
		}{
			{0, "one", 1}, {0, "one", 1}, {0, "two", 2}, {59 * time.Second, "one", 2}, {time.Second, "one", 3}, {time.Second, "two", 4},
		} {
			<-time.After(step.after)
			n.Log(log, slog.LevelWarn, step.message)
			if got := strings.Count(text.String(), "\n"); got != step.lines {
				t.Errorf("%+v: %d lines, want %d", step, got, step.lines)
			}
		}
	})
}
