package inspect

import (
	"context"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// inspectRemote reports what Redis has.
func (x *inspector[T]) inspectRemote(ctx context.Context) {
	c := x.Remote.Inspect(ctx, x.key.Key)
	y := &inspection.Remote{Err: c.Err, Exists: c.Exists, Size: len(c.Bytes), TTL: c.TTL}
	x.key.Remote, x.at = y, mono.Now()
	if l, ok := wire.ParseLease(c.Lease); ok {
		y.Lease = &inspection.Lease{Beside: true, EndsIn: c.LeaseTTL, Extended: l.Extended}
	}
	switch {
	case c.Err != nil || !c.Exists:
	case wire.IsLease(c.Bytes):
		l, ok := wire.ParseLease(c.Bytes)
		if y.Damaged = !ok; ok {
			y.Lease = &inspection.Lease{EndsIn: c.TTL, Extended: l.Extended}
		}
	case wire.IsFrame(c.Bytes):
		x.inspectFrames(ctx, c.Bytes)
	default:
		x.inspectForeign(&c)
	}
}

// inspectForeign reports a value that another program wrote.
func (x *inspector[T]) inspectForeign(c *remote.Content) {
	y := &inspection.Copy{FreshFor: x.Policy.ForeignTTL()}
	x.key.Remote.Foreign = y
	if c.TTL >= 0 {
		y.FreshFor = min(c.TTL, x.Policy.ForeignTTL())
	}
	value, err := x.Remote.DecodePayload(x.key.Key, c.Bytes)
	if err != nil {
		y.Problem = "it can't be decoded: " + err.Error()
		return
	}
	y.Value, y.Usable = value, true
	x.remote = record.Good
}

// inspectFrames reports the frames under a key, and how the one of this cache may be served.
func (x *inspector[T]) inspectFrames(ctx context.Context, b []byte) {
	first, err := wire.ParseFrame(b)
	if err != nil {
		x.key.Remote.Damaged = true
		return
	}
	for f := first; err == nil; f, err = wire.ParseFrame(f.Others) {
		f.Expired = f.Expired || first.Expired
		x.key.Remote.Frames = append(x.key.Remote.Frames, x.frame(ctx, &f))
		if len(f.Others) == 0 {
			break
		}
	}
}

// frame reports one frame.
func (x *inspector[T]) frame(ctx context.Context, f *wire.Frame) inspection.Frame {
	age := max(0, x.Remote.Conn.TimeAt(ctx, x.at).Sub(f.Created))
	y := inspection.Frame{
		Copy:  inspection.Copy{Absent: f.NotFound, Age: age, FreshFor: f.FreshFor - age, Expired: f.Expired, Tags: f.Tags},
		Codec: f.Codec, Schema: f.Schema, Took: f.Took, Payload: len(f.Payload), Own: x.Remote.IsOwn(f),
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
		value, err := x.Remote.DecodePayload(x.key.Key, f.Payload)
		if err != nil {
			y.Problem = "it can't be decoded: " + err.Error()
			return
		}
		y.Value = value
	}
	status, why, err := x.invalidated(ctx, &coherence.Stamp{Epoch: f.Epoch, Seq: f.Seq, Tags: f.Tags})
	switch {
	case err != nil:
		y.Problem = "its tags can't be read from Redis: " + err.Error()
		return
	case status == coherence.Invalid:
		y.Problem = why
		return
	}
	y.Expired = y.Expired || status == coherence.Expired
	r := record.Record[T]{Created: x.at.Add(-y.Age), FreshUntil: x.at.Add(y.FreshFor), Meta: &record.Meta{Absent: f.NotFound, Expired: y.Expired, Windows: f.Windows}}
	x.remote = r.Use(&x.Policy.Windows, x.at)
	y.Usable = x.remote > record.Unusable
	switch {
	case why != "":
		y.Problem = why
	case r.Stale(x.at):
		y.Problem = staleness(&y.Copy)
	}
}
