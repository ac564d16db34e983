package redisdb

// Waiting is how many calls wait for a pipeline.
func (t *Tag) Waiting() int { return len(t.calls) }

// Busy is how many connections are in use.
func (t *Tag) Busy() int {
	stats := t.client.universe.PoolStats()
	return int(stats.TotalConns) - int(stats.IdleConns)
}

// Pipelines is how many pipelines of a tag can be under way at once, and
// WaitingMost how many calls may wait for one.
const (
	Pipelines   = connections
	WaitingMost = waitingMost
)
