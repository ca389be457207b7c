package tiered

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Inspect reports what both tiers have for a key, and what GetOrLoad would do now, and why. It changes nothing: it fills no tier, takes
// no lease, and isn't counted in Stats (ristretto counts it as a read of the key when it decides what to evict). It asks Redis with up to
// two round trips. If Redis can't be read, that is part of what it reports. It returns an error if the key is invalid or the cache is
// closed.
func (c *Cache[T]) Inspect(ctx context.Context, key string) (inspection.Key, error) {
	if err := c.usable(key); err != nil {
		return inspection.Key{}, err
	}
	x := inspector[T]{Cache: c, at: mono.Now(), key: inspection.Key{Key: key, Queued: c.remote != nil && c.queue.Hides(key)}}
	hash := c.hash(key)
	x.inspectFlight(c.keys.Joinable(key, hash))
	it := c.local.Peek(key, hash)
	if it != nil && it.Deleted() {
		it = nil
	}
	if c.remote != nil {
		x.inspectRemote(ctx)
	}
	if it != nil {
		x.inspectLocal(ctx, it)
	}
	x.key.Outcome, x.key.Reason = x.outcome()
	x.key.Events = c.recent.of(key)
	return x.key, nil
}

// inspector is the state of one Inspect.
type inspector[T any] struct {
	*Cache[T]
	at     mono.Instant
	key    inspection.Key
	local  record.Use // how the local copy may be served
	remote record.Use // and the value in Redis
	served bool       // the local copy is served without reading Redis
}

// inspectFlight reports the load of the key that this process has under way, or the failed one that keeps the next from beginning.
func (x *inspector[T]) inspectFlight(f *flight[T]) {
	switch {
	case f == nil:
	case !f.Finished():
		x.key.Loading = true
	case f.Err != nil:
		x.key.Failure, x.key.RetryIn = f.Err, x.retries.left(f, x.at)
	}
}

// inspectLocal reports the local copy.
func (x *inspector[T]) inspectLocal(ctx context.Context, it *local.Item[T]) {
	valid, inTime := it.Valid(x.at), x.Cache.local.InTime(it, x.at, &x.view.Windows)
	x.served = valid && inTime
	after := x.Cache.local.AfterExpiry(it)
	x.local = after.Use(&x.view.Windows, x.at)
	if !after.Intact() {
		x.local = record.Unusable
	}
	y := &inspection.Local{Copy: x.copyOf(&after.Record), LeavesIn: it.LocalUntil().Since(x.at), Cost: max(1, it.Cost)}
	y.Usable = x.local > record.Unusable
	switch {
	case !valid:
		y.Problem = x.invalidity(ctx, it)
	case it.Stale(x.at):
		y.Problem = staleness(&y.Copy)
	case !inTime:
		y.Problem = "its LocalTTL is over, so Redis is read first"
	}
	x.key.Local = y
}

// invalidity says why an item whose dependencies don't hold isn't served.
func (x *inspector[T]) invalidity(ctx context.Context, it *local.Item[T]) string {
	if !it.Intact() {
		if states, err := x.tags.Look(ctx, it.Record.Tags); err == nil {
			if status, why := states.Explain(&it.Stamp); status != coherence.Valid {
				return why
			}
		}
		for i, t := range it.Tags {
			if t.Dead.Load() && i < len(it.Record.Tags) {
				return "the record of its tag " + quoted(it.Record.Tags[i]) + " has changed since it was read, so Redis is read first"
			}
		}
		return "the whole cache was cleared or expired (Clear, ExpireAll) after the value's load began"
	}
	if it.Validity.Ended() {
		return "the connection for invalidations was lost after this copy was read, so a change may have been missed: Redis is read first"
	}
	return "it isn't certain that all invalidations arrive at present: Redis is read first"
}

// copyOf returns what both tiers report of a record.
func (x *inspector[T]) copyOf(r *record.Record[T]) inspection.Copy {
	y := inspection.Copy{
		Absent: r.Absent, Age: max(0, x.at.Since(r.Created)), FreshFor: r.FreshUntil.Since(x.at), Expired: r.Expired, Tags: r.Tags,
	}
	if !r.Absent {
		y.Value = r.Value
	}
	return y
}

// inspectRemote reports what Redis has.
func (x *inspector[T]) inspectRemote(ctx context.Context) {
	c := x.Cache.remote.Inspect(ctx, x.key.Key)
	y := &inspection.Remote{Err: c.Err, Exists: c.Exists, Size: len(c.Bytes), TTL: c.TTL}
	x.key.Remote, x.at = y, mono.Now()
	if l, ok := wire.ParseLease(c.Lease); ok {
		y.Lease = &inspection.Lease{Beside: true, EndsIn: c.LeaseTTL, Extended: l.Extended}
	}
	switch {
	case c.Err != nil || !c.Exists:
	case wire.IsLease(c.Bytes):
		if l, ok := wire.ParseLease(c.Bytes); ok {
			y.Lease = &inspection.Lease{EndsIn: c.TTL, Extended: l.Extended}
		} else {
			y.Damaged = true
		}
	case wire.IsFrame(c.Bytes):
		x.inspectFrames(ctx, y, c.Bytes)
	default:
		x.inspectForeign(y, &c)
	}
}

// inspectForeign reports a value that another program wrote.
func (x *inspector[T]) inspectForeign(y *inspection.Remote, c *remote.Content) {
	y.Foreign = &inspection.Copy{FreshFor: x.view.TTL}
	if c.TTL >= 0 {
		y.Foreign.FreshFor = min(c.TTL, x.view.TTL)
	}
	value, err := x.Cache.remote.DecodeForeign(c.Bytes)
	if err != nil {
		y.Foreign.Problem = "it can't be decoded: " + err.Error()
		return
	}
	y.Foreign.Value, y.Foreign.Usable = value, true
	x.remote = record.Good
}

// inspectFrames reports the frames under a key, and how the one of this cache may be served.
func (x *inspector[T]) inspectFrames(ctx context.Context, y *inspection.Remote, b []byte) {
	first, err := wire.ParseFrame(b)
	if err != nil {
		y.Damaged = true
		return
	}
	for f := first; err == nil; f, err = wire.ParseFrame(f.Others) {
		f.Expired = f.Expired || first.Expired
		y.Frames = append(y.Frames, x.frame(ctx, &f))
		if len(f.Others) == 0 {
			break
		}
	}
}

// frame reports one frame.
func (x *inspector[T]) frame(ctx context.Context, f *wire.Frame) inspection.Frame {
	age := max(0, x.Cache.remote.Conn.TimeAt(ctx, x.at).Sub(f.Created))
	y := inspection.Frame{
		Copy:  inspection.Copy{Absent: f.NotFound, Age: age, FreshFor: f.FreshFor - age, Expired: f.Expired, Tags: f.Tags},
		Codec: f.Codec, Schema: f.Schema, Took: f.Took, Payload: len(f.Payload), Own: x.Cache.remote.IsOwn(f),
	}
	if w := f.Windows; w != nil {
		y.Windows = &inspection.Windows{RefreshAfter: w.RefreshAfter, StaleWhileRevalidate: w.WhileRevalidate, StaleIfError: w.IfError}
	}
	if !y.Own {
		y.Problem = "it is of another release: another Codec, or another Version or form of the type"
		return y
	}
	x.judgeFrame(ctx, f, &y)
	return y
}

// judgeFrame decodes a frame of this cache, and reports how it may be served.
func (x *inspector[T]) judgeFrame(ctx context.Context, f *wire.Frame, y *inspection.Frame) {
	if !f.NotFound {
		value, err := x.Cache.remote.DecodeForeign(f.Payload)
		if err != nil {
			y.Problem = "it can't be decoded: " + err.Error()
			return
		}
		y.Value = value
	}
	stamp := coherence.Stamp{Epoch: f.Epoch, Seq: f.Seq, Tags: f.Tags}
	states, err := x.tags.Look(ctx, f.Tags)
	if err != nil {
		y.Problem = "its tags can't be read from Redis: " + err.Error()
		return
	}
	status, why := states.Explain(&stamp)
	if status == coherence.Invalid {
		y.Problem = why
		return
	}
	y.Expired = y.Expired || status == coherence.Expired
	r := record.Record[T]{Created: x.at.Add(-y.Age), FreshUntil: x.at.Add(y.FreshFor), Meta: &record.Meta{Absent: f.NotFound, Expired: y.Expired, Windows: f.Windows}}
	x.remote = r.Use(&x.view.Windows, x.at)
	y.Usable = x.remote > record.Unusable
	switch {
	case why != "":
		y.Problem = why
	case r.Stale(x.at):
		y.Problem = staleness(&y.Copy)
	}
}

// left returns for how long callers still join the failed flight.
func (r *retries[T]) left(f *flight[T], at mono.Instant) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, r.timers[f].until.Since(at))
}
