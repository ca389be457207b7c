// Package rfc9111 is the rules of HTTP caching as pure functions of header fields and times: no I/O, no clock, no
// cache. The caches that carry the bytes ask it, so that each rule is written once.
//
// The files are the nouns of the specifications: [CacheControl] (RFC 9111 §5.2); [Use], what a request lets a cache
// do (§3.5, §5.2.1); [Storable] (§3) and the stored fields (§3.1); [Lifetime] (§4.2.1); [InitialAge] (§4.2.3);
// [NotModified] with its entity tags (RFC 9110 §13); and [Status], the Cache-Status field (RFC 9211).
//
// The cache they describe is a shared one. Header fields are http.Header with canonical names, as net/http makes
// them. No function changes or keeps the fields it is given.
package rfc9111
