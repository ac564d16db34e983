package onboarding

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// NewIncarnation names this run of this process.
func NewIncarnation() Incarnation { return Incarnation(uuid.NewString()) }

// leaveWithin bounds the goodbye to the store at the end.
const leaveWithin = 5 * time.Second

// KeepPresence says that an incarnation is alive every Policy.Heartbeat until
// ctx ends, and then that it has left. What was not heard is said again soon,
// because others wait for it. The first heartbeat must have been given before:
// it registers the incarnation.
func KeepPresence(ctx context.Context, p Presence, self Incarnation, policy Policy, log *slog.Logger) error {
	for failing := false; ; {
		wait := policy.Heartbeat
		if failing {
			wait /= 6
		}
		pause(ctx, wait, nil)
		if ctx.Err() != nil {
			break
		}
		err := p.Heartbeat(ctx, self)
		if err != nil && !failing && ctx.Err() == nil {
			log.Warn("heartbeat failed: other processes will take this one for dead", "error", err)
		}
		failing = err != nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	return p.Leave(ctx, self)
}
