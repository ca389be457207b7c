package remote

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Result is what was read of a key:
//
//	the key holds                      Record  Lease  Vacant  Seen
//	nothing                                           yes     nothing
//	a frame                            yes                    its head
//	a frame whose value can't be decoded              yes     its head
//	only frames of other releases                             the first one's head
//	a damaged frame                                   yes     all its bytes
//	a lease                                    yes            its head
//	a value of another program         yes                    all its bytes
//	one that can't be decoded                                 all its bytes
//	a hold                             Held, and an Err: nothing replaces it
//	another value that is no string    an Err
//
// The last one isn't Vacant, unless it is empty: another program may still need it, so no lease replaces it, only a new value. A
// frame that was invalidated becomes Vacant later, by its dependencies. While there are frames of other releases (Others), nothing
// is Vacant, and Seen is the head of the first frame.
type Result[T any] struct {
	Record          *record.Record[T]  // fresh or stale; nil: none that can be decoded
	Seen            redisconn.Expected // the content that a store of a newer value replaces
	Lease           []byte             // the lease under the key; nil: none
	Others          []byte             // the frames under the key, if some are of other codecs or schemas
	Own             uint64             // the id of the frame of this codec and schema; 0: there is none
	OwnExpired      bool               // it was expired
	Vacant          bool               // the key holds nothing worth keeping, so a lease may replace it
	Held            bool               // somebody holds the key: there is an Err, too, so that no loaded value is stored
	redisconn.Reply                    // with an Err the content is unknown
	Deps            *coherence.Deps    // the dependencies of a record that the local tier may keep; not set by the Tier
}

// Use reports how the record that was read may be served.
func (f *Result[T]) Use(w *wire.Windows) record.Use {
	if f.Err != nil || f.Record == nil {
		return record.Unusable
	}
	return f.Record.Use(w, mono.Now())
}

// Framed reports whether the record came out of a frame. If not, another program wrote it.
func (f *Result[T]) Framed() bool { return f.Seen.Head }

// DropExpiring treats a stale value that another program wrote as missing: Redis is about to expire it, so it isn't kept during a
// load. The load can take its lease only once the value is gone.
func (f *Result[T]) DropExpiring() {
	if f.Err == nil && f.Record != nil && !f.Framed() && f.Record.Stale(mono.Now()) {
		f.Record, f.Seen, f.Vacant = nil, redisconn.Expected{}, true
	}
}

// Leasable reports whether a load's lease may replace what was found under the key.
func (f *Result[T]) Leasable() bool {
	if f.Lease != nil || f.Seen.Exists && f.Seen.Bytes == "" { // an earlier load's lease, or bytes like those of a missing key
		return true
	}
	return f.Record == nil && f.Vacant
}

// ReadOptions says how to read keys.
//
// Many keys are read with one MGET where that is possible. It returns the same for a value of another type as for no value. That is
// noticed when a lease is to replace the key's content, since SET NX finds the key there; the next read of it is then an Exact one.
type ReadOptions struct {
	Started []redisconn.Pending // reads already begun, one per key; unused if nil or if one has no Read
	Exact   bool                // tell a value of another type from no value; otherwise only replacing it shows the difference
	Lease   *wire.Lease         // put this under a single key that holds nothing, if the server can do both at a time; nil: none
}

// Read reads the keys. It decodes the values as the policy says.
func (t *Tier[T]) Read(ctx context.Context, keys []string, p *record.Policy, o ReadOptions) []Result[T] {
	replies := t.replies(ctx, keys, o)
	results := make([]Result[T], len(keys))
	var foreign, noString []int
	for i, a := range replies {
		f := &results[i]
		f.Reply = a
		if a.Err != nil {
			if redis.HasErrorPrefix(a.Err, wrongType) {
				noString = append(noString, i)
			}
			continue
		}
		b, exists := a.Bytes()
		if !exists {
			f.Vacant = true
			continue
		}
		if err := t.decode(ctx, f, &Raw{keys[i], b, mono.Now()}, p); err != nil {
			t.report("tiered: a value in Redis can't be decoded", keys[i], err)
		}
		if f.Record != nil && !f.Framed() {
			foreign = append(foreign, i)
		}
	}
	t.findHolds(ctx, keys, results, noString)
	for i := range results {
		if results[i].Held {
			replies[i].Err = nil // this is no error
		}
	}
	t.countErrors(replies)
	t.limitForeign(ctx, keys, results, foreign)
	return results
}

// wrongType begins the error of a read of a value that is no string.
const wrongType = "WRONGTYPE "

// findHolds finds out which of the values that are no strings are holds.
func (t *Tier[T]) findHolds(ctx context.Context, keys []string, results []Result[T], noString []int) {
	if len(noString) == 0 {
		return
	}
	replies := t.do(ctx, t.request("get", pick(keys, noString), func(ctx context.Context, to redis.Cmdable, _ int, key string) redis.Cmder {
		return to.ZCard(ctx, key)
	}))
	for n, i := range noString {
		results[i].Held = replies[n].Err == nil && replies[n].Value.(*redis.IntCmd).Val() > 0
	}
}

// replies returns Redis's replies for the keys, from reads already begun where it can.
func (t *Tier[T]) replies(ctx context.Context, keys []string, o ReadOptions) []redisconn.Reply {
	if o.Lease != nil {
		return t.do(ctx, redisconn.GetOrSet(t.Keys.Value(keys[0]), o.Lease.Bytes(), o.Lease.TTL))
	}
	if len(keys) == 1 && (o.Started == nil || o.Started[0].Read == nil) && !o.Exact {
		if s := t.Conn.Read(ctx, t.Keys.Value(keys[0]), t.jobReads, mono.Now()); s.Read != nil {
			o.Started = []redisconn.Pending{s}
		}
	}
	if o.Started == nil || slices.ContainsFunc(o.Started, func(s redisconn.Pending) bool { return s.Read == nil }) {
		q := redisconn.Gets(t.redisKeys(keys))
		q.Bulk = !o.Exact
		return t.do(ctx, q)
	}
	replies := make([]redisconn.Reply, len(keys))
	var late []int
	for i, s := range o.Started {
		replies[i] = s.Wait(ctx)
		if len(s.Keys) > 1 && errors.Is(replies[i].Err, context.DeadlineExceeded) && ctx.Err() == nil {
			late = append(late, i)
		}
	}
	if len(late) == 0 {
		return replies
	}
	// A command for many keys may have timed out because their values are large. A request is given more time.
	for n, a := range t.do(ctx, redisconn.Gets(t.redisKeys(pick(keys, late)))) {
		replies[late[n]] = a
	}
	return replies
}

// Start begins to read the keys at the instant at, with the values of ctx. A key that needs a call of its own gets no Read.
func (t *Tier[T]) Start(ctx context.Context, keys []string, at mono.Instant) []redisconn.Pending {
	n := 0
	for _, key := range keys {
		n += len(t.Keys.Values) + len(key)
	}
	var all strings.Builder // each of Redis's keys is a substring of it
	all.Grow(n)
	redisKeys := make([]string, len(keys))
	for i, key := range keys {
		from := all.Len()
		all.WriteString(t.Keys.Values)
		all.WriteString(key)
		redisKeys[i] = all.String()[from:]
	}
	return t.Conn.ReadAll(ctx, redisKeys, t.reads, at)
}

// StartOne is Start for one key. It allocates no slices.
func (t *Tier[T]) StartOne(ctx context.Context, key string, at mono.Instant) redisconn.Pending {
	return t.Conn.Read(ctx, t.Keys.Value(key), t.reads, at)
}

// Abandon ends the reads that were begun by Start, because the cache is closed.
func (t *Tier[T]) Abandon() { t.Conn.EndSession(t.reads) }

// limitForeign makes records that other programs wrote expire with their keys, which Redis may report up to a second late.
func (t *Tier[T]) limitForeign(ctx context.Context, keys []string, results []Result[T], foreign []int) {
	if len(foreign) == 0 {
		return
	}
	replies := t.do(ctx, t.request("pttl", pick(keys, foreign), func(ctx context.Context, to redis.Cmdable, _ int, key string) redis.Cmder {
		return pttl(ctx, to, key)
	}))
	t.countErrors(replies)
	for n, i := range foreign {
		r := results[i].Record
		if replies[n].Err != nil {
			results[i].Err = replies[n].Err
		} else if left := replies[n].Value.(*redis.IntCmd).Val(); left != -1 { // -1: no expiry
			r.FreshUntil = min(r.FreshUntil, mono.Now().Add(mono.Millis(max(0, left))))
		}
	}
}

// pttl asks for a key's TTL in milliseconds. The client's own PTTL returns a Duration, which another program's TTL may overflow.
func pttl(ctx context.Context, to redis.Cmdable, key string) redis.Cmder {
	cmd := redis.NewIntCmd(ctx, "pttl", key)
	redisconn.Process(ctx, to, cmd)
	return cmd
}

// pick returns the elements at the places.
func pick[E any](all []E, places []int) []E {
	picked := make([]E, len(places))
	for n, i := range places {
		picked[n] = all[i]
	}
	return picked
}
