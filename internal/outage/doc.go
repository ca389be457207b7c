// Package outage runs caches under load while Redis or the source fails, and checks that their policies keep what they
// promise: who still gets a value, how long a call may take, what the source is asked for, and that all is as before
// when the outage is over.
//
//	go test ./internal/outage -run '^TestOutage$' -v -args -outage.time=30s -outage.seed=1
//
// A [Scenario] is one way to fail, with what is asserted of it. [Run] starts a Redis, a source and processes: each is a
// client with a proxy of its own and has the caches of the roster, whose policies differ. They are in one Go process, so that
// one clock and one heap are theirs. Readers and changers call the caches before, during and after the fault; each call is
// recorded with its interval, and each value says when its load ended.
//
// The keys are of four kinds. Own keys are read by one process alone and never change, so that nobody else's change can take
// away what that process has of them: of those it is known which values a policy lets be served. Shared keys are read
// by all. Fixed and changing keys are those of the cache with a long TTL: the former are never changed, and so have no
// reason to be loaded; the latter are changed in the source and then in the cache, and every process has to follow in the
// end.
//
// A [Report] says what happened, and has the findings: what mustn't have. Package chaos is about coherence, which is not
// checked here; package history has no notion of a policy.
package outage
