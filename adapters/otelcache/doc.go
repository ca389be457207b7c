// Package otelcache reports a cache of package tiered to OpenTelemetry: spans and metrics.
//
// A [Telemetry] is made for each cache, before it. Its Trace goes into the cache's options, and Observe gets the cache's Stats:
//
//	tel, err := otelcache.New(otelcache.Options{Cache: "users"})
//	users, err := tiered.New(tiered.Options[User]{Name: "users", Redis: r, Trace: tel.Trace()})
//	err = tel.Observe(users.Stats)
//	defer tel.Close()
//
// A trace of one's own goes beside it: tel.Trace().Join(mine).
//
// # Spans
//
// A span is a child of the span in the context of the call that began the operation. The context with the span goes on to
// the loader, and to go-redis and its hooks.
//
//	load {cache}    a call of the loader; the store of its result is a child of it
//	{command}       a call of Redis, by the semantic conventions for database clients: kind client, db.system.name, db.operation.name,
//	                db.operation.batch.size, db.response.status_code, server.address, server.port, error.type
//	wait {cache}    a caller waits for the load that another call has begun, or a load for another process's; linked to the span of
//	                that load, if it is in this process
//
// Calls of Redis and waits have no span if there is no span in their context: those that extend a lease or replay queued writes, say. The
// span of a caller that is served a value past its TTL gets an event, tiercache.stale. A hit of the local tier has none of these, and
// costs nothing.
//
// error.type is the prefix of Redis's error reply, "timeout", "canceled", "panic", "overloaded", "closed", or the type of the error
// in Go.
//
// # Metrics
//
// Each field of [tiered.Stats] is an observable counter or, if it is a present value, an observable up-down counter: tiercache.hits (with
// tiercache.tier), tiercache.misses, tiercache.loads and so on. ObserveHTTP adds those of [httpcache.Stats], such as tiercache.http.hits.
// They count requests; a request that misses is more than one miss of the tiers. There are histograms of durations in seconds:
//
//	tiercache.load.duration         by tiercache.load.kind: read, refresh or background
//	db.client.operation.duration    of calls of Redis, with the attributes of their spans but the size of a batch
//	tiercache.wait.duration         by tiercache.wait.for: load or process
//
// and the counter tiercache.redis.io, of the bytes of keys and values, by network.io.direction. All have tiercache.cache, the name.
package otelcache
