package codec

import (
	"bytes"
	"sync"
)

// maxPooled is the size from which buffers are left to the garbage collector, so that one large value doesn't pin its size.
const maxPooled = 256 << 10

// buffer is scratch space, which is used again: nothing that a caller is handed may lie in it.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func newBuffer() *buffer {
	buf := buffers.Get().(*buffer)
	buf.b = buf.b[:0]
	return buf
}

func (buf *buffer) free() {
	if cap(buf.b) <= maxPooled {
		buffers.Put(buf)
	}
}

// take returns the buffer's bytes for good.
func (buf *buffer) take() []byte {
	if cap(buf.b) <= maxPooled {
		return bytes.Clone(buf.b)
	}
	b := buf.b // which wouldn't be used again anyway
	buf.b = nil
	return b
}

// grow makes room for n bytes. The old ones are of no use.
func (buf *buffer) grow(n int) {
	if cap(buf.b) < n {
		buf.b = make([]byte, 0, n)
	}
}

// appended is what a stream encoder wrote to the end of a slice.
type appended struct{ b []byte }

func (a *appended) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

func (a *appended) WriteByte(c byte) error {
	a.b = append(a.b, c)
	return nil
}

// release gives the slice away.
func (a *appended) release() []byte {
	b := a.b
	a.b = nil
	return b
}

// marshalAppended makes a Marshal of an Append.
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
