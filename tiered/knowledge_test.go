package tiered_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// One damaged tag record makes its own values misses, and heals. The other values of a batch are no worse for it.
func TestDamagedTagRecord(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	b := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	if err := errors.Join(a.Set(t.Context(), "bad", "v", "x"), a.Set(t.Context(), "good", "v")); err != nil {
		t.Fatal(err)
	}
	s.Do("DEL", "tc:test!tag:x")
	s.Do("SADD", "tc:test!tag:x", "1")
	if got, err := b.GetMany(t.Context(), "bad", "good"); len(got) != 1 || err != nil {
		t.Errorf("the batch: %v, %v: want the good one", got, err)
	}
	if err := a.Set(t.Context(), "bad", "v", "x"); err != nil {
		t.Errorf("Set: %v", err)
	}
	if err := a.InvalidateTags(t.Context(), "x"); err != nil {
		t.Errorf("InvalidateTags: %v", err)
	}
}

// A damaged count is a lost one.
func TestDamagedCount(t *testing.T) {
	t.Parallel()
	for _, count := range []string{"-1", "1e3", "9223372036854775807"} {
		t.Run(count, func(t *testing.T) {
			s := redistest.Start(t)
			s.Do("SET", "tc:test!era{test}", "12345678")
			s.Do("SET", "tc:test!count{test}", count)
			c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
			if err := c.Clear(t.Context()); err != nil {
				t.Errorf("Clear: %v", err)
			}
			if err := c.Set(t.Context(), "k", "v", "x"); err != nil {
				t.Errorf("Set: %v", err)
			}
			if err := c.InvalidateTags(t.Context(), "x"); err != nil {
				t.Errorf("InvalidateTags: %v", err)
			}
		})
	}
}

// With Invalidation: None the local tier is served while Redis hangs, without asking it each time.
func TestNoneWhileRedisHangs(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := faultproxy.Start(t, s.Addr())
	client := redis.NewClient(&redis.Options{Addr: p.Addr(), ReadTimeout: time.Second, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	r := openedRedis(t, client, tiered.RedisOptions{
		Invalidation: tiered.None, Timeout: 200 * time.Millisecond, Heartbeat: 200 * time.Millisecond,
	})
	c := newCache(t, tiered.Options[string]{Redis: r})
	if _, err := c.GetOrLoad(t.Context(), "k", value("v")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		e, err := c.Lookup(t.Context(), "k")
		return err == nil && e.Tier == tiered.Local
	})
	p.Stall(true)
	defer p.Cut()
	time.Sleep(time.Second) // longer than what is known is good for
	start := time.Now()
	const reads = 10
	for range reads {
		if v, err := c.GetOrLoad(t.Context(), "k", value("w")); v != "v" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("%d reads of a local value took %v", reads, took)
	}
}

// slowCodec waits in Unmarshal.
type slowCodec struct {
	codec.Codec
	begun, open chan struct{}
	once        *sync.Once
}

func (c slowCodec) Unmarshal(b []byte, v any) error {
	if len(b) > len(`""`) { // New tries the zero value
		c.once.Do(func() {
			close(c.begun)
			<-c.open
		})
	}
	return c.Codec.Unmarshal(b, v)
}

// A flight that has read a value which is then deleted elsewhere is not for callers who come later.
func TestJoinsAFlightThatReadWhatIsDeleted(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	slow := slowCodec{codec.JSON, make(chan struct{}), make(chan struct{}), new(sync.Once)}
	a := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{}), Codec: slow})
	b := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	if err := b.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = a.GetOrLoad(t.Context(), "k", value("first")) })
	<-slow.begun
	if err := b.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // more than Heartbeat and a round trip: it has arrived
	wg.Go(func() {
		if v, err := a.GetOrLoad(t.Context(), "k", value("new")); v == "old" {
			t.Errorf("%q, %v, 2 s after the Delete", v, err)
		}
	})
	time.Sleep(200 * time.Millisecond)
	close(slow.open)
	wg.Wait()
}

// What a batch asks Redis for is in proportion to its keys.
func TestBatchThatWaitsReadsItsKeysOnce(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	const n = 500 // that a slow machine writes within the leases' time
	c := newCache(t, tiered.Options[string]{
		Redis:  openedRedis(t, s.Client(t), tiered.RedisOptions{}),
		Policy: tiered.Policy{LoadTimeout: 40 * time.Second},
	})
	client := s.Client(t)
	pipe := client.Pipeline()
	var ids []string
	for i := range n {
		ids = append(ids, strconv.Itoa(i))
		pipe.Set(t.Context(), "tc:test:"+ids[i], strayLease, time.Minute)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		got, err := tiered.GetOrLoadMany(t.Context(), c, ids, func(k string) string { return k },
			func(context.Context, []string) (map[string]string, error) { return nil, errors.New("not to be loaded") })
		if len(got) != n || err != nil {
			t.Errorf("%d values, %v", len(got), err)
		}
	})
	for _, id := range ids { // another process stores one value after the other
		if err := client.Set(t.Context(), "tc:test:"+id, `"v"`, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	wg.Wait()
	if gets := calls(s, "get"); gets > 10*n {
		t.Errorf("%d GETs for %d keys", gets, n)
	}
}

// A Set that began after another process's Clear is there.
func TestSetAfterAnothersClear(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := tiered.RedisOptions{Invalidation: tiered.None, Timeout: time.Second, Heartbeat: time.Second}
	a := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), o)})
	b := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), o)})
	if err := errors.Join(a.Set(t.Context(), "k", "v1"), b.Clear(t.Context()), a.Set(t.Context(), "k", "v2")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2500 * time.Millisecond)
	if v, err := a.Get(t.Context(), "k"); v != "v2" || err != nil {
		t.Errorf("in the process that set it: %q, %v", v, err)
	}
}

// What a refresh can't store doesn't leave the older value.
func TestRefreshThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[any]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	if err := c.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	_, err := c.Refresh(t.Context(), "k", func(context.Context, *tiered.Entry[any]) (any, error) { return func() {}, nil })
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Get(t.Context(), "k"); err == nil {
		t.Errorf("after a Refresh that returned another value: %v", v)
	}
}

// Expire of a key that holds no string is a Delete, as its comment says.
func TestExpireOfAList(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	s.Do("RPUSH", "tc:test:k", "x")
	if err := c.Expire(t.Context(), "k"); err != nil {
		t.Error(err)
	}
}

// A Redis that takes no writes (OOM, MISCONF, READONLY) doesn't turn caching off.
func TestRedisRefusesWrites(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	if err := c.Set(t.Context(), "other", "v"); err != nil {
		t.Fatal(err)
	}
	s.Do("CONFIG", "SET", "maxmemory", "1")
	for range 50 {
		if v, err := c.GetOrLoad(t.Context(), "k", value("v")); v != "v" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	}
	if n := c.Stats().Loads; n > 5 {
		t.Errorf("%d loads for 50 reads", n)
	}
}
