// Package outage runs caches under load while Redis or the source fails, and checks that their policies do what they
// promise: which calls still return a value, how long a call may take, how much load the source gets, and that everything
// is as before when the outage is over.
//
//	go test ./internal/outage -run '^TestOutage$' -v -args -outage.time=30s -outage.seed=1
//
// A [Scenario] is one kind of failure, with what the checks may expect during it. [Run] starts Redis, a source and several
// processes. Each process is a client with a proxy of its own and the caches of cacheConfigs, whose policies differ. All of them are in
// one Go process, so that they share one clock and one heap. Readers and changers call the caches before, during and after the
// fault; each call is recorded with its interval, and each value says when its load ended.
//
// There are four kinds of keys. Own keys are read by one process only and never change, so that no other process can
// invalidate them: it is known which of their values a policy allows to be served. Shared keys are read by all processes.
// Fixed and changing keys belong to the cache with a long TTL. Fixed keys never change, and so need not be loaded again.
// Changing keys are changed in the source and then in the cache, and every process must read the last version in the end.
//
// The files from the bottom up: run.go has the state of a run, process.go the caches, reader.go and changer.go their calls, fault.go
// the failures and scenarios.go the list of them. bound.go and promise.go have the checks, and driver.go the run as a whole.
//
// [RunOverload] and [RunColdStart] are apart from that (overload.go, coldstart.go): one cache, far more calls than its source can serve
// (arrivals.go, fragile.go), and a limit of loads or none. The result is a [Curve] of the answered calls.
//
// [RunStorm] invalidates nearly all that several processes have in their local tiers at once (storm.go, stormtraffic.go), and shows what
// Redis and the source are asked for in each tenth of a second (stormreport.go).
//
// A [Report] says what happened and lists the findings, which are violations of the checks. Coherence isn't checked here but
// in package chaos; package history doesn't know policies.
package outage
