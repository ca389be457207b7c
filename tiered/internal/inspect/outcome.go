package inspect

import (
	"cmp"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// read is what a GetOrLoad of a key finds.
type read struct {
	key    *inspection.Key
	local  record.Use // how the local copy may be served
	remote record.Use // and the value in Redis
	served bool       // the local copy is served without reading Redis
	strict bool       // the local copy is never served unverified
}

// outcome returns what a GetOrLoad that began now would do, and why. It follows GetOrLoad.
func (r *read) outcome() (inspection.Outcome, string) {
	k := r.key
	switch {
	case r.served && r.local >= record.RefreshDue:
		return inspection.Hit, "This process has a fresh copy." + refreshed(r.local)
	case r.served:
		return inspection.Stale, fmt.Sprintf("This process serves its stale copy while a load in the background replaces it: %s.%s", k.Local.Problem, r.failed())
	case k.Failure != nil:
		return inspection.Stale, fmt.Sprintf("The last load failed (%v), and the next one begins in %v at the earliest. Until then reads get %s. Why it is stale: %s.", k.Failure, rounded(k.RetryIn), r.meanwhile(), r.problem())
	case k.Loading && max(r.local, r.remote) < record.WhileRevalidate:
		return inspection.Wait, "This process is loading the key, or waits for another process's load. A read waits for the same." + r.fallback()
	case k.Remote == nil:
		return inspection.Miss, "The loader is called: " + r.localProblem() + "." + r.fallback()
	case k.Queued:
		return inspection.Miss, "Redis isn't read for this key, since a write that Redis didn't take is still queued, and Redis may have an older value. The loader is called." + r.fallback()
	case k.Remote.Err != nil:
		return r.withoutRedis()
	case r.remote >= record.RefreshDue:
		return inspection.Hit, "Redis has a fresh value; this process reads it from there, since " + r.localProblem() + "." + refreshed(r.remote)
	case r.remote == record.WhileRevalidate:
		return inspection.Stale, fmt.Sprintf("Redis has a stale value, which is served while a load in the background replaces it: %s.%s", r.remoteProblem(), r.failed())
	case k.Remote.Lease != nil:
		return inspection.Wait, fmt.Sprintf("A process is loading the key. Its lease ends in %v, unless it is extended; other processes wait for its result.%s", rounded(k.Remote.Lease.EndsIn), r.fallback())
	}
	return inspection.Miss, fmt.Sprintf("The loader is called: in Redis, %s; in this process, %s.%s%s", r.remoteProblem(), r.localProblem(), r.fallback(), r.failed())
}

// withoutRedis is the outcome of a read that can't read Redis.
func (r *read) withoutRedis() (inspection.Outcome, string) {
	k := r.key
	if k.Local == nil || r.strict || r.local < record.WhileRevalidate {
		return inspection.Miss, fmt.Sprintf("Redis can't be read (%v), and this process has no copy to serve: %s. The loader is called.%s", k.Remote.Err, r.localProblem(), r.fallback())
	}
	outcome := inspection.Stale
	if r.local >= record.RefreshDue {
		outcome = inspection.Hit
	}
	return outcome, fmt.Sprintf("Redis can't be read (%v), so this process serves its copy unverified.", k.Remote.Err)
}

// refreshed says that a fresh value is due for a refresh, if it is.
func refreshed(use record.Use) string {
	if use == record.RefreshDue {
		return " It is past RefreshAfter, so a load in the background replaces it."
	}
	return ""
}

// fallback says that there is a stale value which is served if the load fails, if there is one.
func (r *read) fallback() string {
	if max(r.local, r.remote) >= record.IfError {
		return " If that fails, the stale value is served (StaleIfError)."
	}
	return ""
}

// meanwhile says what reads get until the load that failed is tried again.
func (r *read) meanwhile() string {
	if max(r.local, r.remote) >= record.IfError {
		return "the stale value (StaleIfError)"
	}
	return "that error"
}

// failed says why the last load of the key failed, if that was recorded and no later one succeeded.
func (r *read) failed() string {
	for _, e := range r.key.Events {
		switch e.Kind {
		case inspection.Failed:
			return fmt.Sprintf(" The last load failed %v ago: %s.", rounded(time.Since(e.At)), e.Reason)
		case inspection.Loaded:
			return ""
		}
	}
	return ""
}

// problem says why the value is stale, as far as Redis has it, or else this process.
func (r *read) problem() string {
	if y := r.key.Remote; y != nil && y.Exists {
		return cmp.Or(r.remoteProblem(), r.localProblem()) // it may be fresh there
	}
	return r.localProblem()
}

// localProblem says why the local tier doesn't serve the key.
func (r *read) localProblem() string {
	if r.key.Local == nil {
		return "there is no copy in its memory (it was never read here, was evicted, or was removed by a change)"
	}
	return r.key.Local.Problem
}

// remoteProblem says why the value in Redis isn't fresh.
func (r *read) remoteProblem() string {
	y := r.key.Remote
	switch {
	case !y.Exists:
		return "there is nothing under the key (it was never stored, its time is over, or it was deleted or evicted)"
	case y.Damaged:
		return "the bytes under the key are damaged, or of another version of tiercache"
	case y.Foreign != nil:
		return "another program wrote a value, and " + y.Foreign.Problem
	}
	for _, f := range y.Frames {
		if f.Own {
			return f.Problem
		}
	}
	return "there are only values of other releases (another Codec, or another Version or form of the type)"
}
