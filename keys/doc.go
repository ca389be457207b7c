// Package keys builds cache keys that can't collide: different inputs give different keys, whatever they contain.
//
//   - [Join] makes a key of parts, such as "user:42".
//   - [Digest] makes a short key of a whole value, such as a struct of search options.
//   - [Request] and [HostRequest] make a key of an HTTP request, such as "get:/api/v1/users:limit=20&skip=0".
//
// Plain characters stay readable; characters that could be mistaken for a separator are escaped. The functions return the same keys in
// every process and version of Go, so that processes can share cached values. They have no state and no errors.
package keys
