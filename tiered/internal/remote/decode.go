package remote

import (
	"context"
	"math/rand/v2"
	"time"
	"unsafe"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Raw is what Redis had under a key at an instant.
type Raw struct {
	Key   string
	Bytes []byte
	At    mono.Instant
}

// decode decodes a key's content into f.
func (t *Tier[T]) decode(ctx context.Context, f *Result[T], raw *Raw, p *record.Policy) error {
	b := raw.Bytes
	if l, ok := wire.ParseLease(b); ok {
		f.Seen, f.Lease = SeenLease(l), b
		return nil
	}
	r := new(record.Record[T])
	if wire.IsFrame(b) || wire.IsLease(b) {
		fr, found, only, err := wire.FindFrame(b, t.values.Name, t.values.Schema)
		if fr.FreshFor == 0 { // b begins with no whole frame
			f.Seen, f.Vacant = seenWhole(b), true
			return err
		}
		f.Seen = redisconn.Expected{Exists: true, Bytes: unsafe.String(&b[0], wire.FrameHead), Head: true} // it is never modified
		if !only {
			f.Others = b
		}
		if !found {
			return err
		}
		f.Own, f.OwnExpired = fr.ID, fr.Expired
		meta, err := t.decodeFrame(ctx, &fr, raw, p, r)
		if err != nil {
			f.Vacant = only
			return err
		}
		r.Meta = &meta
	} else {
		f.Seen = seenWhole(b)
		r.Created, r.FreshUntil, r.Meta = raw.At, raw.At.Add(p.ForeignTTL()), new(record.Meta)
		var err error
		if r.Cost, err = t.values.Decode(raw.Key, b, true, &r.Value); err != nil {
			f.Vacant = len(b) == 0
			return err
		}
	}
	f.Record = r
	return nil
}

// seenWhole returns what a store expects to replace: bytes that are no frame, and are known only as a whole.
func seenWhole(b []byte) redisconn.Expected {
	return redisconn.Expected{Exists: true, Bytes: string(b)}
}

// DecodeFrame decodes the frame of this cache's codec and schema among those of a key. It sets the record's value and times, and
// returns its metadata. found is false if there is none.
func (t *Tier[T]) DecodeFrame(ctx context.Context, raw *Raw, p *record.Policy, r *record.Record[T]) (m record.Meta, found bool, err error) {
	fr, found, _, err := wire.FindFrame(raw.Bytes, t.values.Name, t.values.Schema)
	if found {
		m, err = t.decodeFrame(ctx, &fr, raw, p, r)
	}
	return m, found, err
}

// decodeFrame is DecodeFrame of a frame that was parsed.
func (t *Tier[T]) decodeFrame(ctx context.Context, f *wire.Frame, raw *Raw, p *record.Policy, r *record.Record[T]) (m record.Meta, err error) {
	r.Created, r.FreshUntil = times(f, raw.At, t.Conn.TimeAt(ctx, raw.At))
	m = meta(f, p)
	if !f.NotFound {
		m.Cost, err = t.values.Decode(raw.Key, f.Payload, mayKeep(f.Payload, raw.Bytes), &r.Value)
	}
	return m, err
}

// mayKeep reports whether a value may refer to its payload in a reply, in place of a copy. The value then keeps the whole reply
// in memory, so the payload must be nearly all of it. Nothing else keeps or changes the reply's bytes.
func mayKeep(payload, reply []byte) bool { return len(reply)-len(payload) <= len(reply)/16 }

// times returns when the frame's record was created and until when it is fresh. At the instant at, Redis's clock showed onRedis.
func times(f *wire.Frame, at mono.Instant, onRedis time.Time) (created, freshUntil mono.Instant) {
	age := max(0, onRedis.Sub(f.Created))
	return at.Add(-age), at.Add(f.FreshFor - age)
}

// meta returns the metadata of the frame's record. It draws the time of an early refresh.
func meta(f *wire.Frame, p *record.Policy) record.Meta {
	t := record.Meta{
		Absent: f.NotFound, Expired: f.Expired, Took: f.Took, Windows: f.Windows,
		Stamp: coherence.Stamp{Epoch: f.Epoch, Seq: f.Seq, Tags: f.Tags},
	}
	t.DrawEarly(&p.Windows, p.Jitter)
	return t
}

// Encode encodes the record as the write's frame, with those of the write's others behind it that are of use, for which it extends the
// TTL; kept is how long past its freshness a value without windows of its own is of use. The record's creation is on Redis's clock,
// which ctx limits the wait for.
func (t *Tier[T]) Encode(ctx context.Context, r *record.Record[T], w *Write, kept time.Duration) (err error) {
	at := t.Conn.Time(ctx) // may block
	f := wire.Frame{
		ID:       rand.Uint64(),
		NotFound: r.Absent,
		Schema:   t.values.Schema,
		Codec:    t.values.Name,
		Created:  at.Add(-mono.Now().Since(r.Created)),
		FreshFor: r.FreshUntil.Since(r.Created),
		Took:     r.Took,
		Windows:  r.Windows,
		Epoch:    r.Epoch,
		Seq:      r.Seq,
		Tags:     r.Tags,
		Kept:     kept,
	}
	if w.Others != nil {
		w.TTL = max(w.TTL, f.KeepOthers(w.Others, at))
	}
	w.Frame, err = t.values.Encode(&f, w.Key, &r.Value)
	return err
}

// EncodeOthers makes the write keep those of its others that are of use, without a frame of this cache's codec and schema. If there are
// none, the key is deleted.
func (t *Tier[T]) EncodeOthers(ctx context.Context, w *Write) {
	w.Frame, w.TTL = wire.RemoveFrame(w.Others, t.values.Name, t.values.Schema, rand.Uint64(), t.Conn.Time(ctx))
	w.TTL = mono.WholeMillis(w.TTL)
}
