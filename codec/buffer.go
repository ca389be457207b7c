package codec

import (
	"bytes"
	"sync"
)

// maxPooled is the size from which buffers aren't pooled, so that one large value doesn't occupy memory for good.
const maxPooled = 256 << 10

// buffer is a pooled buffer. Callers must not get parts of it, unless it is kept.
type buffer struct {
	b    []byte
	kept bool // a value may refer to it, so that it isn't used again
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func newBuffer() *buffer {
	buf := buffers.Get().(*buffer)
	buf.b = buf.b[:0]
	return buf
}

func (buf *buffer) free() {
	if !buf.kept && cap(buf.b) <= maxPooled {
		buffers.Put(buf)
	}
}

// take returns the buffer's bytes, which the caller owns.
func (buf *buffer) take() []byte {
	if cap(buf.b) <= maxPooled {
		return bytes.Clone(buf.b)
	}
	b := buf.b // a buffer of this size isn't pooled anyway
	buf.b = nil
	return b
}

// grow makes room for n bytes, and drops the old ones.
func (buf *buffer) grow(n int) {
	if cap(buf.b) < n {
		buf.b = make([]byte, 0, n)
	}
}

// appended is an io.Writer that appends to a slice.
type appended struct{ b []byte }

func (a *appended) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

func (a *appended) WriteByte(c byte) error {
	a.b = append(a.b, c)
	return nil
}

// release returns the slice and forgets it.
func (a *appended) release() []byte {
	b := a.b
	a.b = nil
	return b
}

// marshalAppended implements Marshal with an Append.
func marshalAppended(a Appender, v any) ([]byte, error) {
	buf := newBuffer()
	defer buf.free()
	b, err := a.Append(buf.b, v)
	if err != nil {
		return nil, err
	}
	buf.b = b
	return buf.take(), nil
}
