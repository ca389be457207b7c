// Package httpcache is a shared HTTP cache in front of net/http handlers, in the sense of RFC 9111, on top of a
// two-tier [tiered.Cache]: answers come from this process's memory, else from Redis, else from the handler.
//
//	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
//	mux.Handle("GET /api/", cache.Handler(api))
//
// # What is stored
//
// A response is stored if it is a 200 to a GET and says how long it is fresh (s-maxage, max-age or Expires), or says
// nothing about that and Options.TTL is set. It is not stored with Cache-Control no-store, private or no-cache, with
// Set-Cookie, with any Vary, with a field name that isn't canonical, as text/event-stream, nor when its body is longer
// than Options.MaxBody or than its own Content-Length, or was cut short: a handler that panicked, a copy that failed, a
// client that left.
//
// Header fields that a handler around the cache set before, and that are still the same, are that handler's: they count
// in the decision, but are not stored with the response. Where the handler added to such a field or removed it, the
// response is not stored.
//
// Requests with Authorization, Range, Upgrade, If-Match, If-Unmodified-Since, a body, or Cache-Control: no-store go to
// the handler and leave the store alone. Those with no-cache or max-age=0 go to the handler too, and what it answers
// replaces what is stored. A request's Cookie is not looked at: a handler that answers by it says private or no-store.
//
// # What is answered from the store
//
// GET, and HEAD from a stored GET, with Age and Cache-Status (RFC 9211), and with 304 where If-None-Match or
// If-Modified-Since allow it. A response without an ETag gets one, made of its body, when it is answered from the
// store. The first answer, which the handler makes, passes as it comes and has no such ETag.
//
// Concurrent requests for something not yet stored wait for the first of them, which leads: it runs the handler in its
// own goroutine. The others run the handler too, each for its own client and not recorded, as soon as it is clear that the
// response isn't stored, when the leader flushes a part of it, and at the latest after 5 seconds: a stream or a slow
// client doesn't hold them up. Nobody gets another request's response unless by these rules it may be stored. What the
// leader's client is owed goes out while it is being made; the handler's return is held up only until the tiers have the
// response, so that who read to the end of one answer finds it cached.
//
// That a key's response can't be stored is remembered for 5 seconds, in both tiers: meanwhile its requests don't wait for
// each other, and the first response that can be stored is. Failures (5xx) and responses that were cut short don't count.
// Requests for a new response don't wait for each other either; one at a time replaces what is stored.
//
// On a miss the handler gets a copy of the request with another context. Its Pattern, if a mux under the cache sets it, is
// copied back for the handlers around the cache; its path values can't be.
//
// Other methods pass. [Cache.Purge] removes what is stored for a URL. The cache never fails a request: when Redis is
// down or the cache is closed, the handler answers.
//
// # How it is built
//
// [Cache.Answer] is the engine, for any server: it asks internal/rfc9111 what the rules are, and a server's [Exchange]
// to carry the bytes. An Exchange serves a [Reply] from the store, or runs the handler and shows what it answers to a
// [Recording]. The Exchange of net/http is in handler.go; the one of Fiber is in package fibercache.
package httpcache
