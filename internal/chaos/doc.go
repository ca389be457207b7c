// Package chaos runs caches in many processes against a Redis that is being broken, and has package history check what
// they saw.
//
//	go test ./internal/chaos -run '^TestChaos$' -v -args -chaos.time=60s -chaos.seed=1 -chaos.topology=cluster
//
// [Run] is the parent. It starts a [Deployment] of Redis, a source, and a fleet of workers; for the time asked for
// it injects one fault or two at a time, with calm in between, and writes to Redis as a foreigner who has no cache. A
// worker is this program started once more; it reaches every server through a proxy of its own, has caches of one name, some
// of them Strict, and calls their methods at random from many goroutines. Each call is an
// operation in the worker's journal, which outlives a SIGKILL.
//
// At the end all journals are one record. Faults that keep a worker from Redis are in it as outages, in which only
// caches that aren't Strict may serve what they can't verify. What a failover lost is in it with the evidence: a write is
// called lost only if it was acknowledged while the surviving replica is known to have had no link to the master, or if
// both of them, read before the master died, differ in what it wrote.
//
// Some runs have a focus: a workload of what one weakness takes to show, over a network with a lag of its own. The tests
// break the library with mutations, each of which such a run must find within seconds; a mutant is the program with one.
//
// A [Report] says what happened and what was found. A run in which some kind of operation or fault never happened, or
// in which a tier served next to nothing, has failed, too.
package chaos
