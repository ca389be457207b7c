// Package httpcache is a shared HTTP cache in front of net/http handlers, by RFC 9111, on top of a two-tier
// [tiered.Cache]: answers come from this process's memory, else from Redis, else from the handler.
//
//	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
//	mux.Handle("GET /api/", cache.Handler(api))
//
// docs/http.md in the repository has tables of what is cached when, and of every option. In short:
//
// # What is stored
//
// Responses to GETs that say how long they are fresh (CDN-Cache-Control, s-maxage, max-age, Expires), and 200s that say nothing,
// if Options.TTL is set. Those that have to be validated before each use (no-cache, max-age=0) are stored if the handler gave
// them an ETag or a Last-Modified. Not stored: private and no-store; Set-Cookie and answers to Authorization, unless they
// say that they are for all; Vary: *; events; what is longer than Options.MaxBody or than its own Content-Length, or was
// cut short: a handler that panicked, a copy that failed, a client that left.
//
// Header fields that a handler around the cache set before, and that are still the same, are that handler's: they count
// in the decision and in what the response varies by, but are not stored with it. Where the handler removed such a field, or
// added to one that is no list, the response is not stored.
//
// # What is answered from the store
//
// GET, HEAD and ranges, with Age and Cache-Status (RFC 9211), and with 304 where If-None-Match or If-Modified-Since allow it.
// Responses that vary are told apart by what their Vary names. A response without an ETag gets a weak one, made of its body. The
// first answer, which the handler makes, is that of the hits: a body of up to 32 KiB is sent when the handler has returned,
// with its ETag and Content-Length, unless the handler flushes. A longer one goes out while it is made.
//
// A stale response is served for as long as its stale-while-revalidate says, while the handler is asked behind the
// request; or else validated: the handler is asked with If-None-Match or If-Modified-Since, and its 304 freshens what is
// stored. If it fails, the stale response is served for as long as stale-if-error says.
//
// # What handlers around the cache say
//
// An answer from the store has the fields that handlers around the cache have set, too: Vary, Link, Server-Timing and Set-Cookie
// have the members of both, Cache-Control the stricter ones, and any other field is the stored one. A request for which they
// say Vary with a name that the stored response isn't selected by, or private, no-store or no-cache that they didn't say
// when it was recorded, is not answered from the store. What they set after the cache has returned, or as the head is written, it
// doesn't see. docs/http.md has the table.
//
// # What is removed
//
// After a 2xx or 3xx to an unsafe method, all responses for its URL, and for those in Location and Content-Location, before
// the answer goes out. And by [Cache.Purge], [Cache.PurgeTags] (Cache-Tag, Surrogate-Key) and [Cache.Clear]. With a Redis this
// holds for all processes, also for a response that is being made meanwhile. [Cache.SoftPurge], [Cache.SoftPurgeTags] and
// [Cache.SoftClear] make the same responses stale instead.
//
// # Concurrent requests
//
// Requests for something not yet stored, or that has to be validated, wait for the first of them, which leads: it runs the
// handler in its own goroutine. The others run the handler too, each for its own client and not recorded, as soon as it is
// clear that the response isn't stored or isn't theirs, when the leader flushes a part of it, and at the latest after 5
// seconds: a stream doesn't hold them up, nor does a slow client, which gets its response out of the recording. Nobody gets
// another request's response unless by these rules it may be stored, and requests with Authorization or Cookie wait for
// nobody. The handler's return is held up only until the tiers have the response, so that whoever read to the end of one
// answer finds it cached.
//
// That a key's response can't be stored is remembered for 5 seconds, in both tiers: meanwhile its requests don't wait for
// each other, and the first response that can be stored is. Failures (5xx) and responses that were cut short don't count.
//
// On a miss the handler gets a copy of the request with another context, and without the client's conditions. Its Pattern, if
// a mux under the cache sets it, is copied back for the handlers around the cache; its path values can't be. The
// cache never fails a request: when Redis is down or the cache is closed, the handler answers.
//
// # Runs behind a request
//
// Routers and frameworks keep what they know of a request in its context, in memory that is used again once it is answered. So a
// stale response isn't renewed by the handler alone: a copy of the request, with a new context, goes through the server's
// outermost handler, which is that of the *http.Server in the request's context (http.ServerContextKey), and its response is
// recorded when it comes to the same key of the same cache. Other caches on the way let it pass. The handlers around the cache
// run again, for no client: they log, count and limit it like any request.
//
// The copy has the target, the host, the address and the TLS state of the request, and its header as the cache found it: what
// handlers around the cache changed in it, they may change twice. Its method is GET. It has no body, no connection, and a
// context that ends with the cache or with the load's timeout. If a handler around the cache answers it, or sends it to
// another key, the stale response stays, and the key's next requests renew it in the foreground for a minute.
//
// Where the outermost handler isn't known, stale responses are renewed in the foreground too: one request waits for the handler;
// the stale response is its answer if that fails, and the answer to others meanwhile. Cache-Status says "detail=foreground". That
// is so without a server (httptest.NewRecorder), on servers that are no *http.Server (HTTP/3, fcgi, Lambda), and where the
// server has a BaseContext or a ConnContext, whose values can't be made anew. Options.Outermost names the handler there.
//
// # How it is built
//
// [Cache.Answer] is the engine, for any server: it asks internal/rfc9111 what the rules are, and a server's [Exchange]
// to carry the bytes. An Exchange serves a [Reply] from the store, or runs the handler and shows what it answers to a
// [Recording]. The Exchange of net/http is in handler.go; the one of Fiber is in package fibercache.
//
// answer.go is the path of a request. candidate.go looks up what is stored, under keys made in key.go and, for responses
// that vary, in index.go. miss.go collapses concurrent requests (RFC 9211): each is a participant (participant.go) of a
// group (collapse.go), of which one runs the handler. recording.go and storable.go decide whether its response is stored,
// and assign.go under which key. background.go renews stale responses, change.go serves unsafe methods. recentkeys.go
// remembers for some seconds the keys whose responses can't be stored (hit-for-miss, as Varnish calls it).
// precomputed.go has what hits share.
package httpcache
