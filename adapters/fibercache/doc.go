// Package fibercache is package httpcache for Fiber v3: the same cache, by the same rules, in front of Fiber's handlers.
// Only the bytes are carried in another way.
//
//	app.Use(fibercache.New(cache)) // for all methods, so that it sees the PUTs that change what it has
//
// The host in the key is Fiber's c.Host() and the scheme c.Scheme(): behind a trusted proxy (fiber.Config.TrustProxy) those of
// X-Forwarded-Host and X-Forwarded-Proto. What handlers around the cache know, like who a request is from, reaches
// httpcache.Options.User and Key as the request's context, which c.SetContext sets.
//
// What handlers around the cache set in the answer before c.Next() counts as package httpcache says; what they set after it,
// as Fiber's session middleware does, isn't seen.
//
// Fiber reuses a request's buffers for the next one, so what the cache keeps is copied out of them, and what it serves
// is copied into them: middleware outside of the cache may change an answer's body in place.
//
// # Errors
//
// An error that a handler returns is no answer yet: the app's ErrorHandler may make any of it, and does so after the cache. Its
// answer isn't stored, and removes nothing. One exception: where a stale response may stand in for a failure
// (stale-if-error) and the error is a *fiber.Error, or wraps one, with the code 500, 502, 503 or 504, the stale response is
// served and nobody sees the error. A handler that wants that and its error logged logs it, or answers with a status.
//
// # Runs behind a request
//
// Fiber's Ctx can't outlive its request. So to renew a stale response that was served (stale-while-revalidate), a copy of
// the request, as the client sent it but with what handlers around the cache changed in its header, goes through the whole
// app once more, as if it came over the same connection. Handlers around the cache run again, with Locals of their own:
// they log, count and limit it like any request. Other caches let it pass. It is recorded if it comes to the
// same key. If it fails, or doesn't get as far as the cache, the stale response stays; after the latter, the next requests are
// renewed before they are answered, for a minute. The context of the handlers, c.Context(), has the
// values that are set around the cache, and ends with the cache or the load's timeout.
//
// # What differs from net/http
//
// fasthttp does:
//
//   - A response whose body is a stream (SendStream, SendStreamWriter, SendFile) passes through and is not stored. Others go
//     out when they are complete.
//   - A client that left isn't noticed.
//   - For a request that fasthttp refuses (too large, malformed) Fiber runs the middleware without the routes. The cache lets
//     such a run pass: it stores nothing, removes nothing and answers nothing. As on net/http, nor is a 200 stored that has
//     neither a body nor a field of the handlers'.
//   - The Date of a stored response is only sent with fiber.Config.DisableDefaultDate; else it is that of the answer. Age
//     is right either way.
//   - A path that net/http would spell otherwise ("/a|b") passes uncached.
//   - Of 1xx there are only 100 and 103, which pass; trailers aren't stored.
//   - A Content-Type or Content-Encoding of several lines has only the last.
//   - What a handler that Fiber's timeout gave up answers is nobody's, and the request's header stays as the handler was
//     given it.
//
// The suite of HTTP caching (make conformance) has the same verdicts on both.
package fibercache
