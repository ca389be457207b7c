// Package redistest starts real redis-server processes for tests.
//
// A [Server] is one server on a port of its own. A test may kill it, freeze it as a paused VM would be, and restart
// it; the test's cleanup ends it in any case, and on Linux so does the death of the test binary.
//
//	s := redistest.Start(t)
//	client := s.Client(t)
//
// A [Cluster] is a Redis Cluster of three masters with a replica each, a [Sentinel] a master with its replica and three
// sentinels. Both are ready when they are returned, and fail over in some two seconds, on request or because a test
// killed a master. They need Redis 7.
//
// Inside, a process is one run of the program and a port is the reservation that outlives a restart. A role
// is what a process is started as.
package redistest
