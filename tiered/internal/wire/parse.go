package wire

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// ParseFrame reads a frame. Its payload, and the frames that follow it, are parts of b. The error is ErrFrame.
func ParseFrame(b []byte) (Frame, error) {
	whole, others := cutFrame(b)
	if whole == nil || binary.BigEndian.Uint32(b[ExpiredAt+1:]) != crc32.Checksum(whole[frameSummed:], castagnoli) {
		return Frame{}, ErrFrame
	}
	f, flags, r := parseTimes(whole)
	f.Others = others
	if flags&frameWindows != 0 {
		f.Windows = &Windows{RefreshAfter: r.millis(), WhileRevalidate: r.millis(), IfError: r.millis()}
	}
	copy(f.Epoch[:], r.bytes(uint64(len(f.Epoch))))
	f.Seq = r.upTo(math.MaxUint64)
	// A tag takes a byte at least, so a count can't ask for more memory than the frame warrants.
	if n := r.upTo(uint64(len(r.rest))); n > 0 {
		f.Tags = make([]string, n)
		for i := range f.Tags {
			f.Tags[i] = r.string()
		}
		var err error
		if f.Tags, err = TagSet(f.Tags); err != nil {
			return Frame{}, ErrFrame
		}
	}
	f.Payload = r.rest
	switch {
	case r.failed, flags > frameNotFound|frameWindows|frameSchema, f.FreshFor == 0:
		return Frame{}, ErrFrame
	case flags&frameSchema != 0 && f.Schema == 0, len(others) > 0 && !IsFrame(others):
		return Frame{}, ErrFrame
	}
	return f, nil
}

// cutFrame returns the first frame in b, and what follows it. The frame is nil if b is none, or ends within it.
func cutFrame(b []byte) (whole, others []byte) {
	if len(b) <= FrameHead || !IsFrame(b) || b[len(FrameMagic)] != FrameVersion {
		return nil, nil
	}
	if b[FrameHead]&frameSchema == 0 {
		return b, nil
	}
	if len(b) < frameLengthAt+4 {
		return nil, nil
	}
	n := binary.BigEndian.Uint32(b[frameLengthAt:])
	if n < uint32(frameLengthAt+4) || uint64(n) > uint64(len(b)) {
		return nil, nil
	}
	return b[:n], b[n:]
}

// ParseFrameTimes reads when the value was made, and how long that took, from what may be only the beginning of a frame. It
// doesn't look at the checksum.
func ParseFrameTimes(b []byte) (Frame, error) {
	if len(b) <= FrameHead || !IsFrame(b) || b[len(FrameMagic)] != FrameVersion {
		return Frame{}, ErrFrame
	}
	f, _, r := parseTimes(b)
	if r.failed {
		return Frame{}, ErrFrame
	}
	return f, nil
}

// parseTimes reads a frame up to its times. The reader has the rest.
func parseTimes(b []byte) (f Frame, flags byte, r reader) {
	r.rest = b[FrameHead:]
	flags = r.byte()
	f = Frame{
		Expired:  b[ExpiredAt] != 0,
		ID:       binary.BigEndian.Uint64(b[frameSummed:]),
		NotFound: flags&frameNotFound != 0,
	}
	if flags&frameSchema != 0 {
		if schema := r.bytes(8); schema != nil {
			f.Schema = binary.BigEndian.Uint64(schema)
		}
		r.bytes(4) // the length, see cutFrame
		if oldest := r.upTo(maxMillis); oldest > 0 {
			f.Oldest = time.UnixMilli(int64(oldest))
		}
		f.Kept = r.millis()
	}
	f.Codec = intern(r.bytes(r.upTo(math.MaxInt64)))
	f.Created = time.UnixMilli(int64(r.upTo(maxMillis)))
	f.FreshFor, f.Took = r.millis(), r.millis()
	return f, flags, r
}

// intern returns the name as a string, without allocating for the names that most frames have.
func intern(name []byte) string {
	switch string(name) {
	case "json":
		return "json"
	case "msgpack":
		return "msgpack"
	case "raw":
		return "raw"
	case "zstd(json)":
		return "zstd(json)"
	case "zstd(msgpack)":
		return "zstd(msgpack)"
	case "s2(json)":
		return "s2(json)"
	case "s2(msgpack)":
		return "s2(msgpack)"
	}
	return string(name)
}

// maxMillis is how many milliseconds a time.Duration can hold: 292 years.
const maxMillis = uint64(1<<63-1) / uint64(time.Millisecond)

// reader reads uvarints and strings. After something that is missing, all it returns is zero, and failed is set. So a parser can
// read all fields one after the other and check for a failure once, at the end. Each number has a limit, so that it can be converted,
// and no length is believed before that many bytes are there: what a parser allocates is bounded by its input.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.failed = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) upTo(limit uint64) uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > limit {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) millis() time.Duration {
	return mono.Millis(int64(r.upTo(maxMillis)))
}

func (r *reader) string() string { return string(r.bytes(r.upTo(math.MaxInt64))) }

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}
