package remote

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
	"unsafe"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// View is what the policy of a view of the cache says about values that are read.
type View struct {
	TTL     time.Duration // of a value that another program wrote
	Windows wire.Windows  // of values without windows of their own
	Jitter  float64       // of the time of an early refresh
}

var errOtherCodec = errors.New("the frame has another codec's value")

// decode decodes a key's content into f.
func (t *Tier[T]) decode(ctx context.Context, f *Result[T], b []byte, v *View) error {
	if l, ok := wire.ParseLease(b); ok {
		f.Seen, f.Lease = SeenLease(l), b
		return nil
	}
	at := mono.Now()
	f.Seen = redisconn.Expected{Exists: true, Bytes: string(b)}
	r := new(record.Record[T])
	if wire.IsFrame(b) || wire.IsLease(b) {
		f.Vacant = true
		meta, valid, err := t.DecodeFrame(ctx, b, at, v, r)
		if valid { // its head is never modified
			f.Seen = redisconn.Expected{Exists: true, Bytes: unsafe.String(&b[0], wire.FrameHead), Head: true}
		}
		if err != nil {
			return err
		}
		r.Meta = &meta
	} else {
		f.Vacant = len(b) == 0
		r.Created, r.FreshUntil, r.Meta = at, at.Add(v.TTL), new(record.Meta)
		var err error
		if r.Cost, err = t.values.Decode(b, &r.Value); err != nil {
			return err
		}
	}
	f.Record, f.Vacant = r, false
	return nil
}

// DecodeFrame decodes a frame that was read at the instant at. It sets the record's value and times, and returns its metadata. valid
// reports whether it is a frame of this cache's codec; its value may still be impossible to decode.
func (t *Tier[T]) DecodeFrame(ctx context.Context, b []byte, at mono.Instant, v *View, r *record.Record[T]) (m record.Meta, valid bool, err error) {
	fr, err := wire.ParseFrame(b)
	if err == nil && fr.Codec != t.values.Name {
		err = errOtherCodec
	}
	if err != nil {
		return m, false, err
	}
	r.Created, r.FreshUntil = times(&fr, at, t.Conn.TimeAt(ctx, at))
	m = meta(&fr, v)
	if !fr.NotFound {
		m.Cost, err = t.values.Decode(fr.Payload, &r.Value)
	}
	return m, true, err
}

// times returns when the frame's record was created and until when it is fresh. At the instant at, Redis's clock showed onRedis.
func times(f *wire.Frame, at mono.Instant, onRedis time.Time) (created, freshUntil mono.Instant) {
	age := max(0, onRedis.Sub(f.Created))
	return at.Add(-age), at.Add(f.FreshFor - age)
}

// meta returns the metadata of the frame's record. It draws the time of an early refresh.
func meta(f *wire.Frame, v *View) record.Meta {
	t := record.Meta{
		Absent: f.NotFound, Expired: f.Expired, Took: f.Took, Windows: f.Windows,
		Stamp: coherence.Stamp{Epoch: f.Epoch, Seq: f.Seq, Tags: f.Tags},
	}
	t.DrawEarly(&v.Windows, v.Jitter)
	return t
}

// Encode encodes the record as a frame. Its creation is on Redis's clock, which ctx limits the wait for.
func (t *Tier[T]) Encode(ctx context.Context, r *record.Record[T]) ([]byte, error) {
	at := t.Conn.Time(ctx) // may block
	f := wire.Frame{
		ID:       rand.Uint64(),
		NotFound: r.Absent,
		Codec:    t.values.Name,
		Created:  at.Add(-mono.Now().Since(r.Created)),
		FreshFor: r.FreshUntil.Since(r.Created),
		Took:     r.Took,
		Windows:  r.Windows,
		Epoch:    r.Epoch,
		Seq:      r.Seq,
		Tags:     r.Tags,
	}
	return t.values.Encode(&f, &r.Value)
}
