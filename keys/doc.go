// Package keys builds cache keys that can't collide: different inputs give different keys, whatever is in them.
//
//   - [Join] makes a key of parts, such as "user:42".
//   - [Digest] makes a short key of a whole value, such as a struct of search options.
//   - [Request] and [HostRequest] make a key of an HTTP request, such as "get:/api/v1/users:limit=20&skip=0".
//
// What is plain stays readable, what could be mistaken for a separator is escaped. Keys mean the same in every process and
// version of Go, so that processes share what they cache. The functions have no state and no errors.
package keys
