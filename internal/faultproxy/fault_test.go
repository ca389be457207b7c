//go:build !windows

package faultproxy_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/faultproxy"
)

func TestCut(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, serve(t, echo))
	conns := []net.Conn{dialEcho(t, p), dialEcho(t, p)}
	failed := make(chan error)
	for _, conn := range conns {
		go func() {
			_, err := conn.Read(make([]byte, 1))
			failed <- err
		}()
	}
	p.Cut()
	if n := p.Conns(); n != 0 {
		t.Errorf("%d connections", n)
	}
	for range conns {
		if err := <-failed; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v, want a reset", err)
		}
	}
	dialEcho(t, p)
}

func TestCutTellsTheServer(t *testing.T) {
	t.Parallel()
	ends := make(chan error, 1)
	p := faultproxy.Start(t, serve(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "hello")
		_, err := conn.Read(make([]byte, 1))
		ends <- err
	}))
	expect(t, dial(t, p), "hello")
	p.Cut()
	if err := <-ends; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
}

func TestCutOne(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, serve(t, echo))
	if p.CutOne(rand.IntN) { // IntN panics for n = 0
		t.Error("CutOne reports true without a connection")
	}
	conns := []net.Conn{dialEcho(t, p), dialEcho(t, p), dialEcho(t, p)}
	ok := p.CutOne(func(n int) int {
		if n != 3 {
			t.Errorf("one of %d", n)
		}
		return 1
	})
	if !ok || p.Conns() != 2 {
		t.Errorf("cut: %v, %d connections are left", ok, p.Conns())
	}
	expectReset(t, conns[1])
	for _, conn := range []net.Conn{conns[0], conns[2]} {
		send(t, conn, "x")
		expect(t, conn, "x")
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, serve(t, echo))
	old := dialEcho(t, p)
	p.Refuse(true)
	for range 3 {
		expectRefusal(t, p)
	}
	send(t, old, "x")
	expect(t, old, "x")
	p.Refuse(false)
	dialEcho(t, p)
}

func TestStall(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, serve(t, echo))
	old := dialEcho(t, p)
	p.Stall(true)
	young := dial(t, p)
	for _, conn := range []*net.TCPConn{old, young} {
		send(t, conn, "one ")
		if err := readError(t, conn, moment); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		send(t, conn, "two")
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Conns(); n != 2 {
		t.Errorf("%d connections: the end isn't held", n)
	}
	p.Stall(false)
	for _, conn := range []net.Conn{old, young} {
		expect(t, conn, "one two")
		if err := readError(t, conn, patience); err != io.EOF {
			t.Error(err)
		}
	}
}

func TestStallsAreIndependent(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 10)
	p := faultproxy.Start(t, serve(t, func(conn net.Conn) {
		b := make([]byte, 1)
		for {
			if _, err := conn.Read(b); err != nil {
				return
			}
			arrived <- string(b)
			_, _ = conn.Write(b)
		}
	}))
	conn := dial(t, p)
	p.StallReplies(true)
	send(t, conn, "a")
	if got := <-arrived; got != "a" {
		t.Errorf("arrived: %s", got)
	}
	p.Stall(true)
	send(t, conn, "b")
	select {
	case got := <-arrived:
		t.Errorf("arrived while stalled: %s", got)
	case <-time.After(moment):
	}
	p.Stall(false)
	if got := <-arrived; got != "b" {
		t.Errorf("arrived: %s", got)
	}
	if err := readError(t, conn, moment); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	p.StallReplies(false)
	expect(t, conn, "ab")
}

// A stall stops a write that the receiver keeps waiting, and the rest of it isn't lost.
func TestStallInMidWrite(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 16 << 20 {
		b.WriteByte(byte(i>>16 + i))
	}
	p := faultproxy.Start(t, serve(t, func(conn net.Conn) { _, _ = io.WriteString(conn, b.String()) }))
	conn := dial(t, p)
	expect(t, conn, b.String()[:1])
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range 100 {
		<-tick.C
		p.StallReplies(true)
		p.StallReplies(false)
	}
	p.Stall(true)
	_ = conn.SetReadDeadline(time.Now().Add(moment))
	sent, err := io.ReadAll(conn) // what is in the kernel
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes, %v", len(sent), err)
	}
	p.Stall(false)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(conn)
	if got := b.String()[:1] + string(sent) + string(rest); err != nil || got != b.String() {
		t.Errorf("%d bytes of %d, %v", len(got), b.Len(), err)
	}
}

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	var server net.Conn
	accepted, ended := make(chan struct{}), make(chan error)
	p := faultproxy.Start(t, serve(t, func(conn net.Conn) {
		server = conn
		close(accepted)
		b := make([]byte, 1)
		n, err := conn.Read(b)
		if n > 0 {
			t.Errorf("%q came through", b)
		}
		ended <- err
	}))
	p.Stall(true)
	conn := dial(t, p)
	<-accepted
	send(t, conn, "held")
	send(t, server, "held")
	p.HalfOpen()
	p.Stall(false)
	send(t, conn, "lost")
	send(t, server, "lost")
	if err := readError(t, conn, moment); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client noticed: %v", err)
	}

	p.SetUpstream(serve(t, echo))
	dialEcho(t, p).Close()
	await(t, "the new connection's end", func() bool { return p.Conns() == 1 })

	select {
	case err := <-ended:
		t.Fatalf("the server noticed: %v", err)
	default:
	}
	conn.Close()
	if err := <-ended; err == nil {
		t.Error("the server got a byte")
	}
	await(t, "the old connection's end", func() bool { return p.Conns() == 0 })
}

// The client doesn't notice the end of the server either.
func TestHalfOpenServerHangsUp(t *testing.T) {
	t.Parallel()
	hangUp := make(chan struct{})
	p := faultproxy.Start(t, serve(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "x")
		<-hangUp
	}))
	conn := dial(t, p)
	expect(t, conn, "x")
	p.HalfOpen()
	close(hangUp)
	if err := readError(t, conn, moment); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client noticed: %v", err)
	}
	p.Cut()
	expectReset(t, conn)
}

func TestDelay(t *testing.T) {
	t.Parallel()
	const delay, chunks = 200 * time.Millisecond, 60
	p := faultproxy.Start(t, serve(t, echo))
	conn := dialEcho(t, p)
	p.Delay(delay)
	start := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range chunks {
		send(t, conn, "x")
		<-tick.C
	}
	expect(t, conn, "x")
	if d := time.Since(start); d < 2*delay {
		t.Errorf("back after %v", d)
	}
	expect(t, conn, strings.Repeat("x", chunks-1))
	if d := time.Since(start); d > chunks*delay/2 {
		t.Errorf("%d chunks took %v: their delays add up", chunks, d)
	}

	p.Delay(time.Hour)
	send(t, conn, "y")
	if err := readError(t, conn, moment); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	p.Delay(0)
	dialEcho(t, p)
}

func TestStallSome(t *testing.T) {
	t.Parallel()
	const stall, calls = 20 * time.Millisecond, 200
	p := faultproxy.Start(t, serve(t, echo))
	conn := dialEcho(t, p)
	p.StallSome(0.1, stall)
	slow := 0
	for range calls {
		start := time.Now()
		send(t, conn, "x")
		expect(t, conn, "x")
		if time.Since(start) >= stall {
			slow++
		}
	}
	if slow < calls/20 || slow == calls { // a fifth, or more on a busy machine
		t.Errorf("%d of %d were slow", slow, calls)
	}
	p.StallSome(1, time.Hour)
	send(t, conn, "y")
	if err := readError(t, conn, moment); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	p.StallSome(0, time.Hour)
	dialEcho(t, p)
}
