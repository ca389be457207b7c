// Package rawtest compares the responses of two HTTP servers to the same bytes: one with a cache before its handlers, and one
// without. The fuzz targets of httpcache and fibercache use it.
//
// A [Pair] has the two servers. Their handlers respond with everything that they see of a request, as a [Seen], so that a
// response to another request is noticed. [Pair.Check] sends connections, each a sequence of bytes, to both servers, and says
// where the cached server's response is neither the handler's nor one that RFC 9111 and RFC 9110 allow a cache to send instead.
package rawtest
