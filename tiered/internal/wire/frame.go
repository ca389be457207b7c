package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"sync"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Frame is what a cache keeps in Redis under a key: a header, then the codec's bytes as they are.
//
//	offset  bytes
//	0       3      the magic C1 74 63: C1 begins neither UTF-8 text nor a msgpack value
//	3       1      the version, 1
//	4       1      0; 1 to 255 once the value was expired before its time, a different number each time
//	5       4      CRC-32C (Castagnoli) of all that follows, big-endian
//	9       8      an id that no other frame of the key has
//	17      1      flags: 1 = not found, the source has no value and the payload is empty; 2 = it has windows; 4 = it has a
//	               schema; others are 0
//	        with a schema:
//	18      8      the schema of the value's type, see package values
//	26      4      the length of the frame, big-endian: the frames of other schemas or codecs follow
//	30      uvarint                    in the first frame: when the first of the loads of those began, as below; 0: none follow
//	        uvarint                    how long past its freshness its writer keeps it: milliseconds; with windows they decide
//
//	        uvarint n, then n bytes    the codec's name
//	        uvarint                    when the value was made: milliseconds since the Unix epoch on Redis's clock
//	        uvarint                    how long it is fresh from then on: milliseconds, more than 0
//	        uvarint                    how long its load took until then: milliseconds, rounded up; 0 for a Set
//	        3 uvarints, with windows   milliseconds: the age from which it is refreshed, 0: never; how long past its
//	                                   freshness it is served while a load replaces it; and if the load fails. Without
//	                                   windows the reader's policy decides
//	        8 bytes                    the epoch of the cache in which its load began, see package tags
//	        uvarint                    the sequence number of invalidations at that time
//	        uvarint n, then n tags     each a uvarint m, then m bytes. Writers sort them and write each once; readers rely on
//	                                   neither. At most 128 different tags, of 1 to 256 bytes each
//	        the rest                   the payload
//
// While two releases of a program are deployed, a key has a frame of each, the last written first. A load replaces the frame of
// its own schema and codec, and keeps up to three others that are of use. All other writes replace or delete the whole. The first
// 17 bytes of the first frame stand for all: if it is expired, they all are.
//
// A uvarint is base 128, least significant group first, at most 64 bits, as in Protocol Buffers. The first 17 bytes
// distinguish a frame from every other frame and from its own expired form. The expiry of the key in Redis is the end of
// freshness, or later for as long as the value may be of use when it is stale. A value that begins with neither magic was
// written by another program, and is all payload. testdata/frames.txt holds test vectors.
type Frame struct {
	Expired  bool
	ID       uint64
	NotFound bool
	Schema   uint64 // 0: none
	Codec    string
	Created  time.Time
	FreshFor time.Duration
	Took     time.Duration
	Windows  *Windows
	Epoch    coherence.EpochID
	Seq      uint64
	Tags     []string
	Payload  []byte

	Others []byte    // the frames that follow, only with a Schema
	Oldest time.Time // of the first frame of a key: when the first of their loads began; zero: none follow

	// Kept is how long past its freshness its writer keeps it, if it has no windows: a release that loads doesn't know the policy of
	// another. It is stored only with a Schema.
	Kept time.Duration
}

// Windows are the parts of a policy that say when a value is replaced, and for how long past its TTL it is served.
type Windows struct {
	RefreshAfter, WhileRevalidate, IfError time.Duration
}

// Keep returns for how long past its TTL a value may be of use.
func (w Windows) Keep() time.Duration { return max(w.WhileRevalidate, w.IfError) }

// StaleFor returns for how long past its TTL a value may be of use: as long as its own windows say, or policy if it has none. An
// absence never is.
func StaleFor(absent bool, own *Windows, policy time.Duration) time.Duration {
	switch {
	case absent:
		return 0
	case own != nil:
		return own.Keep()
	}
	return policy
}

// The parts of a frame that scripts and partial reads depend on.
const (
	FrameMagic   = "\xc1tc"
	FrameVersion = 1
	ExpiredAt    = len(FrameMagic) + 1 // the offset of the byte that says whether the value was expired
	FrameHead    = frameSummed + 8     // the length of what identifies a frame
)

const (
	frameSummed   = ExpiredAt + 1 + crc32.Size // the offset of what the checksum covers
	frameNotFound = 1
	frameWindows  = 2
	frameSchema   = 4

	frameSchemaAt = FrameHead + 1     // the offset of the schema
	frameLengthAt = frameSchemaAt + 8 // the offset of the frame's length
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrFrame is the error of bytes that are no frame of this version.
var ErrFrame = errors.New("not a frame of this version")

// IsFrame reports whether b is meant to be a frame, whole or not, rather than another program's value.
func IsFrame(b []byte) bool {
	return len(b) >= len(FrameMagic) && string(b[:len(FrameMagic)]) == FrameMagic
}

// appendHeader adds f's header to b, which must be empty. The payload has to follow, and then seal.
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
	if f.Schema != 0 {
		flags |= frameSchema
	}
	b = append(b, flags)
	if f.Schema != 0 {
		b = binary.BigEndian.AppendUint64(b, f.Schema)
		b = append(b, 0, 0, 0, 0)
		var oldest uint64
		if !f.Oldest.IsZero() {
			oldest = uint64(max(1, f.Oldest.UnixMilli()))
		}
		b = binary.AppendUvarint(b, oldest)
		b = binary.AppendUvarint(b, uint64(mono.WholeMillis(f.Kept).Milliseconds()))
	}
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

// Frames are made in these buffers, and copied out of them when their size is known.
var frameBuffers = sync.Pool{New: func() any { return new([]byte) }}

// Buffers over this size aren't used again, so that one large value doesn't pin its memory.
const maxFrameBuffer = 256 << 10

// Encode returns f's bytes, with v encoded by c as the payload. The error is the codec's.
func (f *Frame) Encode(c codec.Codec, v any) ([]byte, error) {
	buf := frameBuffers.Get().(*[]byte)
	b := f.appendHeader((*buf)[:0])
	if !f.NotFound {
		var err error
		if b, err = codec.Append(c, b, v); err != nil {
			return nil, err
		}
	}
	b = append(seal(b), f.Others...)
	if cap(b) > maxFrameBuffer {
		return b, nil
	}
	whole := bytes.Clone(b)
	*buf = b
	frameBuffers.Put(buf)
	return whole, nil
}

// seal writes the length and the checksum of a frame that is complete otherwise.
func seal(b []byte) []byte {
	if b[FrameHead]&frameSchema != 0 {
		binary.BigEndian.PutUint32(b[frameLengthAt:], uint32(len(b))) // Redis keeps at most half a gigabyte
	}
	binary.BigEndian.PutUint32(b[ExpiredAt+1:], crc32.Checksum(b[frameSummed:], castagnoli))
	return b
}

// Began returns when the load that brought the value began, or the Set. If other frames follow, it returns the earliest such time.
func (f *Frame) Began() time.Time {
	began := f.Created.Add(-f.Took)
	if !f.Oldest.IsZero() && f.Oldest.Before(began) {
		return f.Oldest
	}
	return began
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
