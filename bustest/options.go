package bustest

import (
	"time"

	"bellhop/internal/bus"
)

// Option changes how a bus is started.
type Option func(*settings)

type settings struct {
	tls    bool
	queues []queueSettings
}

// queueSettings are of one queue.
type queueSettings struct {
	name string
	bus  bus.Settings
}

func newQueueSettings(name string, opts []QueueOption) queueSettings {
	s := queueSettings{name: name}
	for _, option := range opts {
		option(&s)
	}
	return s
}

// Queue makes a queue. Without options its locks last a minute, a message is
// dead-lettered after 10 deliveries, nothing expires, and duplicates are not
// looked for.
func Queue(name string, opts ...QueueOption) Option {
	return func(s *settings) { s.queues = append(s.queues, newQueueSettings(name, opts)) }
}

// TLS has clients connect with TLS, which is how the service is reached. The
// certificate is the bus's own: see [Bus.TLSConfig] and [Bus.CertificateFile].
func TLS() Option { return func(s *settings) { s.tls = true } }

// QueueOption changes how a queue is made.
type QueueOption func(*queueSettings)

// LockDuration is how long a received message is locked: 5 s to 5 min.
func LockDuration(d time.Duration) QueueOption {
	return func(s *queueSettings) { s.bus.LockDuration = d }
}

// MaxDeliveryCount is how often a message is delivered before it is
// dead-lettered: 1 to 2000.
func MaxDeliveryCount(n int) QueueOption {
	return func(s *queueSettings) { s.bus.MaxDeliveryCount = n }
}

// TimeToLive is how long messages live that have no time of their own, and the
// longest that any can live. 0 is for ever.
func TimeToLive(d time.Duration) QueueOption {
	return func(s *queueSettings) { s.bus.DefaultTTL = d }
}

// DeadLetterExpired dead-letters messages that expire, instead of dropping them.
func DeadLetterExpired() QueueOption {
	return func(s *queueSettings) { s.bus.DeadLetterOnExpiration = true }
}

// DetectDuplicates takes a second message with the same MessageID within the
// window, at most 7 days, and drops it.
func DetectDuplicates(window time.Duration) QueueOption {
	return func(s *queueSettings) { s.bus.DuplicateWindow = window }
}

// MaxSize is how many bytes the queue and its dead letters may hold; a send
// beyond it is refused. 0 is no limit.
func MaxSize(bytes int64) QueueOption {
	return func(s *queueSettings) { s.bus.MaxSizeBytes = bytes }
}
