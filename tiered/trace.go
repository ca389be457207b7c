package tiered

import (
	"context"
	"time"
)

// Trace has functions that are called for events of a cache, in the goroutine of the event, so that they delay a load or a
// caller. Each function may be nil. They may be called concurrently.
type Trace struct {
	// LoadDone is called when a loader has returned, with the keys that it was to load, the time it took, and its error.
	// ctx is the loader's.
	LoadDone func(ctx context.Context, keys []string, took time.Duration, err error)
	// StaleServed is called for each caller that is served a value past its TTL, with the caller's ctx. cause is the error of
	// the load that was to replace the value, or nil if that is still under way. StaleServed may use the cache.
	StaleServed func(ctx context.Context, key string, cause error)
	// Breaker is called when Redis, or a master of a Cluster, is no longer asked because it doesn't answer, and with a nil
	// cause when it is asked again. It may be called in a read that other callers wait for, and must not wait for a value
	// itself.
	Breaker func(addr string, cause error)
	// CodecError is called for each error in Stats.CodecErrors that no caller gets: of bytes in Redis that can't be decoded,
	// which are a miss, and of loaded values that can't be stored. Callers may wait for it, so it must not use the cache.
	CodecError func(key string, cause error)
	// Queued is called when changes were queued because Redis couldn't be written: those of the keys or, if keys is nil, of
	// InvalidateTags and Clear. Stats says how many are queued now.
	Queued func(keys []string, cause error)
}
