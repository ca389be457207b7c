// Package scale measures what it costs one Redis that up to a thousand processes learn of changes, in each of the ways in which
// they may: by broadcasts of a prefix, by broadcasts of the caches' names, by reports of the keys that a process has read, by
// PUBLISH, and by the client-side caches of rueidis and go-redis.
//
// A cell (cell_test.go) is a number of processes, a rate of SETs and a way. Bare connections stand for the processes
// (listener_test.go): each does the handshake of its way (way_test.go), reads the keys that a process would hold, and drops what
// it receives, but reads a reported key again. Other connections send the SETs (writer_test.go). One process more is real, and
// measures when it hears of a change (observer_test.go).
//
// The processor time of Redis and the bytes are measured first, with the bare connections alone. The ratio to compare is that of
// impl=none, where as many connections listen to nothing.
package scale
