package tiered

import (
	"context"
	"time"
)

// Trace is called as things happen in a cache, by the goroutine to which they happen: what it does takes time from a load
// or a caller. Each function may be nil. All may be called at the same time.
type Trace struct {
	// LoadDone is called when a loader has returned, with the keys that it was to load, the time it took, and its error.
	// ctx is the loader's.
	LoadDone func(ctx context.Context, keys []string, took time.Duration, err error)
	// StaleServed is called by each caller that is served a value past its TTL, with that one's ctx. cause is the error of the
	// load that was to replace it; nil: that is still under way. It may use the cache.
	StaleServed func(ctx context.Context, key string, cause error)
	// Breaker is called when Redis, or a master of a Cluster, is no longer asked because it doesn't answer, and with
	// a nil cause when it is asked again. It may be called by a read that others wait for, and must not wait for a value
	// itself.
	Breaker func(addr string, cause error)
	// CodecError is called for what Stats.CodecErrors counts, where no caller gets the error: bytes in Redis that can't be
	// decoded, which are a miss, and loaded values that can't be stored. Others may wait for it: it must not use the cache.
	CodecError func(key string, cause error)
	// Queued is called when changes were queued because Redis couldn't be written: those of keys, or with nil those of
	// InvalidateTags and Clear. How many wait now is in Stats.
	Queued func(keys []string, cause error)
}
