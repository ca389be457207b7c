// Package httpcache is an HTTP cache in front of net/http handlers and clients, by RFC 9111, on top of a two-tier
// [tiered.Cache]: responses come from this process's memory, or else from Redis, or else from the handler or the origin.
//
//	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
//	mux.Handle("GET /api/", cache.Handler(api))
//
//	cache, err := httpcache.New(httpcache.Options{Private: true})
//	client := &http.Client{Transport: cache.Transport(nil)}
//
// docs/http.md in the repository has tables of the cached responses, and of every option. In short:
//
// The cache is a shared one, or with Options.Private a private one. The following is about handlers; with [Cache.Transport] the
// client's next RoundTripper has that part, without handlers around it.
//
// # Stored responses
//
// Responses to GETs are stored if they say how long they are fresh (CDN-Cache-Control, s-maxage, max-age, Expires), and 200s that
// don't if Options.TTL is set. Responses that have to be validated before each use (no-cache, max-age=0) are stored if the handler set
// an ETag or a Last-Modified. Not stored are responses with private, no-store or Vary: *; with Set-Cookie, or to Authorization, unless they
// are marked as shared; event streams; and bodies that are longer than Options.MaxBody or than their own Content-Length, or
// incomplete, because the handler panicked, a copy failed or the client disconnected.
//
// Header fields that a handler around the cache set before, and that are unchanged, belong to that handler: they are taken into account
// for the decision and for Vary, but not stored. If the handler removed such a field, or
// added to one that isn't a list, the response isn't stored.
//
// # Responses from the store
//
// GET, HEAD and ranges are answered from the store, with Age and Cache-Status (RFC 9211), and with 304 if If-None-Match or
// If-Modified-Since allow it. Variants are selected by the fields in Vary. A response without an ETag gets a weak one, computed
// from its body. The first response, which the handler makes, is the same as that of the hits: a body of up to 32 KiB is sent
// when the handler has returned, with its ETag and Content-Length, unless the handler flushes. A longer one is sent while it is
// being made.
//
// Within its stale-while-revalidate a stale response is served while it is renewed in the background. After that it is
// validated: the handler gets If-None-Match or If-Modified-Since, and its 304 freshens the stored
// response. If the handler fails, the stale response is served within its stale-if-error.
//
// # Handlers around the cache
//
// A response from the store also has the fields that handlers around the cache have set: Vary, Link, Server-Timing and Set-Cookie
// have the members of both, Cache-Control the stricter directives, and of any other field the stored lines are sent. A request isn't
// answered from the store if they have set Vary with a name by which the stored response isn't selected, or private, no-store or
// no-cache that they hadn't set when it was stored. The cache doesn't see fields that they set after it has returned, or when the
// head is written. docs/http.md has the table.
//
// # Removal
//
// A 2xx or 3xx to an unsafe method removes all responses for its URL, and for those in Location and Content-Location, before
// it is sent. So do [Cache.Purge], [Cache.PurgeTags] (Cache-Tag, Surrogate-Key) and [Cache.Clear]. With Redis this
// applies to all processes, also to a response that is being made meanwhile. [Cache.SoftPurge], [Cache.SoftPurgeTags] and
// [Cache.SoftClear] make the same responses stale instead.
//
// # Concurrent requests
//
// Concurrent requests for a response that isn't stored, or has to be validated, wait for the first of them, the leader, which runs the
// handler in its own goroutine. The others run the handler, too, each for its own client and without storing the response, as soon as it is
// known that the leader's response isn't stored or doesn't match their requests, when the leader flushes a part of it, and at the
// latest after 5 seconds. So neither a stream delays them, nor a slow client, to which the response is sent from the recorded
// bytes. No client gets another request's response unless by these rules it may be stored, and requests with Authorization or
// Cookie don't wait for others. The handler's return is delayed only until the tiers have the response, so that a client that has
// read a whole response finds it cached.
//
// The cache remembers for 5 seconds, in both tiers, that a key's response can't be stored (hit-for-miss): meanwhile its requests
// don't wait for each other, and the first response that can be stored is stored. That isn't remembered for failures (5xx) and
// incomplete responses.
//
// On a miss the handler gets a copy of the request with another context, and without the client's conditions. Its Pattern, if
// a mux inside the cache sets it, is copied back for the handlers around the cache; its path values can't be. The
// cache never makes a request fail: if Redis is down or the cache is closed, the handler answers.
//
// # Background runs
//
// Routers and frameworks store data of a request in its context, in memory that is reused after the request. So a
// stale response isn't renewed by the handler alone: a copy of the request, with a new context, passes through the server's
// outermost handler, which is that of the *http.Server in the request's context (http.ServerContextKey), and its response is
// stored if it arrives at the same cache with the same key. Other caches on the way let it pass. The handlers around the cache
// run again, without a client: they log, count and limit it like any request.
//
// The copy has the target, the host, the address and the TLS state of the request, and its header as the cache received it, so that
// handlers around the cache may change it a second time. Its method is GET. It has no body, no connection, and a
// context that ends with the cache or with the load's timeout. If a handler around the cache answers it, or changes its
// key, the stale response stays, and for a minute the next requests with that key renew it in the foreground.
//
// If the outermost handler isn't known, stale responses are renewed in the foreground, too: one request waits for the handler, and gets
// the stale response if that fails; other requests get it meanwhile. Cache-Status has "detail=foreground". That
// happens without a server (httptest.NewRecorder), on servers other than *http.Server (HTTP/3, fcgi, Lambda), and if the
// server has a BaseContext or a ConnContext, whose values can't be made again. Options.Outermost sets the handler for these.
//
// # Implementation
//
// [Cache.Answer] is the engine, for any server. It gets the rules from internal/rfc9111, and sends and receives through a server's
// [Exchange], which serves a [Reply] from the store, or runs the handler and passes its response to a
// [Recording]. The Exchange of net/http is in handler.go; the one of Fiber is in package fibercache.
//
// The files can be read in the following order. Each uses only those before it, or its partner where "and" joins two. Readers who
// would rather begin at the top begin with answer.go, the path of a request.
//
//   - What is stored: index.go (the names in the Vary of a URL's responses), response.go and precomputed.go (the parts of a
//     reply that hits share), codec.go, around.go (fields of handlers around the cache).
//   - The cache: options.go, target.go (the client's URL), madekeys.go (the keys of earlier hits), key.go, collapse.go (groups of
//     concurrent requests, of which one runs the handler: collapsed forwarding in RFC 9211), recentkeys.go (keys whose responses
//     can't be stored: hit-for-miss, as Varnish calls it), stats.go, cache.go.
//   - Rules for one response: candidate.go (the key of a request and what is found there), participant.go (a request in its
//     group), storable.go (whether the response is stored), assign.go (under which key), invalidation.go (what an unsafe method
//     removes).
//   - A run of the handler: reply.go, context.go, recording.go and hold.go (replies from the store in place of the handler's
//     response), exchange.go.
//   - A request: requestview.go, lookup.go, serve.go, miss.go, background.go (renews stale responses), change.go (unsafe
//     methods), plan.go, answer.go.
//   - net/http: writer.go and delay.go, handler.go, detached.go. A client: sharedbody.go, roundtrip.go, transport.go.
package httpcache
