package wire

import (
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// maxOthers limits the frames that follow the first one of a key: those of more releases than are deployed at a time. With five that
// load in turn, each load removes the frame of the release that will load next.
const maxOthers = 3

// FindFrame returns the frame of the codec and schema among the frames b of a key, and whether it is the only one. If there is none,
// found is false, and f is the first frame. The error is ErrFrame if b holds something else before it; if b begins with that, f is zero.
func FindFrame(b []byte, codec string, schema uint64) (f Frame, found, only bool, err error) {
	first, err := ParseFrame(b)
	if err != nil {
		return first, false, false, err
	}
	for f = first; err == nil; f, err = ParseFrame(f.Others) {
		switch {
		case f.Codec == codec && f.Schema == schema:
			only = len(first.Others) == 0
			f.Expired = f.Expired || first.Expired
			return f, true, only, nil
		case len(f.Others) == 0:
			return first, false, false, nil
		}
	}
	return first, false, false, err
}

// KeepOthers makes the frames of other codecs and schemas, among the frames b of a key, follow f, as long as they are of use at the
// instant now on Redis's clock: while they are fresh, and then for as long as their windows or writers say. It returns for how
// long the last of them will be of use.
func (f *Frame) KeepOthers(b []byte, now time.Time) (useful time.Duration) {
	f.Others, f.Oldest = nil, time.Time{}
	first, err := ParseFrame(b)
	o := first
	for n := 0; err == nil && n < maxOthers; o, err = ParseFrame(b) {
		own := b[:len(b)-len(o.Others)]
		b = o.Others
		left := o.Created.Add(mono.Sum(o.FreshFor, StaleFor(o.NotFound, o.Windows, o.Kept))).Sub(now)
		if left <= 0 || o.Codec == f.Codec && o.Schema == f.Schema {
			continue
		}
		n++
		f.Others = append(f.Others, own...)
		if first.Expired {
			f.Others[len(f.Others)-len(own)+ExpiredAt] = 1
		}
		if began := o.Created.Add(-o.Took); f.Oldest.IsZero() || began.Before(f.Oldest) {
			f.Oldest = began
		}
		useful = max(useful, left)
	}
	return useful
}

// RemoveFrame returns the frames that KeepOthers would keep behind one of the codec and schema, without one. The first gets the id. It
// returns nil if there are none.
func RemoveFrame(b []byte, codec string, schema, id uint64, now time.Time) (others []byte, useful time.Duration) {
	f := Frame{Codec: codec, Schema: schema}
	useful = f.KeepOthers(b, now)
	first, err := ParseFrame(f.Others)
	if err != nil {
		return nil, 0
	}
	first.ID = id
	first.KeepOthers(first.Others, now)
	others = seal(append(first.appendHeader(nil), first.Payload...))
	return append(others, first.Others...), useful
}
