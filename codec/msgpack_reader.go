package codec

import (
	"errors"
	"io"
	"slices"
)

var errMsgpackOpaque = errors.New("an extension instead of a map")

// msgpackReader reads the input of a decoder, unbuffered, a byte or several bytes at a time, as the decoder requires.
//
// If there is an extension instead of a map, the library treats it as a header of the map, and continues inside the extension's body,
// which the scanner didn't check. It reads that byte by byte, whereas it reads real extensions at once: so reading the first byte
// of an unchecked body alone is an error.
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
