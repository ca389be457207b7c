// Package rfc9111 has the rules of HTTP caching as pure functions of header fields and times: no I/O, no clock, no
// cache. The caches call it, so that each rule is written once.
//
// The files are named after the nouns of the specifications. Of a request: [Directives] (RFC 9111 §5.2.1) and [Relevant]. Of a
// response: [Control], which is its [CacheControl] (§5.2) or a structured-field dictionary for caches such as this
// (RFC 9213, RFC 9651); [Storable] (§3) and the stored fields (§3.1); [Terms] (§4.2) with its lifetime (§4.2.1) and
// dates; its age ([InitialAge], §4.2.3); its [Tags]. Of both: [Decide], what to do with what is stored; [Vary] and
// [Selecting], which of what is stored (§4.1), with the items of lists and the preferences of Accept fields (RFC 9110
// §12.5); ranges ([ParseRange], RFC 9110 §14); conditional requests ([NotModified], RFC 9110 §13) with their entity
// tags ([ETag]); to validate what is stored ([Validates], §4.3) and to invalidate it ([Invalidated], §4.4). Of the
// answer: [Status], the Cache-Status field (RFC 9211).
//
// The cache they describe is shared, or private ([Kind]). Header fields are http.Header with canonical names, as net/http makes
// them. No function changes or keeps the fields it is given.
package rfc9111
