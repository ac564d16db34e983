package busserver

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"
)

// A client that goes while it is being answered is no fault of the bus: a crowd
// that is cut off would fill the log.
func TestWhoHasGoneIsNoFault(t *testing.T) {
	var log bytes.Buffer
	s := &Server{opts: Options{Now: time.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))}}
	if told, status := s.failure(fmt.Errorf("find queue: %w", context.Canceled)); told.Condition != conditionServerBusy || status != 503 {
		t.Errorf("told %v, %d", told, status)
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", log.String())
	}
}
