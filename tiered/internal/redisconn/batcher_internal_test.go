package redisconn

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// The senders end after the last read.
func TestIdleSendersEnd(t *testing.T) {
	c := open(t, redistest.Start(t).Client(t))
	c.Timeout = 200 * time.Millisecond
	b := c.batcherOf(c.Nodes.Only.Breaker)
	senders := func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.senders) + len(b.idle)
	}
	seen := 0
	for range 3 {
		get(t, c, "k")
		seen += senders()
		observe.Until(t, "the senders' end", func() bool { return senders() == 0 })
	}
	if seen == 0 {
		t.Error("there was no sender")
	}
}

// They also end if the batcher was closed while a read was under way.
func TestClosedBatcherSendsNothing(t *testing.T) {
	hook, c, b := openStuck(t)
	var calls sync.WaitGroup
	calls.Go(func() { get(t, c, "stuck") })
	<-hook.there
	b.close()
	close(hook.release)
	calls.Wait()
	observe.Until(t, "the sender's end", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.senders) == 0
	})
	b.sweep()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sweepTimer.set {
		t.Error("another sweep is due")
	}
}

// The batcher of a server that was removed is closed, and a read that comes late doesn't make another.
func TestBatcherOfARemovedServer(t *testing.T) {
	c := open(t, redistest.Start(t).Client(t))
	get(t, c, "k")
	server := c.Nodes.Only.Breaker
	b := c.batcherOf(server)
	server.Retire()
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if _, kept := c.batchers.Load(server); kept || !closed {
		t.Errorf("the batcher is kept: %v, closed: %v", kept, closed)
	}
	get(t, c, "k")
	if _, kept := c.batchers.Load(server); kept {
		t.Error("the read made another batcher")
	}
}

// A waiting read is sent as soon as a sender is free, even if the reads before it take long.
func TestEveryFreeSenderIsUsed(t *testing.T) {
	hook, c, b := openStuck(t)
	var all []Pending
	for range maxSenders {
		all = append(all, c.Read(t.Context(), hook.key, nil, mono.Now()))
		<-hook.there
	}
	long := make([]string, MaxBatch)
	for i := range long {
		long[i] = "k"
	}
	long[0] = hook.key
	all = append(all, c.ReadAll(t.Context(), long, nil, mono.Now())[0])
	short := c.Read(t.Context(), "k", nil, mono.Now())
	b.mu.Lock()
	for _, s := range b.senders { // all take too long at the same time, which says nothing about the server
		s.sentAt, s.reported = s.sentAt.Add(-c.Timeout), true
	}
	b.mu.Unlock()
	b.sweep()
	<-hook.there // the long one
	late := time.NewTimer(c.Timeout / 2)
	defer late.Stop()
	if !short.Await(t.Context(), late.C) || short.Reply().Err != nil {
		t.Error("a waiting read is sent after the one before it ended, though senders are free")
	}
	close(hook.release)
	for _, p := range all {
		p.Wait(t.Context())
	}
}

// A slow key is read by senders of their own, which keep no other read waiting. A late one is abandoned like any other.
func TestSlowKeyIsReadAlone(t *testing.T) {
	hook, c, b := openStuck(t)
	b.mu.Lock()
	b.slow.add(hook.key, mono.Now(), time.Hour)
	b.mu.Unlock()
	var slow []Pending
	for range 2 * maxSenders {
		slow = append(slow, c.Read(t.Context(), hook.key, nil, mono.Now()))
		<-hook.there
	}
	if c.ReadAll(t.Context(), []string{"k", hook.key}, nil, mono.Now()) != nil {
		t.Error("a slow key is read with another one")
	}
	if reply := c.Read(t.Context(), "k", nil, mono.Now()).Wait(t.Context()); reply.Err != nil {
		t.Errorf("another key: %v", reply.Err)
	}
	b.mu.Lock()
	late := b.senders[0]
	late.sentAt, late.reported = late.sentAt.Add(-c.Timeout), true // it says nothing about the server
	b.mu.Unlock()
	b.sweep()
	if reply := slow[0].Wait(t.Context()); !errors.Is(reply.Err, context.DeadlineExceeded) {
		t.Errorf("the late one: %v", reply.Err)
	}
	close(hook.release)
	for _, p := range slow[1:] {
		if reply := p.Wait(t.Context()); reply.Err != nil {
			t.Error(reply.Err)
		}
	}
	observe.Until(t, "the end of the senders that read alone", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.alone == 0 && !slices.ContainsFunc(b.senders, func(s *sender) bool { return s.alone })
	})
}

// stuckHook is a go-redis hook that holds the reads of a key back.
type stuckHook struct {
	redis.Hook
	key     string
	there   chan struct{} // has one element for each that is held
	release chan struct{}
}

// openStuck opens a conn whose reads of "stuck" are held back, with its batcher.
func openStuck(t *testing.T) (*stuckHook, *Conn, *batcher) {
	t.Helper()
	client := redistest.Start(t).Client(t)
	hook := &stuckHook{key: "stuck", there: make(chan struct{}, 10), release: make(chan struct{})}
	client.AddHook(hook)
	c := open(t, client)
	return hook, c, c.batcherOf(c.Nodes.Only.Breaker)
}

func (hook *stuckHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (hook *stuckHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (hook *stuckHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); (name == "get" || name == "mget") && cmd.Args()[1] == hook.key {
			hook.there <- struct{}{}
			<-hook.release
		}
		return next(ctx, cmd)
	}
}

// A read that waits for others is sent alone if none comes, and the batch before isn't back.
func TestReadIsSentThoughNoOtherComes(t *testing.T) {
	hook, c, b := openStuck(t)
	b.mu.Lock()
	b.callers, b.batchTime = 100, 500*time.Millisecond
	b.mu.Unlock()
	var calls sync.WaitGroup
	calls.Go(func() { get(t, c, "stuck") })
	<-hook.there
	other := make(chan struct{})
	calls.Go(func() {
		defer close(other)
		get(t, c, "other")
	})
	select {
	case <-other:
	case <-time.After(5 * time.Second):
		t.Error("a read waits for that of another key")
	}
	close(hook.release)
	calls.Wait()
}

// When one key of a Read is given up, so are the others.
func TestReadIsGivenUpAsAWhole(t *testing.T) {
	c := open(t, deadClient(t))
	to, _ := c.readTarget(t.Context(), "a")
	rd := c.newRead(t.Context(), to, nil, mono.Now())
	rd.Keys = []string{"a", "b"}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range rd.Keys {
		if reply := (Pending{rd, i}).Wait(over); !errors.Is(reply.Err, context.Canceled) || reply.Validity != coherence.Never {
			t.Errorf("key %d: %+v", i, reply)
		}
	}
	rd.finish([]Reply{{Value: "late"}, {Value: "late"}}) // to nobody
	if reply := (Pending{rd, 0}).Wait(t.Context()); !errors.Is(reply.Err, context.Canceled) || len(rd.done) > 0 {
		t.Errorf("got %+v", reply)
	}
}

// get reads a key, as a caller of its own.
func get(t *testing.T, c *Conn, key string) Reply {
	p := c.Read(t.Context(), key, nil, mono.Now())
	if p.Read == nil {
		return c.Do(t.Context(), Gets([]string{key}))[0]
	}
	return p.Wait(t.Context())
}

// open makes a Conn to one server whose values are always valid.
func open(t *testing.T, client *redis.Client) *Conn {
	t.Helper()
	c := New(client, "tc:", 5*time.Second, time.Second, slog.New(slog.DiscardHandler))
	var stop context.CancelFunc
	c.Context, stop = context.WithCancel(context.Background())
	f := &coherence.Feed{NoEvents: true}
	f.Current.Store(coherence.Always)
	b := c.Nodes.NewBreaker(func() string { return client.Options().Addr }, f)
	b.ProbeWith = func(ctx context.Context) error { return c.Probe(ctx, client) }
	c.Nodes.Only = &Node{f, b}
	c.Nodes.BreakerChanged = func(string, error) {}
	c.Capabilities.InvalidationCommands = func(context.Context, redis.Pipeliner) {}
	t.Cleanup(func() {
		stop()
		c.Calls.Close()
		c.CloseBatchers()
		c.Calls.Wait()
	})
	return c
}

func deadClient(t *testing.T) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { _ = client.Close() })
	return client
}
