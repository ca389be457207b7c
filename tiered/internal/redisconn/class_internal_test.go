package redisconn

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
	single := &Conn{Client: new(redis.Client)}
	cluster := &Conn{Client: new(redis.ClusterClient)}
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
		{&NotSentError{"a", reply("OOM")}, true, true, true},
		{NewAnsweredError("damaged"), false, false, false},
		{fmt.Errorf("queued: %w", io.EOF), true, true, true},
		{fmt.Errorf("queued: %w", reply("READONLY You can't write")), false, false, false},
	} {
		wrapped := c.err
		if wrapped != nil {
			wrapped = fmt.Errorf("tiered: redis: get: %w", c.err)
		}
		if got := single.Unanswered(wrapped); got != c.unread {
			t.Errorf("%v: unread %v", c.err, got)
		}
		if got := cluster.Unanswered(wrapped); got != c.inCluster {
			t.Errorf("%v in a Cluster: unread %v", c.err, got)
		}
		if got := Unreadable(wrapped); got != c.fallback {
			t.Errorf("%v: unreadable %v", c.err, got)
		}
	}
	if Unreadable(redis.Nil) {
		t.Error("nothing is there: unreadable")
	}
}

// Only calls that nobody gave up, and that began after the last answer, open a breaker, and only if the server doesn't answer
// something small either: such a call may have been for a value that was too large.
func TestMissesInARow(t *testing.T) {
	r := open(t, deadClient(t))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		calls func(b *Breaker)
		open  bool
	}{
		"three": {func(b *Breaker) { misses(t, b, 3) }, true},
		"two":   {func(b *Breaker) { misses(t, b, 2) }, false},
		"something small is answered": {func(b *Breaker) {
			b.ProbeWith = func(context.Context) error { return nil }
			misses(t, b, 3)
		}, false},
		"an answer": {func(b *Breaker) { misses(t, b, 2); b.Report(t.Context(), nil, mono.Now(), nil); misses(t, b, 2) }, false},
		"given up": {func(b *Breaker) {
			for range 5 {
				b.Report(over, nil, mono.Now(), context.Canceled)
			}
		}, false},
		"closed": {func(b *Breaker) {
			for range 5 {
				b.Report(t.Context(), nil, mono.Now(), ErrClosed)
			}
		}, false},
		"begun before the answer": {func(b *Breaker) {
			began := mono.Now()
			b.Report(t.Context(), nil, mono.Now().Add(1), nil)
			for range 5 {
				b.Report(t.Context(), nil, began, io.EOF)
			}
		}, false},
		"gone": {func(b *Breaker) { b.Retire(); misses(t, b, 3) }, false},
	} {
		b := r.NewBreaker(func() string { return "a" }, nil)
		b.ProbeWith = func(context.Context) error { return io.EOF }
		c.calls(b)
		for b.asking.Load() {
			runtime.Gosched()
		}
		if b.IsOpen() != c.open {
			t.Errorf("%s: %v", name, b.Status())
		}
		b.Retire()
	}
}

func misses(t *testing.T, b *Breaker, n int) {
	for range n {
		b.Report(t.Context(), nil, mono.Now(), io.EOF)
	}
}
