// Package redistest starts real redis-server processes for tests.
//
// A [Server] is one server on a port of its own. A test may kill it, freeze it as a paused VM would be, and restart
// it; the test's cleanup ends it in any case, and on Linux so does the death of the test binary.
//
//	s := redistest.Start(t)
//	client := s.Client(t)
//
// Inside, a process is one run of the program and a port is the reservation that outlives a restart.
package redistest
