package codec

import (
	"errors"
	"fmt"
)

// Zstd returns a codec that compresses the output of inner with Zstandard at its fastest level, for a slow or busy
// network or a Redis with little memory: lists of users took 0.31 to 0.37 of their size as JSON, and 0.38 to 0.42 of that as
// MessagePack. Its name is zstd(inner's name).
//
// Values that inner encodes in fewer than minSize bytes are stored uncompressed, since they gain little; 0 or less means
// 1 KiB. So are values that don't get smaller. minSize isn't part of the format: values written with another one can be read.
// A nil inner is [JSON].
//
// A stored value is one byte, 0 for uncompressed and 1 for compressed, followed by inner's bytes or one whole Zstandard frame that
// has its size. It may decompress to 1 MiB plus 1,000 times its bytes in Redis, and never to more than 512 MiB: a larger claimed size
// is an error before any memory is allocated, and a value that compresses better than that is stored uncompressed. Encoders and decoders
// are pooled, and don't start goroutines.
func Zstd(inner Codec, minSize int) Codec { return newCompressed("zstd", zstdBlocks{}, inner, minSize) }

// S2 returns a codec that compresses the output of inner with S2, an extension of Snappy. It compresses several times as fast
// as [Zstd], and the same lists took half of their size as JSON, and 0.6 of that as MessagePack. Its name is
// s2(inner's name). Everything else is as with Zstd, with one S2 block instead of the frame.
func S2(inner Codec, minSize int) Codec { return newCompressed("s2", s2Blocks{}, inner, minSize) }

const defaultMinSize = 1 << 10

// The limits of a decompressed value.
const (
	inflateBase  = 1 << 20
	inflateRatio = 1000
	inflateMost  = 512 << 20 // Redis's limit on a value
)

// The first byte of a value.
const (
	tagStored     = 0
	tagCompressed = 1
)

var (
	errNoTag    = errors.New("neither stored nor compressed")
	errInflate  = errors.New("its claimed size is too large for its compressed size")
	errInflated = errors.New("its size isn't the claimed one")
)

// compressor is a format of compressed blocks that contain their decompressed size.
type compressor interface {
	// compress appends src, compressed, to dst.
	compress(dst, src []byte) []byte

	// size returns the decompressed size that src claims.
	size(src []byte) (uint64, error)

	// decompress appends src, decompressed, to dst, which has capacity for the claimed size.
	decompress(dst, src []byte) ([]byte, error)
}

type compressed struct {
	name    string
	format  string
	blocks  compressor
	inner   Codec
	minSize int
}

func newCompressed(format string, blocks compressor, inner Codec, minSize int) Codec {
	if inner == nil {
		inner = JSON
	}
	if minSize <= 0 {
		minSize = defaultMinSize
	}
	return &compressed{name: format + "(" + inner.Name() + ")", format: format, blocks: blocks, inner: inner, minSize: minSize}
}

func (c *compressed) Name() string { return c.name }

func (c *compressed) Marshal(v any) ([]byte, error) { return marshalAppended(c, v) }

func (c *compressed) Append(dst []byte, v any) ([]byte, error) {
	plain := newBuffer()
	defer plain.free()
	data, err := Append(c.inner, plain.b, v)
	if err != nil {
		return nil, err
	}
	plain.b = data
	start := len(dst)
	if len(data) >= c.minSize && len(data) <= inflateMost {
		dst = c.blocks.compress(append(dst, tagCompressed), data)
		if n := len(dst) - start - 1; n < len(data) && len(data) <= inflateLimit(n) {
			return dst, nil
		}
		dst = dst[:start]
	}
	return append(append(dst, tagStored), data...), nil
}

func (c *compressed) Unmarshal(data []byte, v any) error { return c.decode(data, v, Codec.Unmarshal) }

// UnmarshalAlias implements [Aliaser]. A value that is stored uncompressed may be a part of data.
func (c *compressed) UnmarshalAlias(data []byte, v any) error {
	return c.decode(data, v, UnmarshalAlias)
}

// decode decodes what is stored uncompressed with the function.
func (c *compressed) decode(data []byte, v any, stored func(Codec, []byte, any) error) error {
	if len(data) > 0 {
		switch data[0] {
		case tagStored:
			return stored(c.inner, data[1:], v)
		case tagCompressed:
			return c.inflate(data[1:], v)
		}
	}
	return c.failed(errNoTag)
}

// inflate decompresses data and decodes the result.
func (c *compressed) inflate(data []byte, v any) error {
	size, err := c.blocks.size(data)
	if err != nil {
		return c.failed(err)
	}
	if size > uint64(inflateLimit(len(data))) {
		return c.failed(errInflate)
	}
	plain := newDecodeBuffer(c.inner, int(size)+inflateSpare)
	defer plain.free()
	out, err := c.blocks.decompress(plain.b, data)
	if err != nil {
		return c.failed(err)
	}
	if uint64(len(out)) != size {
		return c.failed(errInflated)
	}
	return UnmarshalAlias(c.inner, out, v)
}

func (c *compressed) failed(err error) error {
	return fmt.Errorf("codec: decode %s: %w", c.format, err)
}

// inflateLimit returns the largest size to which n bytes may decompress.
func inflateLimit(n int) int {
	return int(min(inflateBase+inflateRatio*uint64(n), inflateMost))
}
