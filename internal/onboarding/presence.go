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
// ctx ends, and then that it has left. The first heartbeat must have been
// given before: it registers the incarnation.
func KeepPresence(ctx context.Context, p Presence, self Incarnation, policy Policy, log *slog.Logger) error {
	for {
		pause(ctx, policy.Heartbeat, nil)
		if ctx.Err() != nil {
			break
		}
		if err := p.Heartbeat(ctx, self); err != nil && ctx.Err() == nil {
			log.Warn("heartbeat failed: other processes will take this one for dead", "error", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	return p.Leave(ctx, self)
}
