// Package chaos runs caches in many processes against a Redis into which it injects faults, and has package history
// check what the caches returned.
//
//	go test ./internal/chaos -run '^TestChaos$' -v -args -chaos.time=60s -chaos.seed=1 -chaos.topology=cluster
//
// [Run] executes in the parent process. It starts Redis, a source and a set of workers. For the duration of the run it
// injects one or two faults at a time, with pauses in between, and writes to Redis as another program without a cache would.
// A worker is a second process of the same program. It reaches every server through a proxy of its own, has several caches
// of one name, some of them Strict, and calls their methods at random from many goroutines. Each call is an
// operation in the worker's journal, which survives a SIGKILL. A worker may be replaced by one of the next release, whose values have
// another schema.
//
// At the end the journals are merged into one record. A fault that keeps a worker from Redis is recorded as an outage, during
// which only caches that aren't Strict may serve unverified values. A write that a failover lost is recorded with the evidence: it
// counts as lost only if it was acknowledged while the surviving replica is known to have had no link to the master, or if
// master and replica, read before the master died, differ in the key that it wrote.
//
// A run may have a focus: a workload that exposes one kind of bug within seconds, over a network with an added lag. The tests
// apply mutations to the library, each of which such a run must detect. A mutant is the program with one mutation.
//
// The files from the bottom up: the parent has its state in run.go, one kind of fault in each of network.go, workerfault.go,
// sourcefault.go, server.go and failover.go, all of them in schedule.go, and the run as a whole in driver.go. A worker has its
// caches in worker.go, its calls in reads.go and writes.go, all of them in workload.go, and its main function in work.go.
//
// A [Report] says what happened and which guarantees were violated. A run fails, too, if an operation or a fault never
// happened, or if a tier served hardly any reads.
package chaos
