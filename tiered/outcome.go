package tiered

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// What Inspect says in words: what a read does, and why a value isn't fresh, or isn't there.

// outcome returns what a GetOrLoad that began now would do, and why, from what was found in the tiers. It follows GetOrLoad.
func (x *inspector[T]) outcome() (inspection.Outcome, string) {
	k := &x.key
	switch {
	case x.served && x.local >= record.RefreshDue:
		return inspection.Hit, "This process has a fresh copy." + x.refreshed(x.local)
	case x.served:
		return inspection.Stale, fmt.Sprintf("This process serves its stale copy while a load in the background replaces it: %s.%s", k.Local.Problem, x.failed())
	case k.Failure != nil:
		return inspection.Stale, fmt.Sprintf("The last load failed (%v), and the next one begins in %v at the earliest. Until then the stale value is served where StaleIfError allows it.", k.Failure, rounded(k.RetryIn))
	case k.Remote == nil:
		return inspection.Miss, "The loader is called: " + x.localProblem() + "." + x.fallback()
	case k.Queued:
		return inspection.Miss, "Redis isn't read for this key, since a write that Redis didn't take is still queued, and Redis may have an older value. The loader is called." + x.fallback()
	case k.Remote.Err != nil && k.Local != nil && !x.Cache.local.Strict() && x.local >= record.WhileRevalidate:
		return x.unverified(), fmt.Sprintf("Redis can't be read (%v), so this process serves its copy unverified.", k.Remote.Err)
	case k.Remote.Err != nil:
		return inspection.Miss, fmt.Sprintf("Redis can't be read (%v), and this process has no copy to serve: %s. The loader is called.", k.Remote.Err, x.localProblem())
	case x.remote >= record.RefreshDue:
		return inspection.Hit, "Redis has a fresh value; this process reads it from there, since " + x.localProblem() + "." + x.refreshed(x.remote)
	case x.remote == record.WhileRevalidate:
		return inspection.Stale, fmt.Sprintf("Redis has a stale value, which is served while a load in the background replaces it: %s.%s", x.remoteProblem(), x.failed())
	case k.Remote.Lease != nil:
		return inspection.Wait, fmt.Sprintf("A process is loading the key. Its lease ends in %v, unless it is extended; other processes wait for its result.%s", rounded(k.Remote.Lease.EndsIn), x.fallback())
	}
	return inspection.Miss, fmt.Sprintf("The loader is called: in Redis, %s; in this process, %s.%s%s", x.remoteProblem(), x.localProblem(), x.fallback(), x.failed())
}

// unverified returns the outcome of a read that is served the local copy because Redis can't be read.
func (x *inspector[T]) unverified() inspection.Outcome {
	if x.local >= record.RefreshDue {
		return inspection.Hit
	}
	return inspection.Stale
}

// refreshed says that a fresh value is due for a refresh, if it is.
func (x *inspector[T]) refreshed(use record.Use) string {
	if use == record.RefreshDue {
		return " It is past RefreshAfter, so a load in the background replaces it."
	}
	return ""
}

// fallback says that there is a stale value which is served if the load fails, if there is one.
func (x *inspector[T]) fallback() string {
	if max(x.local, x.remote) >= record.IfError {
		return " If that fails, the stale value is served (StaleIfError)."
	}
	return ""
}

// failed says why the last load of the key failed, if that was recorded and no later one succeeded.
func (x *inspector[T]) failed() string {
	for _, e := range x.recent.of(x.key.Key) {
		switch e.Kind {
		case inspection.Failed:
			return fmt.Sprintf(" The last load failed %v ago: %s.", rounded(time.Since(e.At)), e.Reason)
		case inspection.Loaded:
			return ""
		}
	}
	return ""
}

// localProblem says why the local tier doesn't serve the key.
func (x *inspector[T]) localProblem() string {
	if x.key.Local == nil {
		return "there is no copy in its memory (it was never read here, was evicted, or was removed by a change)"
	}
	return x.key.Local.Problem
}

// remoteProblem says why the value in Redis isn't fresh.
func (x *inspector[T]) remoteProblem() string {
	r := x.key.Remote
	switch {
	case !r.Exists:
		return "there is nothing under the key (it was never stored, its time is over, or it was deleted or evicted)"
	case r.Damaged:
		return "the bytes under the key are damaged, or of another version of tiercache"
	case r.Foreign != nil:
		return "another program wrote a value, and " + r.Foreign.Problem
	}
	for _, f := range r.Frames {
		if f.Own {
			return f.Problem
		}
	}
	return "there are only values of other releases (another Codec, or another Version or form of the type)"
}

// staleness says why a copy is stale.
func staleness(y *inspection.Copy) string {
	if y.Expired {
		return fmt.Sprintf("it was expired before its time (Expire, ExpireTags or ExpireAll); it is %v old", rounded(y.Age))
	}
	return fmt.Sprintf("its TTL was over %v ago: it is %v old, and was fresh for %v", rounded(-y.FreshFor), rounded(y.Age), rounded(y.Age+y.FreshFor))
}

// missReason says why what was read of Redis was a miss.
func missReason[T any](f *remote.Result[T]) string {
	switch r := f.Record; {
	case f.Err != nil:
		return "Redis can't be read: " + f.Err.Error()
	case f.Lease != nil:
		return "Redis has the lease of another load"
	case r != nil && r.Expired:
		return "the value in Redis was expired (Expire, ExpireTags or ExpireAll)"
	case r != nil && r.Stale(mono.Now()):
		return fmt.Sprintf("the TTL of the value in Redis was over %v before", rounded(mono.Now().Since(r.FreshUntil)))
	case r != nil:
		return "the value in Redis was fresh, and is refreshed"
	case f.Others != nil:
		return "Redis has only values of other releases"
	case f.Framed():
		return "the value in Redis was invalidated (InvalidateTags or Clear), or can't be decoded"
	case f.Seen.Exists:
		return "the value in Redis can't be decoded"
	}
	return "Redis had nothing under the key"
}

// rounded returns a duration with as many digits as people read.
func rounded(d time.Duration) time.Duration {
	switch abs := d.Abs(); {
	case abs >= 10*time.Second:
		return d.Round(time.Second)
	case abs >= time.Second:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}

func quoted(s string) string { return strconv.Quote(s) }
