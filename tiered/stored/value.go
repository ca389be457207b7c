package stored

import (
	"time"

	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Value is what Redis has under a key of a value or a lease. One of its fields is set.
type Value struct {
	Frames  []Frame // of the releases that use the cache; the one that was written last is the first
	Lease   *Lease  // a process loads the value
	Foreign []byte  // bytes that another program wrote
	Damaged bool    // it begins like a frame or a lease, and can't be read
}

// Lease is held by the process that loads a value. The TTL of its key is for how long, unless the process extends it.
type Lease struct {
	Extended uint64 // how often it was extended
}

// Frame is a value with its metadata.
type Frame struct {
	Codec    string // the name of the codec that encoded the Payload
	Schema   uint64 // of the value's type, or of Options.Version; 0: none
	Payload  []byte // encoded
	Absent   bool   // the source has no value, and there is no Payload
	Tags     []string
	Created  time.Time     // on Redis's clock
	FreshFor time.Duration // since Created
	Took     time.Duration // by the load; 0: it was Set
	Expired  bool          // an Expire of the key has made it stale
	Windows  *Windows      // its own; nil: those of the Policy apply

	frame wire.Frame
}

// Windows are the parts of a Policy that a loader may set for a value.
type Windows struct {
	RefreshAfter, StaleWhileRevalidate, StaleIfError time.Duration
}

// Parse parses what Redis has under a key. The payloads are parts of b.
func Parse(b []byte) (v Value) {
	switch {
	case wire.IsLease(b):
		if l, ok := wire.ParseLease(b); ok {
			return Value{Lease: &Lease{l.Extended}}
		}
		return Value{Damaged: true}
	case !wire.IsFrame(b):
		return Value{Foreign: b}
	}
	first, err := wire.ParseFrame(b)
	for f := first; err == nil; f, err = wire.ParseFrame(f.Others) {
		f.Expired = f.Expired || first.Expired
		v.Frames = append(v.Frames, newFrame(f))
		if len(f.Others) == 0 {
			return v
		}
	}
	v.Damaged = len(v.Frames) == 0
	return v
}

func newFrame(f wire.Frame) Frame {
	y := Frame{
		Codec: f.Codec, Schema: f.Schema, Payload: f.Payload, Absent: f.NotFound, Tags: f.Tags,
		Created: f.Created, FreshFor: f.FreshFor, Took: f.Took, Expired: f.Expired, frame: f,
	}
	if w := f.Windows; w != nil {
		y.Windows = &Windows{w.RefreshAfter, w.WhileRevalidate, w.IfError}
	}
	return y
}
