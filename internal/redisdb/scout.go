package redisdb

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
)

// scout lets a Cluster's client look again which node has which keys, whenever
// a command fails in a way that may mean that they have moved. go-redis does so
// only for commands that it sends to a node of its own choice.
type scout struct{ cluster *redis.ClusterClient }

// DialHook adds nothing.
func (s scout) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook looks at the error of a command.
func (s scout) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if moved(err) {
			s.cluster.ReloadState(ctx)
		}
		return err
	}
}

// ProcessPipelineHook looks at the errors of all commands, and at that of the
// connection: a server may refuse it before the first of them.
func (s scout) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if moved(err) || slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return moved(cmd.Err()) }) {
			s.cluster.ReloadState(ctx)
		}
		return err
	}
}

// moved tells that a Cluster may have another picture of itself by now.
func moved(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, context.Canceled) {
		return false
	}
	text, answered := reply(err)
	switch kind(text) {
	case "MOVED", "ASK", "CLUSTERDOWN", "READONLY", "LOADING", "MASTERDOWN":
		return true
	}
	return !answered
}
