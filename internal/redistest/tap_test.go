//go:build !windows

package redistest_test

import (
	"io"
	"net"
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestTap(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	defer near.Close()
	tap := new(redistest.Tap)
	drained := make(chan error, 1)
	conn := tap.Conn(near)
	go func() {
		_, err := io.Copy(io.Discard, conn)
		drained <- err
	}()
	for _, parts := range [][]string{{"a mark here"}, {"a ma", "rk"}, {"a ", "m", "a", "r", "k"}} {
		tap.Expect("mark")
		for _, part := range parts {
			if _, err := io.WriteString(far, part); err != nil {
				t.Fatal(err)
			}
		}
		if s := tap.Await(t); s.Arrived.IsZero() || s.Handled.Before(s.Arrived) {
			t.Errorf("%q: arrived %v, handled %v", parts, s.Arrived, s.Handled)
		}
	}
	far.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}
