package wire

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// ParseFrame reads a frame. Its payload is a part of b. The error is ErrFrame.
func ParseFrame(b []byte) (Frame, error) {
	if len(b) <= FrameHead || !IsFrame(b) || b[len(FrameMagic)] != FrameVersion {
		return Frame{}, ErrFrame
	}
	if binary.BigEndian.Uint32(b[ExpiredAt+1:]) != crc32.Checksum(b[frameSummed:], castagnoli) {
		return Frame{}, ErrFrame
	}
	r := reader{rest: b[FrameHead:]}
	flags := r.byte()
	f := Frame{
		Expired:  b[ExpiredAt] != 0,
		ID:       binary.BigEndian.Uint64(b[frameSummed:]),
		NotFound: flags&frameNotFound != 0,
		Codec:    intern(r.bytes(r.upTo(math.MaxInt64))),
		Created:  time.UnixMilli(int64(r.upTo(maxMillis))),
		FreshFor: r.millis(),
		Took:     r.millis(),
	}
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
	if r.failed || flags > frameNotFound|frameWindows || f.FreshFor == 0 {
		return Frame{}, ErrFrame
	}
	return f, nil
}

// ParseFrameTimes reads when the value was made, and how long that took, from what may be only the beginning of a frame. It
// doesn't look at the checksum.
func ParseFrameTimes(b []byte) (Frame, error) {
	if len(b) <= FrameHead || !IsFrame(b) || b[len(FrameMagic)] != FrameVersion {
		return Frame{}, ErrFrame
	}
	r := reader{rest: b[FrameHead:]}
	r.byte() // the flags
	r.bytes(r.upTo(math.MaxInt64))
	f := Frame{Created: time.UnixMilli(int64(r.upTo(maxMillis))), FreshFor: r.millis(), Took: r.millis()}
	if r.failed {
		return Frame{}, ErrFrame
	}
	return f, nil
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
