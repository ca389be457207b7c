package tiered

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// joinable reports whether a caller that asked for "k" now would join a load.
func joinable(c *Cache[string]) bool {
	return c.keys.Joinable("k", c.hash("k")) != nil
}

// isHeard waits until callers no longer join the load that began before a change in Redis.
func isHeard(t *testing.T, c *Cache[string], within time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(within); joinable(c); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%v after the change callers still join the load that began before it", within)
			return
		}
	}
}

func TestForeignChangeEndsJoining(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := openOn(t, s.Client(t), Policy{})
	l := loadUnder(t, c, time.Minute)
	s.Do("DEL", "tc:test:k")
	isHeard(t, c, 10*time.Second)
	close(l.end)
	<-l.done
}

// retarder delays the first write that contains a mark, once it is armed.
type retarder struct {
	armed         atomic.Bool
	mark          string
	held, release chan struct{}
	written       chan struct{}
}

func newRetarder(mark string) *retarder {
	return &retarder{mark: mark, held: make(chan struct{}), release: make(chan struct{}), written: make(chan struct{})}
}

func (r *retarder) client(t *testing.T, s *redistest.Server) *redis.Client {
	client := redis.NewClient(&redis.Options{
		Addr: s.Addr(),
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return retardedConn{conn, r}, err
		},
		ReadTimeout: time.Minute,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

type retardedConn struct {
	net.Conn
	retarder *retarder
}

func (c retardedConn) Write(b []byte) (int, error) {
	r := c.retarder
	if !bytes.Contains(b, []byte(r.mark)) || !r.armed.CompareAndSwap(true, false) {
		return c.Conn.Write(b)
	}
	close(r.held)
	<-r.release
	defer close(r.written)
	return c.Conn.Write(b)
}

// A change made while an extension is in flight isn't taken for the extension's own change; the extension then changes nothing.
func TestChangeBeforeAnExtension(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newRetarder("GETRANGE") // of the script that swaps
	c := openOn(t, r.client(t, s), Policy{})
	l := loadUnder(t, c, 3*time.Second)
	r.armed.Store(true)
	<-r.held
	s.Do("DEL", "tc:test:k")
	close(r.release)
	<-r.written
	isHeard(t, c, 800*time.Millisecond) // less than the time to the next extension
	close(l.end)
	<-l.done
}

// Redis reports several changes of a key in one turn of its event loop once: an extension, and a foreign change right after it.
func TestChangeInTheTurnOfAnExtension(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newRetarder("GETRANGE")
	c := openOn(t, r.client(t, s), Policy{})
	foreign, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	l := loadUnder(t, c, 3*time.Second)
	r.armed.Store(true)
	<-r.held
	s.Freeze()
	close(r.release)
	<-r.written
	if _, err := foreign.Write([]byte("DEL tc:test:k\r\n")); err != nil {
		t.Fatal(err)
	}
	s.Thaw()
	reply := make([]byte, 4)
	if _, err := foreign.Read(reply); err != nil || string(reply) != ":1\r\n" {
		t.Fatalf("%q, %v", reply, err)
	}
	isHeard(t, c, 800*time.Millisecond)
	close(l.end)
	<-l.done
}

// After a load loses its lease, the next load of its process doesn't take foreign changes for its own.
func TestExtensionsOfALostLease(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := openOn(t, s.Client(t), Policy{})
	older := loadUnder(t, c, 300*time.Millisecond)
	s.Do("DEL", "tc:test:k")
	isHeard(t, c, 10*time.Second)
	newer := loadUnder(t, c, time.Minute)
	caughtUp(t, c)                     // the newer load's lease has been reported
	time.Sleep(400 * time.Millisecond) // several of the intervals at which the older load extends the lease that it believes it has
	if n := extended(t, s); n != 0 {
		t.Errorf("the newer load's lease was extended %d times", n)
	}
	close(older.end)
	<-older.done
	s.Do("DEL", "tc:test:k")
	isHeard(t, c, 3*time.Second)
	close(newer.end)
	<-newer.done
}
