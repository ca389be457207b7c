package tiered

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// reply is an error reply of Redis.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

// What an error says of the reads of this server, and of the one read.
func TestWhatAnErrorSays(t *testing.T) {
	single := &conn{client: new(redis.Client)}
	cluster := &conn{client: new(redis.ClusterClient)}
	for _, c := range []struct {
		err                         error
		unread, inCluster, fallback bool
	}{
		{nil, false, false, false},
		{reply("WRONGTYPE Operation against a key holding the wrong kind of value"), false, false, false},
		{reply("OOM command not allowed"), false, false, false},
		{reply("READONLY You can't write"), false, false, false},
		{reply("NOPERM User x has no permissions"), false, false, false},
		{reply("ERR unknown command"), false, false, false},
		{reply("MOVED 1 127.0.0.1:1"), false, false, false},
		{reply("ASK 1 127.0.0.1:1"), false, false, false},
		{reply("LOADING Redis is loading"), true, true, true},
		{reply("MASTERDOWN Link with MASTER is down"), true, true, true},
		{reply("BUSY Redis is busy"), true, true, true},
		{reply("CLUSTERDOWN The cluster is down"), true, true, true},
		{reply("CLUSTERDOWN Hash slot not served"), true, false, true},
		{io.EOF, true, true, true},
		{context.DeadlineExceeded, true, true, true},
		{&sparedError{"a", reply("OOM")}, true, true, true},
		{errLedger, false, false, false},
		{errNotReplayed, false, false, false},
		{&withheldError{io.EOF}, true, true, true},
		{&withheldError{reply("READONLY You can't write")}, false, false, false},
	} {
		wrapped := c.err
		if wrapped != nil {
			wrapped = fmt.Errorf("tiered: redis: get: %w", c.err)
		}
		if got := single.unread(wrapped); got != c.unread {
			t.Errorf("%v: unread %v", c.err, got)
		}
		if got := cluster.unread(wrapped); got != c.inCluster {
			t.Errorf("%v in a Cluster: unread %v", c.err, got)
		}
		if got := unreadable(wrapped); got != c.fallback {
			t.Errorf("%v: unreadable %v", c.err, got)
		}
	}
	if unreadable(redis.Nil) {
		t.Error("nothing is there: unreadable")
	}
}

// Only calls that nobody gave up, and that began after the last answer, open a breaker, and only if the server doesn't answer
// something small either: such a call may have been for a value that was too large.
func TestMissesInARow(t *testing.T) {
	listening := listen(t, deadClient(t), RedisOptions{Invalidation: None})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		calls func(b *breaker)
		open  bool
	}{
		"three": {func(b *breaker) { misses(t, b, 3) }, true},
		"two":   {func(b *breaker) { misses(t, b, 2) }, false},
		"something small is answered": {func(b *breaker) {
			b.probe = func(context.Context) error { return nil }
			misses(t, b, 3)
		}, false},
		"an answer": {func(b *breaker) { misses(t, b, 2); b.heed(t.Context(), nil, mono.Now(), nil); misses(t, b, 2) }, false},
		"given up": {func(b *breaker) {
			for range 5 {
				b.heed(over, nil, mono.Now(), context.Canceled)
			}
		}, false},
		"closed": {func(b *breaker) {
			for range 5 {
				b.heed(t.Context(), nil, mono.Now(), ErrClosed)
			}
		}, false},
		"begun before the answer": {func(b *breaker) {
			began := mono.Now()
			b.heed(t.Context(), nil, mono.Now().Add(1), nil)
			for range 5 {
				b.heed(t.Context(), nil, began, io.EOF)
			}
		}, false},
		"gone": {func(b *breaker) { b.leave(); misses(t, b, 3) }, false},
	} {
		b := &breaker{redis: listening.conn, addr: func() string { return "a" }}
		b.probe = func(context.Context) error { return io.EOF }
		c.calls(b)
		for b.asking.Load() {
			runtime.Gosched()
		}
		if b.isOpen() != c.open {
			t.Errorf("%s: %v", name, b.status())
		}
		b.leave()
	}
}

func misses(t *testing.T, b *breaker, n int) {
	for range n {
		b.heed(t.Context(), nil, mono.Now(), io.EOF)
	}
}

func deadClient(t *testing.T) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { _ = client.Close() })
	return client
}
