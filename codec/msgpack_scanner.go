package codec

import (
	"errors"
	"io"
	"slices"
)

var (
	errMsgpackCode     = errors.New("not a MessagePack value")
	errMsgpackDepth    = errors.New("nested over 10000 deep")
	errMsgpackTrailing = errors.New("bytes after the value")
)

// maxMsgpackDepth is encoding/json's limit.
const maxMsgpackDepth = 10_000

// msgpackScanner checks that data is one whole MessagePack value, without decoding it. The library trusts lengths (five bytes
// make it allocate 4 GB for a byte string and more for an array; its own limit on slices is broken in 5.4.1) and recurses as
// deep as the input is nested, and a stack overflow can't be recovered.
type msgpackScanner struct {
	data []byte
	pos  int

	// opaque has, in order, the beginnings of the bodies of extensions that look like a map's header and weren't checked.
	opaque []int
}

// scan checks the whole of data.
func (s *msgpackScanner) scan() error {
	if err := s.value(0); err != nil {
		return err
	}
	if s.pos != len(s.data) {
		return errMsgpackTrailing
	}
	slices.Sort(s.opaque)
	return nil
}

// value skips one value.
func (s *msgpackScanner) value(depth int) error {
	if s.pos >= len(s.data) {
		return io.ErrUnexpectedEOF
	}
	if depth > maxMsgpackDepth {
		return errMsgpackDepth
	}
	c := s.data[s.pos]
	s.pos++
	switch {
	case c <= 0x7f || c >= 0xe0: // small integers
		return nil
	case c <= 0x8f:
		return s.values(2*uint64(c&0x0f), depth)
	case c <= 0x9f:
		return s.values(uint64(c&0x0f), depth)
	case c <= 0xbf:
		return s.skip(uint64(c & 0x1f))
	}
	return s.coded(c, depth)
}

// coded skips the rest of a value after its code.
func (s *msgpackScanner) coded(c byte, depth int) error {
	switch c {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
		return nil
	case 0xc4, 0xd9, 0xc5, 0xda, 0xc6, 0xdb: // bin and str
		n, err := s.length(sizeOf[c])
		if err != nil {
			return err
		}
		return s.skip(n)
	case 0xc7, 0xc8, 0xc9: // ext
		n, err := s.length(sizeOf[c])
		if err != nil {
			return err
		}
		return s.ext(n, depth)
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8: // fixext
		return s.ext(1<<(c-0xd4), depth)
	case 0xdc, 0xdd: // array
		n, err := s.length(sizeOf[c])
		if err != nil {
			return err
		}
		return s.values(n, depth)
	case 0xde, 0xdf: // map
		n, err := s.length(sizeOf[c])
		if err != nil {
			return err
		}
		return s.values(2*n, depth)
	case 0xc1:
		return errMsgpackCode
	}
	return s.skip(uint64(sizeOf[c])) // numbers
}

// sizeOf has the number of bytes of the length, or of the number, that follow a code.
var sizeOf = [256]uint8{
	0xc4: 1, 0xc5: 2, 0xc6: 4,
	0xc7: 1, 0xc8: 2, 0xc9: 4,
	0xca: 4, 0xcb: 8,
	0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8,
	0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8,
	0xd9: 1, 0xda: 2, 0xdb: 4,
	0xdc: 2, 0xdd: 4,
	0xde: 2, 0xdf: 4,
}

// values skips n values. Each has at least a byte, so that n can't exceed the remaining input.
func (s *msgpackScanner) values(n uint64, depth int) error {
	if n > uint64(len(s.data)-s.pos) {
		return io.ErrUnexpectedEOF
	}
	for range n {
		if err := s.value(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// length reads a big-endian length of size bytes.
func (s *msgpackScanner) length(size uint8) (uint64, error) {
	start := s.pos
	if err := s.skip(uint64(size)); err != nil {
		return 0, err
	}
	var n uint64
	for _, b := range s.data[start:s.pos] {
		n = n<<8 | uint64(b)
	}
	return n, nil
}

func (s *msgpackScanner) skip(n uint64) error {
	if n > uint64(len(s.data)-s.pos) {
		return io.ErrUnexpectedEOF
	}
	s.pos += int(n)
	return nil
}

// ext skips an extension's type and its body of n bytes.
func (s *msgpackScanner) ext(n uint64, depth int) error {
	if err := s.skip(1); err != nil {
		return err
	}
	start := s.pos
	if err := s.skip(n); err != nil {
		return err
	}
	if n == 0 || !isMapOrNil(s.data[start]) {
		return nil
	}
	body := msgpackScanner{data: s.data[:s.pos], pos: start, opaque: s.opaque}
	err := body.value(depth + 1)
	s.opaque = body.opaque
	if err != nil || body.pos != s.pos {
		s.opaque = append(s.opaque, start)
	}
	return nil
}

func isMapOrNil(c byte) bool {
	return c&0xf0 == 0x80 || c == 0xc0 || c == 0xde || c == 0xdf
}
