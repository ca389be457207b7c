// Package rawtest compares what two HTTP servers answer to the same bytes: one with a cache before its handlers, and one
// without. The fuzz targets of httpcache and fibercache use it.
//
// A [Pair] is the two servers. Its handlers answer with all that they see of a request, as a [Seen], so that an answer that was
// made for another request shows. [Pair.Check] sends connections, each a sequence of bytes, to both, and says where the
// cache's answers aren't those of the handler, nor what RFC 9111 and RFC 9110 permit a cache in their place.
package rawtest
