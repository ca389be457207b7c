package tiers

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Before a job loads, it asks Redis for leases, so that other processes wait for the result. There are two kinds. A primary lease is
// put under the key itself, if that holds nothing worth keeping: another process that reads the key finds the lease, and a write
// of the key by anyone ends it. A secondary lease is put under a key beside it, while the old value stays readable; a load that
// replaces a value then checks that the value is still the one that it read. A lease that can't be had doesn't stop a load when
// Redis doesn't answer: each process then loads for itself.

// Leases are those that a job holds, and those of other processes that it waits for. The zero Leases are none.
type Leases[T, S any] struct {
	Held  *remote.HeldLeases[T] // nil until the first is acquired
	Waits remote.LeaseWaiter[*inflight.Flight[T, S]]
}

// Claims are the tasks of a job's round, by the lease that each needs.
type Claims[T, S any] struct {
	Ready    []*Task[T, S] // none: the job has it already, or there is no Redis, or the key holds what only a new value may replace
	Leased   []*Task[T, S] // none: the read of this round has taken a primary one
	Free     []*Task[T, S] // a primary one: the key holds nothing worth keeping
	Occupied []*Task[T, S] // a secondary one: the key holds a value that stays until it is replaced
	Err      error         // why Redis can't be asked: no lease is acquired
}

// Len returns the number of tasks.
func (cl *Claims[T, S]) Len() int {
	return len(cl.Ready) + len(cl.Leased) + len(cl.Free) + len(cl.Occupied)
}

// All returns all tasks.
func (cl *Claims[T, S]) All() []*Task[T, S] {
	return slices.Concat(cl.Ready, cl.Leased, cl.Free, cl.Occupied)
}

// AddLeased adds a task whose key holds the job's own lease: ReadOrLease has taken it, or Redis has, of whose reply to an earlier request
// go-redis knew nothing when it sent that again.
func (cl *Claims[T, S]) AddLeased(tk *Task[T, S], ls *Leases[T, S]) {
	tk.leased = primaryLease
	if tk.Found.HasSet() {
		cl.Leased = append(cl.Leased, tk)
	} else {
		cl.Ready = append(cl.Ready, tk)
	}
	ls.Held.Add(tk.Key())
}

// acquisition is one call of Acquire.
type acquisition[T, S any] struct {
	*Tiers[T, S]
	*Leases[T, S]
	ctx    context.Context
	view   *record.Policy // decides whether a value is of use to anybody
	limit  time.Duration  // of the load
	leases int            // at most so many
}

// Acquire acquires the leases that the tasks need, for loads that take limit at most, and returns those tasks that the job must load.
// It reads the position among the invalidations first, so that a later invalidation applies to the loaded values.
func (t *Tiers[T, S]) Acquire(ctx context.Context, ls *Leases[T, S], cl Claims[T, S], view *record.Policy, limit time.Duration) []*Task[T, S] {
	if cl.Len() == 0 {
		return nil
	}
	a := acquisition[T, S]{t, ls, ctx, view, limit, cl.Len()}
	tasks, err := cl.Ready, cl.Err
	var s coherence.Position
	var soonGone []*Task[T, S]
	if err == nil {
		s, err = t.Tags.Position(ctx)
	}
	if err == nil {
		var acquired []*Task[T, S]
		acquired, soonGone = a.secondary(cl.Occupied)
		tasks = append(tasks, acquired...)
	} else {
		s = t.Tags.LastKnown()
		tasks = append(append(tasks, cl.Free...), cl.Occupied...)
	}
	for _, tk := range tasks {
		t.Keys.BeginLoad(tk.Flight, false)
	}
	if len(tasks) == 0 {
		tasks = cl.Leased
	} else {
		tasks = append(tasks, cl.Leased...)
	}
	if err == nil {
		tasks = append(tasks, a.primary(append(cl.Free, soonGone...))...)
		ls.Held.ReleaseSecondary(ctx, KeysOf(soonGone, (*Task[T, S]).Key))
	}
	for _, tk := range tasks {
		tk.stamp = s
		if err != nil { // if it is nil, extend may be reading Found in its goroutine
			tk.Found.Err = cmp.Or(tk.Found.Err, err) // the result can't be stored
		}
	}
	return tasks
}

// ReadOrLease reads the flight's key, and takes a primary lease for a load that takes limit at most if the key holds nothing: one trip
// instead of two, where that is likely. It returns false if the key has to be read again, because a change of it was reported meanwhile
// that was taken for that of the lease. There is one result.
func (t *Tiers[T, S]) ReadOrLease(ctx context.Context, ls *Leases[T, S], f *inflight.Flight[T, S], view *record.Policy, limit time.Duration) (results []remote.Result[T], ok bool) {
	a := acquisition[T, S]{t, ls, ctx, view, limit, 1}
	a.hold()
	l := a.Held.Current()
	t.Keys.BeginLoad(f, true)
	results = t.Read(ctx, []inflight.Ref[T, S]{f.Ref}, view, remote.ReadOptions{Lease: &l})
	found := &results[0]
	if found.Err == nil && found.HasSet() {
		found.Seen = a.Held.Seen() // what the key holds now
		return results, true
	}
	if found.Err != nil && !redisconn.NotSent(found.Err) {
		a.Held.Add(f.Key) // Redis may have it
	}
	t.Keys.AbortLoad(f)
	return results, found.Err != nil || t.Keys.IsCurrent(f)
}

// primary acquires leases for keys without a value, or with one that they replace. It returns the tasks that got one, and
// those whose request failed. Another process has written the keys of the others.
func (a *acquisition[T, S]) primary(free []*Task[T, S]) (tasks []*Task[T, S]) {
	if len(free) == 0 {
		return nil
	}
	a.hold()
	keys, seen := KeysOf(free, (*Task[T, S]).Key), make([]redisconn.Expected, len(free))
	for i, tk := range free {
		seen[i] = tk.Found.Seen
		a.Keys.BeginLoad(tk.Flight, true)
	}
	answers := a.Remote.Lease(a.ctx, keys, seen, a.Held.Current())
	for i, reply := range answers {
		tk := free[i]
		if reply.Err == nil && !remote.Leased(reply) {
			a.Keys.AbortLoad(tk.Flight)
			a.Waits.Remove(tk.Flight) // read it again at once
			continue
		}
		if tk.Found.Err = reply.Err; reply.Err == nil {
			tk.leased = primaryLease
		}
		tasks = append(tasks, tk)
		a.Held.Add(keys[i]) // after an error too: Redis may have it
	}
	return tasks
}

// secondary acquires leases for values that stay in Redis during the load. It returns the tasks that got one, and those whose
// request failed. The others wait for the holder of their lease. soonGone are tasks that got one, whose value nobody is served and
// Redis drops in less than wire.MaxLease: a primary lease must replace it, so that other processes don't find neither.
//
// Redis keeps the other values for wire.MaxLease at least, those of other releases for as long as they are of use. If the load takes
// longer than that, another process finds neither value nor lease under the key and loads too, and this load's result isn't stored.
func (a *acquisition[T, S]) secondary(occupied []*Task[T, S]) (tasks, soonGone []*Task[T, S]) {
	if len(occupied) == 0 {
		return nil, nil
	}
	a.hold()
	keys := KeysOf(occupied, (*Task[T, S]).Key)
	var taken []*Task[T, S]
	for i, reply := range a.Remote.LeaseSecondary(a.ctx, keys, a.Held.Current()) {
		tk := occupied[i]
		theirs := remote.Holder(reply)
		if l, ok := wire.ParseLease(theirs); ok && !a.Held.Owns(remote.SeenLease(l)) && a.AwaitLease(a.Leases, tk.Flight, a.Remote.Keys.Lease(keys[i]), theirs, reply) {
			continue
		}
		a.Held.AddSecondary(keys[i])
		switch {
		case reply.Err != nil:
			tasks = append(tasks, tk)
		case a.soonGone(&tk.Found):
			soonGone = append(soonGone, tk)
		default:
			tk.leased = secondaryLease
			taken = append(taken, tk)
		}
	}
	return append(tasks, a.unreplaced(taken)...), soonGone
}

// AwaitLease has the flight wait for another process's lease, which the reply found under the key of Redis. It returns false if the
// lease should have ended long ago. A server that reports only keys that it was asked about is asked about this one.
func (t *Tiers[T, S]) AwaitLease(ls *Leases[T, S], f *inflight.Flight[T, S], redisKey string, lease []byte, from redisconn.Reply) bool {
	if feed := from.Feed; feed.Watch != nil {
		v, head, key, hash := feed.Validity(), string(lease[:min(len(lease), wire.LeaseHead)]), f.Key, f.Hash
		asked := feed.Ask(redisKey, len(head), func(now string, err error) {
			if err != nil || now != head {
				t.Keys.Wake(key, hash)
			}
		})
		if from.Validity = v; !asked {
			from.Validity = coherence.Never
		}
	}
	return ls.Waits.Add(f, lease, from)
}

// soonGone reports whether nobody is served what the key holds, and Redis may drop it during a load.
func (a *acquisition[T, S]) soonGone(found *remote.Result[T]) bool {
	r := found.Record
	return found.Use(&a.view.Windows) == record.Unusable && r != nil && found.Others == nil && r.Created.Add(r.RedisTTL(a.Retention)) <= mono.Now().Add(wire.MaxLease)
}

// unreplaced returns the tasks whose old value is still in Redis. The values of the others were replaced after they were read,
// perhaps by an earlier holder of the lease. Those leases are released, and the keys read again at once.
func (a *acquisition[T, S]) unreplaced(taken []*Task[T, S]) (tasks []*Task[T, S]) {
	if len(taken) == 0 {
		return nil
	}
	keys, seen := KeysOf(taken, (*Task[T, S]).Key), make([]redisconn.Expected, len(taken))
	for i, tk := range taken {
		seen[i] = tk.Found.Seen
	}
	var free []string
	for i, same := range a.Remote.Unchanged(a.ctx, keys, seen) {
		if same {
			tasks = append(tasks, taken[i])
			continue
		}
		a.Waits.Remove(taken[i].Flight)
		free = append(free, keys[i])
	}
	a.Held.ReleaseSecondary(a.ctx, free)
	return tasks
}

// hold creates the job's held leases before the first is acquired.
func (a *acquisition[T, S]) hold() {
	if a.Held == nil {
		l := wire.NewLease(a.limit).ForBatch(a.leases - redisconn.MaxChunk)
		a.Held = a.Remote.NewHeldLeases(l, remote.Holding{Base: a.Base, Life: a.Life, Released: a.release})
	}
}
