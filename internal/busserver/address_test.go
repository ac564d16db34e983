package busserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

func TestParseAddress(t *testing.T) {
	for address, want := range map[string]node{
		"orders":                              {nodeEntity, "orders", "orders", ""},
		"/orders/":                            {nodeEntity, "orders", "orders", ""},
		"amqps://host:5671/orders":            {nodeEntity, "orders", "orders", ""},
		"sb://host/a/b":                       {nodeEntity, "a/b", "a/b", ""},
		"amqp://host":                         {nodeEntity, "", "", ""},
		"Orders/$deadletterqueue":             {nodeEntity, "Orders/$deadletterqueue", "Orders", ""},
		"orders/$Management":                  {nodeManagement, "orders", "orders", ""},
		"orders/$DeadLetterQueue/$management": {nodeManagement, "orders/$DeadLetterQueue", "orders", ""},
		"$cbs":                                {nodeCBS, "$cbs", "", ""},
		"$CBS":                                {nodeCBS, "$cbs", "", ""},
		"t/Subscriptions/s":                   {nodeUnsupported, "t/Subscriptions/s", "", "Subscriptions of topics"},
		"t/subscriptions/s/$DeadLetterQueue":  {nodeUnsupported, "t/subscriptions/s/$DeadLetterQueue", "", "Subscriptions of topics"},
		"orders/$Transfer/$DeadLetterQueue":   {nodeUnsupported, "orders/$Transfer/$DeadLetterQueue", "", "Transfer dead-letter queues"},
		"orders/$transfer/$deadletterqueue/$management": {nodeUnsupported, "orders/$transfer/$deadletterqueue", "", "Transfer dead-letter queues"},
	} {
		if got := parseAddress(address); got != want {
			t.Errorf("%s: %+v, want %+v", address, got, want)
		}
	}
	if n := parseAddress("Orders/$deadletterqueue/$management"); n.path() != "orders/$deadletterqueue/$management" || !n.isDeadLetter() {
		t.Errorf("%+v: %q", n, n.path())
	}
}

// Every error of the bus has a condition; what is wrong inside stays inside.
func TestFailures(t *testing.T) {
	var logged strings.Builder
	s := &Server{opts: Options{Logger: slog.New(slog.NewTextHandler(&logged, nil)), Now: func() time.Time { return time.Unix(1700000000, 0) }}}
	for _, c := range []struct {
		err       error
		condition wire.Symbol
		status    int32
	}{
		{bus.ErrLockLost, "com.microsoft:message-lock-lost", 410},
		{bus.ErrMessageNotFound, "com.microsoft:message-not-found", 404},
		{bus.ErrQueueNotFound, "amqp:not-found", 404},
		{bus.ErrDisabled, "com.microsoft:entity-disabled", 403},
		{bus.ErrFull, "amqp:resource-limit-exceeded", 403},
		{bus.ErrTooLarge, "amqp:link:message-size-exceeded", 403},
		{bus.ErrInvalid, "amqp:not-allowed", 400},
		{bus.ErrClosed, "com.microsoft:server-busy", 503},
		{context.DeadlineExceeded, "com.microsoft:timeout", 408},
		{bus.ErrFailed, "amqp:internal-error", 500},
		{errors.New("secret"), "amqp:internal-error", 500},
		{&wire.Error{Condition: "amqp:unauthorized-access", Description: "d"}, "amqp:unauthorized-access", 401},
		{&wire.Error{Condition: "amqp:decode-error", Description: "d"}, "amqp:decode-error", 400},
		{notImplemented("d"), "amqp:not-implemented", 404},
	} {
		got, status := s.failure(fmt.Errorf("send: %w", c.err))
		if got.Condition != c.condition || status != c.status || strings.Contains(got.Description, "secret") ||
			!strings.Contains(got.Description, " TrackingId:") || !strings.HasSuffix(got.Description, ", SystemTracker:bellhop, Timestamp:2023-11-14T22:13:20") {
			t.Errorf("%v: %v, %d", c.err, got, status)
		}
	}
	if n := strings.Count(logged.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d errors were logged:\n%s", n, logged.String())
	}
}
