package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// operationHook records which operation the contexts of go-redis's calls belong to.
type operationHook struct {
	mu  sync.Mutex
	saw map[string][]*operation // by command
}

func (h *operationHook) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *operationHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if o, ok := ctx.Value(traceKey{}).(*operation); ok {
			h.mu.Lock()
			h.saw[cmd.Name()] = append(h.saw[cmd.Name()], o)
			h.mu.Unlock()
		}
		return next(ctx, cmd)
	}
}
func (h *operationHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// as returns a context of a caller of that name.
func as(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, name)
}

func TestTraceOfAMiss(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	h := &operationHook{saw: make(map[string][]*operation)}
	client.AddHook(h)
	r := &recorder{t: t}
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, quiet), Trace: r.trace()})
	set(t, c, "to know the cache's epoch", "")
	r.reset()
	var loader *operation
	got, err := c.GetOrLoad(as(t.Context(), "caller"), "k", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
		loader, _ = ctx.Value(traceKey{}).(*operation)
		return "loaded", nil
	})
	if got != "loaded" || err != nil {
		t.Fatal(got, err)
	}
	if want := "[+get -get +lease -lease +load -load +store -store]"; r.order() != want {
		t.Errorf("got %v, want %v", r.order(), want)
	}
	ops := append(r.of("redis", nil), r.of("load", nil)...)
	for _, o := range ops {
		if o.caller != "caller" || o.err != nil {
			t.Errorf("%+v", o)
		}
	}
	get, lease, store, load := ops[0], ops[1], ops[2], ops[3]
	if loader != load || store.parent != load || get.parent != nil || lease.parent != nil {
		t.Errorf("the loader has %+v; of the load %+v come %+v, and not %+v, %+v", loader, load, store, get, lease)
	}
	frame := len(s.Do("GET", "tc:test:k").(string))
	key := len("tc:test:k")
	switch {
	case get.redis.Command != "get", lease.redis.Command != "set", store.redis.Command != "eval":
		t.Errorf("%q, %q, %q", get.redis.Command, lease.redis.Command, store.redis.Command)
	case get.redis.Addr != s.Addr(), get.redis.Keys != 1, get.redis.Sent != key, get.redis.Received != 0:
		t.Errorf("%+v", get.redis)
	case store.redis.Sent < key+frame, store.redis.Sent > key+frame+50, store.redis.Took <= 0: // and what it replaces
		t.Errorf("%+v, a frame of %d bytes", store.redis, frame)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.saw["get"], []*operation{get}) || !slices.Contains(h.saw["eval"], store) {
		t.Errorf("go-redis's hooks saw %v", h.saw)
	}
	r.agrees(t, c.Stats())

	r.reset()
	gets(t, c, "k", noLoad[string](t), "loaded")
	if r.order() != "[]" {
		t.Errorf("of a local hit: %v", r.order())
	}
	other := &recorder{t: t}
	d := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, quiet), Trace: other.trace()})
	set(t, d, "to know the cache's epoch", "")
	other.reset()
	gets(t, d, "k", noLoad[string](t), "loaded")
	if o := other.of("redis", nil); other.order() != "[+get -get]" || o[0].redis.Received != frame {
		t.Errorf("of a hit in Redis: %v, %+v", other.order(), o)
	}
}

// The waits of callers for a load that another has begun, until it ends, they leave, or they are served a stale value.
func TestTraceOfWaits(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := &recorder{t: t}
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, quiet), Trace: r.trace()})
	g := newGate()
	first := g.begin(t, c, "k")
	waiter := func(ctx context.Context) *call {
		before := c.Stats().Collapsed
		cl := begun(func() (string, error) { return c.GetOrLoad(ctx, "k", noLoad[string](t)) })
		waitFor(t, func() bool { return c.Stats().Collapsed > before })
		return cl
	}
	leaves, leave := context.WithCancel(as(t.Context(), "leaves"))
	defer leave()
	left, stays := waiter(leaves), waiter(as(t.Context(), "stays"))
	leave()
	if _, err := left.wait(t); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(g.open)
	first.gets(t, "load 1")
	stays.gets(t, "load 1")
	load, waits := r.of("load", nil)[0], r.of("wait", nil)
	if len(waits) != 2 {
		t.Fatalf("%d waits", len(waits))
	}
	for _, w := range waits {
		if w.wait.Load == nil || w.wait.Load.Value(traceKey{}) != load || w.wait.Process || w.wait.Fallback || fmt.Sprint(w.wait.Keys) != "[k]" || w.wait.Took <= 0 {
			t.Errorf("%+v, the load is %+v", w.wait, load)
		}
		if left := w.caller == "leaves"; left != errors.Is(w.err, context.Canceled) || !left && w.err != nil {
			t.Errorf("%v: %v", w.caller, w.err)
		}
	}
	r.agrees(t, c.Stats())
}

func TestTraceOfAWaitThatIsServedAStaleValue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{t: t}
		c := newCache(t, tiered.Options[string]{
			Policy: tiered.Policy{TTL: time.Second, StaleIfError: time.Hour, SoftTimeout: 5 * time.Second, LoadTimeout: time.Hour}, Trace: r.trace(),
		})
		set(t, c, "k", "old")
		time.Sleep(2 * time.Second)
		g := newGate()
		first := g.begin(t, c, "k")
		second := begin(t, c, "k", noLoad[string](t))
		first.gets(t, "old")
		second.gets(t, "old")
		close(g.open)
		synctest.Wait()
		load, waits := r.of("load", nil), r.of("wait", nil)
		if len(load) != 1 || len(waits) != 1 || !waits[0].wait.Fallback || waits[0].wait.Load.Value(traceKey{}) != load[0] || waits[0].err != nil {
			t.Errorf("loads %+v, waits %+v", load, waits)
		}
		r.agrees(t, c.Stats())
	})
}

// A load that waits for another process's reports one wait, whatever happens to the lease meanwhile.
func TestTraceOfAnotherProcessLoad(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			r := &recorder{t: t}
			o := tiered.RedisOptions{Invalidation: mode}
			a := newProcess(t, s, o, tiered.Policy{})
			b := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, o), Trace: r.trace()})
			g := newGate()
			first := g.begin(t, a, "k")
			second := begun(func() (string, error) { return b.GetOrLoad(as(t.Context(), "b"), "k", noLoad[string](t)) })
			waitFor(t, func() bool { return strings.Contains(r.order(), "+wait") })
			close(g.open)
			first.gets(t, "load 1")
			second.gets(t, "load 1")
			waits := r.of("wait", nil) // ended before the caller got the value
			if len(waits) != 1 || !waits[0].wait.Process || waits[0].wait.Load != nil || waits[0].err != nil || waits[0].caller != "b" ||
				fmt.Sprint(waits[0].wait.Keys) != "[k]" {
				t.Errorf("waits %+v", waits)
			}
			r.agrees(t, b.Stats())

			r.reset()
			newGate().begin(t, a, "lost")
			second = begin(t, b, "lost", value("own"))
			waitFor(t, func() bool { return strings.Contains(r.order(), "+wait") })
			s.Do("DEL", "tc:test:lost")
			second.gets(t, "own")
			if want := "-wait +lease"; !strings.Contains(r.order(), want) || len(r.of("wait", nil)) != 1 {
				t.Errorf("%v: want %v", r.order(), want)
			}
		})
	}
}

// A load that doesn't return a value has its end, and so have the waits for it.
func TestTraceOfFailedLoads(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	failure := errors.New("failure")
	loads := map[string]func(context.Context) error{
		"returns an error": func(context.Context) error { return failure },
		"isn't found":      func(context.Context) error { return tiered.ErrNotFound },
		"panics":           func(context.Context) error { panic(failure) },
		"exits":            func(context.Context) error { runtime.Goexit(); return nil },
		"takes too long":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	}
	for name, load := range loads {
		t.Run(name, func(t *testing.T) {
			r := &recorder{t: t}
			c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, quiet), Policy: tiered.Policy{LoadTimeout: 2 * time.Second}, Trace: r.trace()})
			first := begin(t, c, name, func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
				waitFor(t, func() bool { return c.Stats().Collapsed > 0 })
				return "", load(ctx)
			})
			waitFor(t, func() bool { return strings.Contains(r.order(), "+load") })
			second := begin(t, c, name, func(context.Context, *tiered.Entry[string]) (string, error) { return "", tiered.ErrNotFound })
			_, err := first.wait(t)
			_, _ = second.wait(t)
			r.settled(t)
			done, wait := r.of("load", nil)[0], r.of("wait", nil)[0]
			_, panicked := errors.AsType[*tiered.LoaderPanic](done.err)
			if absent := name == "isn't found"; (done.err == nil) != absent || err == nil || panicked != (name == "panics") || (wait.err == nil) != absent {
				t.Errorf("LoadDone has %v, WaitDone %v, the caller %v", done.err, wait.err, err)
			}
			if (name == "panics" || name == "returns an error") != errors.Is(done.err, failure) || panicked && !errors.Is(wait.err, failure) {
				t.Errorf("LoadDone has %v, WaitDone %v", done.err, wait.err)
			}
			r.agrees(t, c.Stats())
		})
	}
}

// Close ends loads and waits, with other processes' too.
func TestTraceOfClose(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := &recorder{t: t}
	a := newProcess(t, s, quiet, tiered.Policy{})
	b := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, quiet), Trace: r.trace()})
	newGate().begin(t, a, "a's")
	calls := []*call{begin(t, b, "a's", noLoad[string](t)), newGate().begin(t, b, "b's")}
	waitFor(t, func() bool { return strings.Contains(r.order(), "+wait") })
	calls = append(calls, begin(t, b, "b's", noLoad[string](t)))
	waitFor(t, func() bool { return b.Stats().Collapsed == 1 })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, cl := range calls {
		if _, err := cl.wait(t); !errors.Is(err, tiered.ErrClosed) {
			t.Error(err)
		}
	}
	r.settled(t)
	waits := r.of("wait", func(o *operation) bool {
		return errors.Is(o.err, tiered.ErrClosed) || errors.Is(o.err, context.Canceled)
	})
	if loads := r.of("load", func(o *operation) bool { return o.err != nil }); len(waits) != 2 || len(loads) != 1 {
		t.Errorf("waits %+v, loads %+v", waits, loads)
	}
}

// Two batches share a load, and each key that one of them waits for has a wait.
func TestTraceOfBatches(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := &recorder{t: t}
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, quiet), Trace: r.trace()})
	set(t, c, "to know the cache's epoch", "")
	open := make(chan struct{})
	many := func(ids ...string) *call {
		return begun(func() (string, error) {
			got, err := tiered.GetOrLoadMany(t.Context(), c, ids, self, func(_ context.Context, ids []string) (map[string]string, error) {
				<-open
				all := make(map[string]string)
				for _, id := range ids {
					all[id] = id
				}
				return all, nil
			})
			return fmt.Sprint(len(got)), err
		})
	}
	one := many("a", "b", "c")
	waitFor(t, func() bool { return c.Stats().Loads == 1 })
	two := many("b", "c", "d", "e")
	waitFor(t, func() bool { return c.Stats().Loads == 2 })
	close(open)
	one.gets(t, "3")
	two.gets(t, "4")
	loads, waits := r.of("load", nil), r.of("wait", nil)
	if len(loads) != 2 || len(waits) != 2 || len(loads[0].load.Keys) != 3 || len(loads[1].load.Keys) != 2 {
		t.Fatalf("loads %+v, waits %+v", loads, waits)
	}
	for _, w := range waits {
		if w.wait.Load.Value(traceKey{}) != loads[0] {
			t.Errorf("%+v", w)
		}
	}
	if n := len(r.of("redis", func(o *operation) bool { return o.redis.Step == "store" && o.redis.Keys == len(o.parent.load.Keys) })); n != 2 {
		t.Errorf("%d stores with all keys of their load: %v", n, r.order())
	}
	r.agrees(t, c.Stats())
}

// LoadInfo says whose load it is.
func TestTraceOfRefreshes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{t: t}
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{TTL: time.Hour, RefreshAfter: time.Minute}, Trace: r.trace()})
		gets(t, c, "k", value("1"), "1")
		if got, err := c.Refresh(t.Context(), "k", value("2")); got != "2" || err != nil {
			t.Error(got, err)
		}
		time.Sleep(30 * time.Minute)
		gets(t, c, "k", value("3"), "2")
		synctest.Wait()
		loads := r.of("load", nil)
		for i, want := range []tiered.LoadInfo{{}, {Refresh: true}, {Background: true}} {
			if len(loads) != 3 || loads[i].load.Refresh != want.Refresh || loads[i].load.Background != want.Background {
				t.Errorf("loads %+v", loads)
			}
		}
	})
}

// The functions may do nothing, return no context, or panic: the cache works all the same, and a panic is logged.
func TestTraceFunctionsThatPanic(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	log := new(observe.Log)
	gives := func(context.Context) context.Context { return nil }
	trace := &tiered.Trace{
		LoadStart:  func(ctx context.Context, _ tiered.LoadInfo) context.Context { return gives(ctx) },
		RedisStart: func(context.Context, tiered.RedisInfo) context.Context { panic("of a Trace") },
		RedisDone:  func(context.Context, tiered.RedisInfo) { panic("of a Trace") },
		WaitStart:  func(context.Context, tiered.WaitInfo) context.Context { panic("of a Trace") },
		WaitDone:   func(context.Context, tiered.WaitInfo) { panic("of a Trace") },
	}
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, quiet), Trace: trace, Logger: slog.New(slog.NewTextHandler(log, nil))})
	g := newGate()
	first := g.begin(t, c, "k")
	second := begin(t, c, "k", noLoad[string](t))
	waitFor(t, func() bool { return c.Stats().Collapsed == 1 })
	close(g.open)
	first.gets(t, "load 1")
	second.gets(t, "load 1")
	if v := stored(s, "k"); v != "load 1" || c.Stats().RedisErrors != 0 {
		t.Errorf("Redis has %q, %+v", v, c.Stats())
	}
	if n := log.Count("a function of the Trace panicked"); n == 0 {
		t.Error("nothing was logged")
	}
}

// Whatever happens to them, loads, calls of Redis and waits have one beginning and one end, as many as the counters say.
func TestTraceAgreesWithStats(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r, others := &recorder{t: t}, &recorder{t: t}
	policy := tiered.Policy{TTL: 20 * time.Millisecond, NotFoundTTL: 5 * time.Millisecond, StaleIfError: 20 * time.Millisecond, SoftTimeout: 2 * time.Millisecond}
	a := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, quiet), Trace: r.trace(), Policy: policy, MaxLoads: 8})
	b := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, quiet), Trace: others.trace(), Policy: policy})
	load := func(ctx context.Context) error {
		switch rand.IntN(8) {
		case 0:
			panic("of a loader")
		case 1:
			return errors.New("failure")
		case 2:
			return tiered.ErrNotFound
		case 3:
			time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
		}
		return nil
	}
	one := func(c *tiered.Cache[string]) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(5000)+100)*time.Microsecond)
		defer cancel()
		defer func() { _ = recover() }()
		key := fmt.Sprint(rand.IntN(6))
		single := func(ctx context.Context, _ *tiered.Entry[string]) (string, error) { return key, load(ctx) }
		switch rand.IntN(6) {
		case 0:
			_ = c.Delete(ctx, key)
		case 1:
			_, _ = c.Refresh(ctx, key, single)
		case 2:
			_, _ = tiered.GetOrLoadMany(ctx, c, []string{"0", "1", "2", "3"}, self, func(ctx context.Context, ids []string) (got map[string]string, err error) {
				defer func() {
					if recover() != nil {
						err = errors.New("recovered") // a batch that panics waits for none of its other keys
					}
				}()
				return map[string]string{ids[0]: ids[0]}, load(ctx)
			})
		default:
			_, _ = c.GetOrLoad(ctx, key, single)
		}
	}
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			for range 150 {
				one([]*tiered.Cache[string]{a, b}[i%2])
			}
		})
	}
	callers.Wait()
	for r, c := range map[*recorder]*tiered.Cache[string]{r: a, others: b} {
		waitFor(t, func() bool { return r.loads() == c.Stats().Loads }) // Close may keep a load that is counted from its loader
		r.settled(t)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		r.settled(t)
		if n := len(r.of("wait", func(o *operation) bool { return o.wait.Process })); n == 0 || c.Stats().Collapsed == 0 || c.Stats().LoadErrors == 0 {
			t.Errorf("%d waits for the other process, %+v", n, c.Stats())
		}
		r.agrees(t, c.Stats())
	}
}
