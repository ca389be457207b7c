// Package fasthttpcache is package httpcache for fasthttp: the same cache with the same rules, in front of its handlers. For
// Fiber there are packages fibercache (v3) and fiber2cache (v2), which are built on this one; a [Framework] is what another
// framework needs.
//
//	server := &fasthttp.Server{}
//	server.Handler = fasthttpcache.New(cache, server)(handler)
//
// The host in the key is that of the request, and the scheme that of the connection. Handlers around the cache can pass data, such as the
// user of a request, to httpcache.Options.User and Key with [SetContext].
//
// Fields that handlers around the cache set in the response before they call it are taken into account as package httpcache says; the cache
// doesn't see fields that they set after it. A handler's buffers are used again for the next request, so the cache copies what it
// stores out of them, and what it serves into them: handlers around the cache may change a response's body in place. With
// httpcache.Options.SharedBodies they may not, and what is served isn't copied.
//
// # Background runs
//
// A RequestCtx can't outlive its request. So to renew a stale response that was served (stale-while-revalidate), a copy of the
// request, as the client sent it but with the changes of handlers around the cache to its header, passes through the server's
// handler once more, as if it came over the same connection, or, if New wasn't given a server, through the cache's handler. Its
// response is stored if it arrives at the cache with the same key.
//
// # Differences from net/http
//
//   - A response whose body is a stream passes and isn't stored. Others are sent when they are complete.
//   - The disconnection of a client isn't noticed.
//   - A 200 that has neither a body nor a field set by the handlers isn't stored, as on net/http.
//   - The Date of a stored response is only sent with fasthttp.Server.NoDefaultDate, if New was given the server; otherwise the server sets
//     the current one. Age is right in both cases.
//   - A path that net/http would spell differently ("/a|b") passes uncached.
//   - There are no 1xx responses except 100 and 103, which pass; trailers aren't stored.
//   - Of a Content-Type or Content-Encoding with several lines only the last is kept.
//   - The response of a handler that a timeout (fasthttp.TimeoutHandler) has abandoned is dropped, and the request's header isn't
//     restored after it.
package fasthttpcache
