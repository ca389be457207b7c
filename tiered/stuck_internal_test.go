package tiered

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// stuckKey is a go-redis hook that blocks the reads of a key.
type stuckKey struct {
	redis.Hook
	key     string
	there   chan struct{} // has one element for each blocked read
	release chan struct{}
}

func (h *stuckKey) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *stuckKey) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *stuckKey) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); (name == "get" || name == "mget") && cmd.Args()[1] == h.key {
			h.there <- struct{}{}
			<-h.release
		}
		return next(ctx, cmd)
	}
}
