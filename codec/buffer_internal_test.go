package codec

import "testing"

// What is taken from a buffer that goes back to the pool is a copy; what is too large for the pool is given away.
func TestBufferTake(t *testing.T) {
	for _, size := range []int{1, maxPooled, maxPooled + 1} {
		buf := &buffer{b: make([]byte, size)}
		first := &buf.b[0]
		b := buf.take()
		given := &b[0] == first
		if len(b) != size || given != (size > maxPooled) || given != (buf.b == nil) {
			t.Errorf("%d bytes: got %d, given away: %v, the buffer keeps %d", size, len(b), given, len(buf.b))
		}
	}
}
