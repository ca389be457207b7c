// Package redistest starts real redis-server processes for tests.
//
// A [Server] is one server on a port of its own. A test may kill it, freeze it as a paused VM would be, and restart
// it. It ends with the test, or with the last test of a binary that uses [Reuse], and on Linux also if the test binary is killed.
//
//	s := redistest.Start(t)
//	client := s.Client(t)
//
// A [Cluster] is a Redis Cluster of three masters with a replica each. A [Sentinel] is a master with its replica and three
// sentinels. Both are ready when they are returned, and fail over within some two seconds, on request or after a test
// killed a master. They need Redis 7.
//
// In the code, a process is one run of the program, a port is a reservation that outlives a restart, and a role says what
// the program is started as.
package redistest
