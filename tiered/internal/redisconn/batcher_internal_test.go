package redisconn

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// No sender is left when the reads are over.
func TestIdleSendersEnd(t *testing.T) {
	r := open(t, redistest.Start(t).Client(t))
	r.Timeout = 200 * time.Millisecond
	p := r.batcherOf(r.Nodes.Only.Breaker)
	senders := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.senders) + len(p.idle)
	}
	seen := 0
	for range 3 {
		get(t, r, "k")
		seen += senders()
		waitFor(t, "the senders' end", func() bool { return senders() == 0 })
	}
	if seen == 0 {
		t.Error("there was no sender")
	}
}

// Nor if the batcher was closed while a read was under way.
func TestClosedBatcherRests(t *testing.T) {
	h, r, p := openStuck(t)
	var calls sync.WaitGroup
	calls.Go(func() { get(t, r, "stuck") })
	<-h.there
	p.close()
	close(h.release)
	calls.Wait()
	waitFor(t, "the sender's end", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.senders) == 0
	})
	p.sweep()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sweeping.set {
		t.Error("another sweep is due")
	}
}

// A waiting read is sent as soon as a sender is free, whatever becomes of the reads before it.
func TestEveryFreeSenderIsUsed(t *testing.T) {
	h, r, p := openStuck(t)
	var all []Pending
	for range maxSenders {
		all = append(all, r.Read(t.Context(), h.key, nil, mono.Now()))
		<-h.there
	}
	long := make([]string, MaxBatch)
	for i := range long {
		long[i] = "k"
	}
	long[0] = h.key
	all = append(all, r.ReadAll(t.Context(), long, nil, mono.Now())[0])
	short := r.Read(t.Context(), "k", nil, mono.Now())
	p.mu.Lock()
	for _, s := range p.senders { // all take too long at the same time, which says nothing about the server
		s.sentAt, s.reported = s.sentAt.Add(-r.Timeout), true
	}
	p.mu.Unlock()
	p.sweep()
	<-h.there // the long one
	late := time.NewTimer(r.Timeout / 2)
	defer late.Stop()
	if !short.Await(t.Context(), late.C) || short.Reply().Err != nil {
		t.Error("a waiting read is sent after the one before it ended, though senders are free")
	}
	close(h.release)
	for _, s := range all {
		s.Wait(t.Context())
	}
}

// stuck is a go-redis hook that holds the reads of a key back.
type stuck struct {
	redis.Hook
	key     string
	there   chan struct{} // has one element for each that is held
	release chan struct{}
}

// openStuck opens a conn whose reads of "stuck" are held back, with its batcher.
func openStuck(t *testing.T) (*stuck, *Conn, *batcher) {
	t.Helper()
	client := redistest.Start(t).Client(t)
	h := &stuck{key: "stuck", there: make(chan struct{}, 10), release: make(chan struct{})}
	client.AddHook(h)
	r := open(t, client)
	return h, r, r.batcherOf(r.Nodes.Only.Breaker)
}

func (h *stuck) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *stuck) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *stuck) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); (name == "get" || name == "mget") && cmd.Args()[1] == h.key {
			h.there <- struct{}{}
			<-h.release
		}
		return next(ctx, cmd)
	}
}

// A read that waits for others is sent alone if none comes, and the batch before isn't back.
func TestReadIsSentThoughNoOtherComes(t *testing.T) {
	h, r, p := openStuck(t)
	p.mu.Lock()
	p.callers, p.takes = 100, 500*time.Millisecond
	p.mu.Unlock()
	var calls sync.WaitGroup
	calls.Go(func() { get(t, r, "stuck") })
	<-h.there
	other := make(chan struct{})
	calls.Go(func() {
		defer close(other)
		get(t, r, "other")
	})
	select {
	case <-other:
	case <-time.After(5 * time.Second):
		t.Error("a read waits for that of another key")
	}
	close(h.release)
	calls.Wait()
}

// When one key of a Read is given up, so are the others.
func TestReadIsGivenUpAsAWhole(t *testing.T) {
	r := open(t, deadClient(t))
	place, _ := r.readTarget(t.Context(), "a")
	rd := r.newRead(t.Context(), place, nil, mono.Now())
	rd.Keys = []string{"a", "b"}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for place := range rd.Keys {
		if a := (Pending{rd, place}).Wait(over); !errors.Is(a.Err, context.Canceled) || a.Validity != coherence.Never {
			t.Errorf("key %d: %+v", place, a)
		}
	}
	rd.finish([]Reply{{Value: "late"}, {Value: "late"}}) // to nobody
	if a := (Pending{rd, 0}).Wait(t.Context()); !errors.Is(a.Err, context.Canceled) || len(rd.done) > 0 {
		t.Errorf("got %+v", a)
	}
}

// get reads a key, as a caller of its own.
func get(t *testing.T, r *Conn, key string) Reply {
	s := r.Read(t.Context(), key, nil, mono.Now())
	if s.Read == nil {
		return r.Do(t.Context(), r.Gets([]string{key}))[0]
	}
	return s.Wait(t.Context())
}

// open makes a Conn to one server whose values are always valid.
func open(t *testing.T, client *redis.Client) *Conn {
	t.Helper()
	r := New(client, "tc:", 5*time.Second, time.Second, slog.New(slog.DiscardHandler))
	var stop context.CancelFunc
	r.Life, stop = context.WithCancel(context.Background())
	f := &coherence.Feed{NoEvents: true}
	f.Current.Store(coherence.Always)
	b := r.NewBreaker(func() string { return client.Options().Addr }, f)
	b.ProbeWith = func(ctx context.Context) error { return r.Probe(ctx, client) }
	r.Nodes.Only = &Node{f, b}
	r.Switched = func(string, error) {}
	r.Needs = func(context.Context, redis.Pipeliner) {}
	t.Cleanup(func() {
		stop()
		r.Calls.Close()
		r.CloseBatchers()
		r.Calls.Wait()
	})
	return r
}

func waitFor(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func deadClient(t *testing.T) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { _ = client.Close() })
	return client
}
