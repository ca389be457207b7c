// Package fibercache is package httpcache for Fiber v3: the same cache, by the same rules, in front of Fiber's handlers.
// Only the bytes are carried in another way.
//
// The host in the key is Fiber's c.Host(): behind a trusted proxy (fiber.Config.TrustProxy) that of X-Forwarded-Host. The
// scheme isn't in the key: handlers that answer by c.Scheme() or c.BaseURL() need an httpcache.Options.Key that has it.
//
// Fiber reuses a request's buffers for the next one, so what the cache keeps is copied out of them, and what it serves
// is copied into them: middleware outside of the cache may change an answer's body in place.
//
// What differs from net/http, because fasthttp does: a response whose body is a stream (SendStream, SendStreamWriter,
// SendFile) passes through and is not stored; the answer to a miss is complete before it goes out; a client that left
// isn't noticed; a path that net/http would spell otherwise ("/a|b") passes uncached; the Date field is always that of the answer.
package fibercache
