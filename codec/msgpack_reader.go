package codec

import (
	"errors"
	"io"
	"slices"
)

var errMsgpackOpaque = errors.New("an extension where a map belongs")

// msgpackReader reads the input of a decoder, in the way the decoder wants it (unbuffered, a byte or a run at a time).
//
// The library takes an extension in a map's place for a header before the map, and reads on inside the extension's body,
// which the scanner didn't check. It does so byte by byte, where real extensions are read as a run: so the first byte of an
// unchecked body is refused.
type msgpackReader struct {
	data   []byte
	pos    int
	opaque []int // sorted
}

func (r *msgpackReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.pos >= len(r.data) {
		return 0, io.EOF
	}
	n := copy(p, r.data[r.pos:])
	r.pos += n
	return n, nil
}

func (r *msgpackReader) ReadByte() (byte, error) {
	if r.pos >= len(r.data) {
		return 0, io.EOF
	}
	if len(r.opaque) > 0 {
		if _, found := slices.BinarySearch(r.opaque, r.pos); found {
			return 0, errMsgpackOpaque
		}
	}
	b := r.data[r.pos]
	r.pos++
	return b, nil
}

func (r *msgpackReader) UnreadByte() error {
	if r.pos == 0 {
		return errors.New("nothing to unread")
	}
	r.pos--
	return nil
}
