// Package fibercache is package httpcache for Fiber v3: the same cache with the same rules, in front of Fiber's handlers.
// Only requests and responses are read and written differently. For Fiber v2 there is package fiber2cache, for fasthttp alone package
// fasthttpcache, which both are built on.
//
//	app.Use(fibercache.New(cache)) // for all methods: a PUT removes the responses that it changes
//
// The host in the key is Fiber's c.Host() and the scheme c.Scheme(): behind a trusted proxy (fiber.Config.TrustProxy) those of
// X-Forwarded-Host and X-Forwarded-Proto. Handlers around the cache can pass data, such as the user of a request, to
// httpcache.Options.User and Key in the request's context, with c.SetContext.
//
// Fields that handlers around the cache set in the response before c.Next() are taken into account as package httpcache says; the cache
// doesn't see fields that they set after it, as Fiber's session middleware does.
//
// Fiber reuses a request's buffers for the next one, so the cache copies what it stores out of them, and what it serves
// into them: middleware around the cache may change a response's body in place. With
// httpcache.Options.SharedBodies they may not, and what is served isn't copied.
//
// # Errors
//
// When a handler returns an error, the app's ErrorHandler writes the response, after the cache. That
// response isn't stored, and removes nothing. There is one exception: if a stale response may be served after a failure
// (stale-if-error), and the error is or wraps a *fiber.Error with the code 500, 502, 503 or 504, the stale response is
// served and the error is dropped. If such an error should be logged, the handler must log it, or set a status instead.
//
// # Background runs
//
// Fiber's Ctx can't outlive its request. So to renew a stale response that was served (stale-while-revalidate), a copy of
// the request, as the client sent it but with the changes of handlers around the cache to its header, passes through the whole
// app once more, as if it came over the same connection. Handlers around the cache run again, with Locals of their own:
// they log, count and limit it like any request. Other caches let it pass. Its response is stored if it arrives at the cache with the
// same key. If it fails, or doesn't arrive, the stale response stays; if it didn't arrive, responses with that key are renewed
// before they are served for a minute. The context of the handlers, c.Context(), has the
// values that handlers around the cache set, and ends with the cache or the load's timeout.
//
// # Differences from net/http
//
// They are due to fasthttp and Fiber:
//
//   - A response whose body is a stream (SendStream, SendStreamWriter, SendFile) passes and isn't stored. Others are
//     sent when they are complete.
//   - The disconnection of a client isn't noticed.
//   - For a request that fasthttp rejects (too large, malformed) Fiber runs the middleware without the routes. The cache lets
//     such a run pass: it stores, removes and serves nothing. As on net/http, a 200 that has
//     neither a body nor a field set by the handlers isn't stored either.
//   - The Date of a stored response is only sent with fiber.Config.DisableDefaultDate; otherwise the server sets the current one. Age
//     is right in both cases.
//   - A path that net/http would spell differently ("/a|b") passes uncached.
//   - There are no 1xx responses except 100 and 103, which pass; trailers aren't stored.
//   - Of a Content-Type or Content-Encoding with several lines only the last is kept.
//   - The response of a handler that Fiber's timeout has abandoned is dropped, and the request's header isn't restored after it.
//
// The suite of HTTP caching (make conformance) has the same verdicts on both.
package fibercache
