//go:build !windows

package faultproxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/faultproxy"
)

const (
	patience = 30 * time.Second      // how long tests wait for what must happen
	moment   = 50 * time.Millisecond // how long tests wait for what must not happen
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve returns the address of a server that handles each connection in a goroutine and then closes it.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return listener.Addr().String()
}

func echo(conn net.Conn) { _, _ = io.Copy(conn, conn) }

func dial(t *testing.T, p *faultproxy.Proxy) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// dialEcho returns a connection that the echo server has answered: the proxy knows it.
func dialEcho(t *testing.T, p *faultproxy.Proxy) *net.TCPConn {
	t.Helper()
	conn := dial(t, p)
	send(t, conn, "hello")
	expect(t, conn, "hello")
	return conn
}

func send(t *testing.T, conn net.Conn, s string) {
	t.Helper()
	if _, err := conn.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, []byte(want)) {
		t.Fatalf("read %.40q (%d of %d bytes), %v, want %.40q", got[:n], n, len(want), err, want)
	}
}

// readError returns the error of a Read with the deadline d.
func readError(t *testing.T, conn net.Conn, d time.Duration) error {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(d))
	b := make([]byte, 64)
	n, err := conn.Read(b)
	if err == nil {
		t.Fatalf("read %q", b[:n])
	}
	return err
}

func await(t *testing.T, name string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", name)
		}
	}
}

// expectReset reads until a reset.
func expectReset(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
}

// expectRefusal allows for a reset that the client sees before it knows that it is connected.
func expectRefusal(t *testing.T, p *faultproxy.Proxy) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err == nil {
		defer conn.Close()
		expectReset(t, conn)
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}
