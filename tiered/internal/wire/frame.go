package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"sync"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// A frame is what a cache keeps in Redis under one key: a header, then the codec's bytes as they are.
//
//	offset  bytes
//	0       3      the magic C1 74 63: C1 begins neither UTF-8 text nor a msgpack value
//	3       1      the version, 1
//	4       1      0; once the value was expired before its time 1 to 255, another each time it is
//	5       4      CRC-32C (Castagnoli) of all that follows, big-endian
//	9       8      an id, which no other frame of the key has
//	17      1      flags: 1 = not found, the source has no value and the payload is empty; 2 = it has windows; the others are 0
//	18      uvarint n, then n bytes    the codec's name
//	        uvarint                    when the value was made: milliseconds since the Unix epoch on Redis's clock
//	        uvarint                    how long it is fresh from then on: milliseconds, more than 0
//	        uvarint                    how long its load took until then: milliseconds, rounded up; 0 for a Set
//	        3 uvarints, with windows   in milliseconds: the age from which on it is refreshed, 0: never; for how long past its
//	                                   freshness it is served while a load replaces it, and if the load fails. Without them
//	                                   it is for the reader's policy to say
//	        8 bytes                    the era of the cache in which its load began, see ledger.go
//	        uvarint                    the count of invalidations there at that time
//	        uvarint n, then n tags     each a uvarint m, then m bytes. A writer sorts them and leaves out what is there twice; a
//	                                   reader needs neither. At most 128 different tags, of 1 to 256 bytes each
//	        the rest                   the payload
//
// A uvarint is base 128, least significant group first, at most 64 bits, as in Protocol Buffers. The first 17 bytes
// tell a frame from every other and from its expired self. Redis's own expiry of the key is set to the same time, or later by
// as much as the value may be of use when it is stale. A
// value that doesn't begin with the magic is a lease (lease.go) or was written by another program: then it is all
// payload. testdata/frames.txt holds test vectors.
type Frame struct {
	Expired  bool
	ID       uint64
	NotFound bool
	Codec    string
	Created  time.Time
	FreshFor time.Duration
	Took     time.Duration
	Windows  *Windows
	Epoch    coherence.EpochID
	Seq      uint64
	Tags     []string
	Payload  []byte
}

// Windows are the parts of a policy that say when a value is replaced, and for how long past its TTL it is served.
type Windows struct {
	RefreshAfter, WhileRevalidate, IfError time.Duration
}

// Keep is for how long past its TTL a value is of use.
func (w Windows) Keep() time.Duration { return max(w.WhileRevalidate, w.IfError) }

const (
	FrameMagic    = "\xc1tc"
	FrameVersion  = 1
	ExpiredAt     = len(FrameMagic) + 1        // where that byte is
	frameSummed   = ExpiredAt + 1 + crc32.Size // where what the checksum covers begins
	FrameHead     = frameSummed + 8            // the length of what identifies a frame
	frameNotFound = 1
	frameWindows  = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var ErrFrame = errors.New("not a frame of this version")

// IsFrame answers whether b is meant to be a frame, whole or not, rather than another program's value.
func IsFrame(b []byte) bool {
	return len(b) >= len(FrameMagic) && string(b[:len(FrameMagic)]) == FrameMagic
}

// appendHeader adds f's header to b, which must be empty. The payload is to follow, and then the seal.
func (f *Frame) appendHeader(b []byte) []byte {
	b = append(b, FrameMagic...)
	b = append(b, FrameVersion, 0, 0, 0, 0, 0)
	if f.Expired {
		b[ExpiredAt] = 1
	}
	b = binary.BigEndian.AppendUint64(b, f.ID)
	var flags byte
	if f.NotFound {
		flags = frameNotFound
	}
	if f.Windows != nil {
		flags |= frameWindows
	}
	b = append(b, flags)
	b = appendString(b, f.Codec)
	b = binary.AppendUvarint(b, uint64(max(0, f.Created.UnixMilli())))
	b = binary.AppendUvarint(b, uint64(mono.WholeMillis(f.FreshFor).Milliseconds()))
	b = binary.AppendUvarint(b, uint64(max(0, mono.WholeMillis(f.Took).Milliseconds())))
	if w := f.Windows; w != nil {
		for _, d := range [...]time.Duration{w.RefreshAfter, w.WhileRevalidate, w.IfError} {
			b = binary.AppendUvarint(b, uint64(mono.WholeMillis(d).Milliseconds()))
		}
	}
	b = append(b, f.Epoch[:]...)
	b = binary.AppendUvarint(b, f.Seq)
	b = binary.AppendUvarint(b, uint64(len(f.Tags)))
	for _, tag := range f.Tags {
		b = appendString(b, tag)
	}
	return b
}

// frameBuffers are what frames are made in, and copied out of when their size is known.
var frameBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxFrameBuffer is the size from which they aren't used again, so that one large value doesn't pin its size.
const maxFrameBuffer = 256 << 10

// Encode returns f's bytes, with what c makes of v as the payload.
func (f *Frame) Encode(c codec.Codec, v any) ([]byte, error) {
	buf := frameBuffers.Get().(*[]byte)
	b := f.appendHeader((*buf)[:0])
	if !f.NotFound {
		var err error
		if b, err = codec.Append(c, b, v); err != nil {
			return nil, err
		}
	}
	b = seal(b)
	if cap(b) > maxFrameBuffer {
		return b, nil
	}
	whole := bytes.Clone(b)
	*buf = b
	frameBuffers.Put(buf)
	return whole, nil
}

// seal puts the checksum into a frame that is whole otherwise.
func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[ExpiredAt+1:], crc32.Checksum(b[frameSummed:], castagnoli))
	return b
}

// Began is when the making of the value began: the load that brought it, or the Set.
func (f *Frame) Began() time.Time { return f.Created.Add(-f.Took) }

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// ParseFrame reads a frame. Its payload is a part of b.
func ParseFrame(b []byte) (Frame, error) {
	if len(b) <= FrameHead || !IsFrame(b) || b[len(FrameMagic)] != FrameVersion {
		return Frame{}, ErrFrame
	}
	if binary.BigEndian.Uint32(b[ExpiredAt+1:]) != crc32.Checksum(b[frameSummed:], castagnoli) {
		return Frame{}, ErrFrame
	}
	r := frameReader{rest: b[FrameHead:]}
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
		f.Windows = &Windows{r.millis(), r.millis(), r.millis()}
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

// ParseFrameTimes reads of what may be the beginning of a frame when it was made, and how long that took.
func ParseFrameTimes(b []byte) (Frame, error) {
	if len(b) <= FrameHead || !IsFrame(b) || b[len(FrameMagic)] != FrameVersion {
		return Frame{}, ErrFrame
	}
	r := frameReader{rest: b[FrameHead:]}
	r.byte() // the flags
	r.bytes(r.upTo(math.MaxInt64))
	f := Frame{Created: time.UnixMilli(int64(r.upTo(maxMillis))), FreshFor: r.millis(), Took: r.millis()}
	if r.failed {
		return Frame{}, ErrFrame
	}
	return f, nil
}

// intern is the string without a copy of its own, if it is a name that most frames have.
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

// maxMillis is the most that a time.Duration holds: 292 years.
const maxMillis = uint64(1<<63-1) / uint64(time.Millisecond)

// frameReader reads a header; after something that isn't there, all it reads is zero.
type frameReader struct {
	rest   []byte
	failed bool
}

func (r *frameReader) byte() byte {
	if len(r.rest) == 0 {
		r.failed = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *frameReader) upTo(limit uint64) uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > limit {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *frameReader) millis() time.Duration {
	return mono.Millis(int64(r.upTo(maxMillis)))
}

func (r *frameReader) string() string { return string(r.bytes(r.upTo(math.MaxInt64))) }

func (r *frameReader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}
