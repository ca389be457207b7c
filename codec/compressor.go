package codec

import (
	"errors"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// inflateSpare is extra capacity that lets the Zstandard decoder copy whole words.
const inflateSpare = 32

const zstdWindow = 512 << 10

var errZstdFrame = errors.New("not a frame with its size")

type zstdBlocks struct{}

// Encoders and decoders with a concurrency of one: a shared one with more would keep as many sets of tables for good.
// Neither starts a goroutine if it only gets whole blocks. An encoder keeps a window after the first value
// over 128 KiB: a small window gives lists of users the same ratio.
var (
	zstdEncoders = sync.Pool{New: func() any {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstdWindow),
			zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
		return must(enc, err)
	}}
	zstdDecoders = sync.Pool{New: func() any {
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true),
			zstd.WithDecoderMaxMemory(inflateMost), zstd.WithDecoderMaxWindow(inflateMost))
		return must(dec, err)
	}}
)

// must panics on an error of a constructor that can only fail if its options, which are constants, are wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (zstdBlocks) compress(dst, src []byte) []byte {
	enc := zstdEncoders.Get().(*zstd.Encoder)
	dst = enc.EncodeAll(src, dst)
	zstdEncoders.Put(enc)
	return dst
}

func (zstdBlocks) size(src []byte) (uint64, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return 0, err
	}
	if h.Skippable || !h.HasFCS {
		return 0, errZstdFrame
	}
	return h.FrameContentSize, nil
}

func (zstdBlocks) decompress(dst, src []byte) ([]byte, error) {
	dec := zstdDecoders.Get().(*zstd.Decoder)
	dst, err := dec.DecodeAll(src, dst)
	zstdDecoders.Put(dec)
	return dst, err
}

type s2Blocks struct{}

func (s2Blocks) compress(dst, src []byte) []byte {
	most := s2.MaxEncodedLen(len(src))
	dst = slices.Grow(dst, most)
	block := s2.Encode(dst[len(dst):len(dst)+most], src)
	return dst[:len(dst)+len(block)]
}

func (s2Blocks) size(src []byte) (uint64, error) {
	n, err := s2.DecodedLen(src)
	return uint64(n), err
}

func (s2Blocks) decompress(dst, src []byte) ([]byte, error) {
	return s2.Decode(dst[:cap(dst)], src)
}
