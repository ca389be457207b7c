//go:build !windows

package faultproxy_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/faultproxy"
)

func TestForward(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, serve(t, echo))
	conn := dialEcho(t, p)
	if n := p.Conns(); n != 1 {
		t.Errorf("%d connections", n)
	}
	// Replies arrive after the end of the requests.
	send(t, conn, "bye")
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	expect(t, conn, "bye")
	if err := readError(t, conn, patience); err != io.EOF {
		t.Errorf("after the last reply: %v", err)
	}
	await(t, "no connection", func() bool { return p.Conns() == 0 })
}

func TestSetUpstream(t *testing.T) {
	t.Parallel()
	greet := func(s string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = io.WriteString(conn, s)
			echo(conn)
		}
	}
	p := faultproxy.Start(t, serve(t, greet("a")))
	first := dial(t, p)
	expect(t, first, "a")
	p.SetUpstream(serve(t, greet("b")))
	expect(t, dial(t, p), "b")
	send(t, first, "still there")
	expect(t, first, "still there")
}

func TestServerIsDown(t *testing.T) {
	t.Parallel()
	hangUp := make(chan struct{})
	up := serve(t, func(net.Conn) { <-hangUp })
	p := faultproxy.Start(t, up)
	conn := dial(t, p)
	close(hangUp)
	if err := readError(t, conn, patience); err != io.EOF {
		t.Errorf("a server that hangs up: %v", err)
	}
	await(t, "no connection", func() bool { return p.Conns() == 0 }) // though the client hasn't hung up

	p.SetUpstream("127.0.0.1:1")
	expectRefusal(t, p)
}

func TestServerResets(t *testing.T) {
	t.Parallel()
	p := faultproxy.Start(t, serve(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "last words")
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.(*net.TCPConn).SetLinger(0)
	}))
	p.StallReplies(true)
	conn := dial(t, p)
	send(t, conn, "x")
	send(t, conn, strings.Repeat("y", 100_000)) // the server has closed the connection, but its end is held
	if err := readError(t, conn, moment); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("while replies are stalled: %v", err)
	}
	p.StallReplies(false)
	expectReset(t, conn) // the kernel may or may not deliver the last words
}

func TestClose(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*faultproxy.Proxy{
		"idle":     faultproxy.Start(t, serve(t, echo)),
		"stalled":  faultproxy.Start(t, serve(t, echo)),
		"delayed":  faultproxy.Start(t, serve(t, echo)),
		"halfopen": faultproxy.Start(t, serve(t, echo)),
	} {
		conn := dialEcho(t, p)
		switch name {
		case "stalled":
			p.Stall(true)
		case "delayed":
			p.Delay(time.Hour)
		case "halfopen":
			p.HalfOpen()
		}
		send(t, conn, "x")
		if name == "idle" {
			expect(t, conn, "x")
		}
		p.Close()
		p.Close()
		expectReset(t, conn)
		if n := p.Conns(); n != 0 {
			t.Errorf("%s: %d connections", name, n)
		}
		if _, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: dialling: %v", name, err)
		}
		p.Cut()
		p.Stall(false)
		p.HalfOpen()
	}
}

// The proxy works after any faults that were turned on and off concurrently.
func TestConcurrentFaults(t *testing.T) {
	t.Parallel()
	addr := serve(t, echo)
	p := faultproxy.Start(t, addr)
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, 0))
			for range 300 {
				on := random.IntN(2) == 0
				switch random.IntN(9) {
				case 0:
					p.Cut()
				case 1:
					p.CutOne(random.IntN)
				case 2:
					p.Refuse(on)
				case 3:
					p.Stall(on)
				case 4:
					p.StallReplies(on)
				case 5:
					p.HalfOpen()
				case 6:
					p.Delay(time.Duration(random.IntN(1000)) * time.Microsecond)
				case 7:
					p.SetUpstream(addr)
				case 8:
					p.Conns()
				}
			}
		})
		wg.Go(func() {
			for range 100 {
				conn, err := net.Dial("tcp", p.Addr())
				if err != nil {
					continue // it was reset
				}
				_ = conn.SetDeadline(time.Now().Add(5 * time.Millisecond))
				if _, err = conn.Write([]byte("x")); err == nil {
					_, _ = conn.Read(make([]byte, 1))
				}
				conn.Close()
			}
		})
	}
	wg.Wait()
	p.Refuse(false)
	p.Stall(false)
	p.StallReplies(false)
	p.Delay(0)
	dialEcho(t, p).Close()
	await(t, "no connection", func() bool { return p.Conns() == 0 })
}
