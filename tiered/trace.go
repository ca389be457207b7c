package tiered

import (
	"context"
	"time"
)

// Trace has functions that are called for events of a cache, in the goroutine of the event, so that they delay a load or a
// caller. Each function may be nil. They may be called concurrently. A hit of the local tier calls none, unless it is stale.
//
// Loads, calls of Redis and waits have a beginning and an end, for spans and durations. For each call of a Start function that
// returns there is one call of the Done function, also if the operation fails, panics or is given up. Start returns a context
// made from ctx, or nil, which means ctx itself; Done gets it.
//
// [Trace.Join] combines two of them, such as that of an adapter and one's own.
//
// A panic in LoadStart or LoadDone counts as one of the loader. A panic in one of the functions for Redis and waits is logged to
// Options.Logger, and has no other effect. A function that uses the cache itself must expect to be called for that.
type Trace struct {
	// LoadStart is called before a loader, in the loader's goroutine. ctx has the values of the context of the call that began the
	// load. The loader gets the context that LoadStart returns, and so do the calls of Redis that store what it returned.
	LoadStart func(ctx context.Context, l LoadInfo) context.Context
	// LoadDone is called when a loader has returned, with the keys that it was to load, the time it took, and its error. If
	// the loader panicked, that is a *[LoaderPanic]; ErrNotFound is none. ctx is the loader's. A loader that runs on after
	// LoadTimeout or Close has its LoadDone when it returns.
	LoadDone func(ctx context.Context, keys []string, took time.Duration, err error)
	// RedisStart is called before a call of a Redis server, and before a read that shares its command with reads of other callers:
	// each such read has its own RedisStart. So a request has one for each master of a Cluster and each chunk. ctx has the values
	// of the context of the call or load that the request is for; for extensions of leases and replays it has none. go-redis
	// gets the context that RedisStart returns (in a shared command that of the first read), so its hooks find the values there.
	// Redis isn't called while it is known not to answer; Stats.Spared counts these keys. What a [Redis] does for all its
	// caches, such as verifying the invalidations, is not reported.
	RedisStart func(ctx context.Context, r RedisInfo) context.Context
	// RedisDone is called when the call has ended, or isn't waited for any more. It is called in any goroutine, which may
	// have other callers' replies, and must not wait for a value of the cache.
	RedisDone func(ctx context.Context, r RedisInfo)
	// WaitStart is called in two cases. A caller begins to wait for a load, or a read of Redis, that another call has begun
	// ([Stats].Collapsed counts these): then it is called in the caller's goroutine, with the caller's context. Or a load waits
	// because another process loads the value: then it is called in a goroutine of the cache, and ctx has the values of the
	// context of the call that began the load.
	WaitStart func(ctx context.Context, w WaitInfo) context.Context
	// WaitDone is called when the wait is over: the value, or another result, is there, a caller gives up or gets a cached value
	// meanwhile, or a load that waited for another process has to load itself.
	WaitDone func(ctx context.Context, w WaitInfo)

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

// LoadInfo describes a load to a [Trace].
type LoadInfo struct {
	Keys       []string // that the loader is to load
	Refresh    bool     // it is a call of Refresh
	Background bool     // no caller waits for it: it replaces a value that is still served
}

// RedisInfo describes a call of Redis to a [Trace].
type RedisInfo struct {
	// Step is what is done: "get" (values are read), "lease", "release", "store" (a load's result), "write" (Set, Delete, Expire),
	// "pttl" (the TTL of a value that another program wrote), "epoch" (the cache's record that Clear and ExpireAll change, and its count of
	// invalidations, are read or raised), "clear", "tags" (records of tags are read or made), "invalidate tags", "replay" (of queued changes),
	// "inspect" and "inspect tags" (by Inspect). Later versions may have others.
	Step string
	Addr string // of the server, as the client has it
	Keys int    // how many
	Sent int    // about how many bytes of keys and values are sent

	// These are set for RedisDone:
	Took time.Duration
	// Command is the command that all keys had: "get", "set", "eval", ...; or "mget", one command for them all. "" means that there
	// were several, or that it isn't known because the call failed. A "get" by the command "set" is a read that took the lease of a
	// load if there was no value; then there is no "lease".
	Command  string
	Received int   // how many bytes of values were read
	Failed   int   // for how many of the keys it failed, or got no reply in time
	Err      error // the first error; nil: it has succeeded for all keys
}

// WaitInfo describes a wait to a [Trace].
type WaitInfo struct {
	Keys    []string // that are waited for
	Process bool     // it is another process that loads them

	// These are set for WaitDone:
	Took time.Duration
	// Load is the context that LoadStart returned for the load that was waited for, for links to its span. It is nil if there
	// was none: the value was read from Redis, or loaded by another process.
	Load     context.Context
	Fallback bool  // a cached value, which may be stale, was served in place of the result
	Err      error // what the caller gets in place of a value, *LoaderPanic for a panic; nil: a value, or a remembered absence
}
