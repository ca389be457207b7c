package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// newRedis makes a second tier on a server, as another process would.
func newRedis(t testing.TB, s *redistest.Server, o tiered.RedisOptions) *tiered.Redis {
	t.Helper()
	return openedRedis(t, s.Client(t), o)
}

type user struct {
	ID   int
	Name string
	Tags []string
}

func TestTwoTiers(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	policy := tiered.Policy{TTL: time.Hour, LocalTTL: time.Minute, NotFoundTTL: time.Minute}
	for name, cd := range map[string]codec.Codec{"json": codec.JSON, "msgpack": codec.Msgpack, "zstd": codec.Zstd(codec.JSON, 1), "s2": codec.S2(codec.Msgpack, 1)} {
		t.Run(name, func(t *testing.T) {
			open := func() *tiered.Cache[user] {
				return newCache(t, tiered.Options[user]{Name: name, Redis: newRedis(t, s, tiered.RedisOptions{}), Codec: cd, Policy: policy})
			}
			writer, reader := open(), open()
			want := user{7, "Ada", []string{"x"}}
			if v, err := writer.GetOrLoad(ctx, "7", value(want)); err != nil || !reflect.DeepEqual(v, want) {
				t.Fatalf("loaded %+v, %v", v, err)
			}
			if v, err := reader.GetOrLoad(ctx, "7", noLoad[user](t)); err != nil || !reflect.DeepEqual(v, want) {
				t.Errorf("the other process got %+v, %v", v, err)
			}
			waitFor(t, func() bool { // Redis may tell of the store later than the value is read
				e, err := reader.Lookup(ctx, "7")
				return err == nil && e.Tier == tiered.Local && e.State == tiered.Fresh && e.Found && e.Age < time.Minute
			})
			if err := writer.Set(ctx, "8", want, "a", "b"); err != nil {
				t.Error(err)
			}
			if e, err := reader.Lookup(ctx, "8"); err != nil || e.Tier != tiered.Remote || !reflect.DeepEqual(e.Tags, []string{"a", "b"}) || !reflect.DeepEqual(e.Value, want) {
				t.Errorf("%+v, %v", e, err)
			}
			if _, err := writer.GetOrLoad(ctx, "9", func(context.Context, *tiered.Entry[user]) (user, error) { return user{}, tiered.ErrNotFound }); err != tiered.ErrNotFound {
				t.Error(err)
			}
			if _, err := reader.GetOrLoad(ctx, "9", noLoad[user](t)); err != tiered.ErrNotFound {
				t.Errorf("a remembered absence: %v", err)
			}
			if err := writer.Delete(ctx, "7", "8", "7"); err != nil {
				t.Error(err)
			}
			if n := s.Do("EXISTS", "tc:"+name+":7", "tc:"+name+":8"); n != int64(0) {
				t.Errorf("%v deleted keys exist", n)
			}
			if st := reader.Stats(); st.RemoteHits < 3 || st.LocalHits != 1 || st.Misses != 0 || st.RedisErrors+st.CodecErrors != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

// Redis itself forgets a value after its TTL, and the local tier never keeps it longer than Redis had it for.
func TestExpiry(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := tiered.Options[string]{Name: "x", Policy: tiered.Policy{TTL: time.Hour, Jitter: -1}}
	o.Redis = newRedis(t, s, tiered.RedisOptions{Prefix: "app:"})
	c := newCache(t, o)
	if err := c.Set(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	if ms := s.Do("PTTL", "app:x:k").(int64); ms <= 3_500_000 || ms > 3_600_000 {
		t.Errorf("PTTL %d", ms)
	}
	short := c.With(func(p *tiered.Policy) { p.TTL = 1500 * time.Microsecond })
	if err := short.Set(t.Context(), "short", "v"); err != nil {
		t.Error(err) // rounded up to what Redis takes
	}
	waitFor(t, func() bool { return s.Do("EXISTS", "app:x:short") == int64(0) })
}

func TestForeignValues(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[user]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	s.Do("SET", "tc:users:1", `{"ID":1,"Name":"from elsewhere"}`)
	if v, err := c.GetOrLoad(t.Context(), "1", noLoad[user](t)); err != nil || v.Name != "from elsewhere" {
		t.Errorf("%+v, %v", v, err)
	}
	waitFor(t, func() bool { // Redis may tell of the write later than the value is read
		e, err := c.Lookup(t.Context(), "1")
		return err == nil && e.Tier == tiered.Local && e.State == tiered.Fresh
	})
}

// Whatever stands in Redis under a key is a value or a miss.
func TestGarbageIsAMiss(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newRedis(t, s, tiered.RedisOptions{})
	c := newCache(t, tiered.Options[user]{Name: "users", Redis: r})
	other := newCache(t, tiered.Options[user]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{}), Codec: codec.Msgpack})
	if err := other.Set(t.Context(), "codec", user{ID: 5}); err != nil {
		t.Fatal(err)
	}
	if err := other.Set(t.Context(), "cut", user{ID: 5}); err != nil {
		t.Fatal(err)
	}
	smaller := newCache(t, tiered.Options[user]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{}), Codec: codec.Zstd(codec.JSON, 0)})
	if err := smaller.Set(t.Context(), "zstd", user{ID: 5}); err != nil {
		t.Fatal(err)
	}
	s.Do("SETRANGE", "tc:users:cut", 20, "XXXX")
	s.Do("SET", "tc:users:text", "not JSON")
	s.Do("SET", "tc:users:empty", "")
	s.Do("SET", "tc:users:magic", "\xc1tc")
	s.Do("SET", "tc:users:version", "\xc1tc\x63andsoonandsoon")
	s.Do("LPUSH", "tc:users:list", "a", "b")
	keys := []string{"codec", "zstd", "cut", "text", "empty", "magic", "version", "list"}
	if got, err := c.GetMany(t.Context(), keys...); err != nil || len(got) != 0 {
		t.Errorf("GetMany: %+v, %v", got, err)
	}
	for _, key := range keys {
		if v, err := c.Get(t.Context(), key); err != tiered.ErrNotFound {
			t.Errorf("%s: %+v, %v", key, v, err)
		}
		if v, err := c.GetOrLoad(t.Context(), key, value(user{ID: 1})); err != nil || v.ID != 1 {
			t.Errorf("%s: %+v, %v", key, v, err)
		}
	}
	// GetMany's one command doesn't tell the list from nothing.
	if st := c.Stats(); st.CodecErrors != 5*3 || st.RedisErrors != 2 { // another codec's values are nothing wrong
		t.Errorf("stats %+v", st)
	}
	fresh := newCache(t, tiered.Options[user]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	if got, err := fresh.GetMany(t.Context(), keys...); err != nil || len(got) != len(keys)-1 {
		t.Errorf("after the loads: %+v, %v", got, err)
	}
	if n := s.Do("LLEN", "tc:users:list"); n != int64(2) {
		t.Errorf("another program's list has %v elements", n)
	}
}

// setBefore sets a value of which no cache that is opened later hears.
func setBefore(t *testing.T, s *redistest.Server, key, value string) {
	t.Helper()
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, tiered.RedisOptions{Invalidation: tiered.None})})
	if err := c.Set(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

func TestRedisDown(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	setBefore(t, s, "before", "v")
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, tiered.RedisOptions{Timeout: time.Second})})
	if v, err := c.Get(t.Context(), "before"); v != "v" || err != nil {
		t.Fatalf("%q, %v", v, err)
	}
	s.Kill()
	if v, err := c.Get(t.Context(), "before"); v != "v" || err != nil {
		t.Errorf("the local tier: %q, %v", v, err)
	}
	if v, err := c.GetOrLoad(t.Context(), "k", value("loaded")); v != "loaded" || err != nil {
		t.Errorf("a load: %q, %v", v, err)
	}
	if v, err := c.GetOrLoad(t.Context(), "k", noLoad[string](t)); v != "loaded" || err != nil {
		t.Errorf("from the local tier: %q, %v", v, err)
	}
	if _, err := c.Get(t.Context(), "absent"); err != tiered.ErrNotFound {
		t.Errorf("a miss: %v", err)
	}
	var netErr interface{ Timeout() bool }
	for name, err := range map[string]error{
		"Set":     c.Set(t.Context(), "set", "anyway"),
		"SetMany": c.SetMany(t.Context(), map[string]string{"m1": "1", "m2": "2"}),
		"Delete":  c.Delete(t.Context(), "before", "k"),
	} {
		if err == nil || !errors.As(err, &netErr) {
			t.Errorf("%s: %v doesn't wrap the client's error", name, err)
		}
	}
	if got, err := c.GetMany(t.Context(), "set", "m1", "m2", "before", "k"); err == nil || len(got) != 3 { // what was deleted can't be asked for
		t.Errorf("after the local parts: %v, %v", got, err)
	}
	if st := c.Stats(); st.RedisErrors+st.Spared == 0 {
		t.Errorf("stats %+v", st)
	}
	s.Restart()
	waitFor(t, func() bool { return c.Set(t.Context(), "again", "v") == nil })
}

// A Redis that hangs costs a call its Timeout, though the client's own timeouts are longer.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, tiered.RedisOptions{Timeout: 50 * time.Millisecond})})
	waitFor(t, func() bool { return c.Set(t.Context(), "warm", "v") == nil }) // Timeout is short
	s.Freeze()
	defer s.Thaw()
	start := time.Now()
	if v, err := c.GetOrLoad(t.Context(), "k", value("v")); v != "v" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if err := c.Delete(t.Context(), "warm"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Delete: %v", err)
	}
	// The client waits 3 s for each try of each call.
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("it took %v", d)
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, err := c.Get(ctx, "other"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get with an ended context: %v", err)
	}
}

// A load that overlaps a write of its key leaves nothing in Redis that the write was to replace.
func TestWriteDuringLoadInRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, tiered.RedisOptions{})})
	other := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, tiered.RedisOptions{})})
	for i := range 300 {
		key := fmt.Sprint("k", i)
		loading, loaded := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = c.GetOrLoad(t.Context(), key, func(context.Context, *tiered.Entry[string]) (string, error) {
				close(loading)
				<-loaded
				return "old", nil
			})
		})
		<-loading
		wg.Go(func() { close(loaded) })
		var want any
		if i%2 == 0 {
			want = "new"
			if err := c.Set(t.Context(), key, "new"); err != nil {
				t.Fatal(err)
			}
		} else if err := c.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for _, reader := range []*tiered.Cache[string]{c, other} {
			v, err := reader.Get(t.Context(), key)
			if want == nil && err != tiered.ErrNotFound || want != nil && v != want {
				t.Fatalf("%s: got %q, %v; want %v", key, v, err, want)
			}
		}
	}
}

// Of concurrent writes of a key by one process, the local tier keeps the one that Redis keeps.
func TestConcurrentWritesAgree(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[int]{Redis: newRedis(t, s, tiered.RedisOptions{})})
	other := newCache(t, tiered.Options[int]{Redis: newRedis(t, s, tiered.RedisOptions{})})
	for i := range 100 {
		key := fmt.Sprint("k", i)
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				var err error
				if n%3 == 0 {
					err = c.SetMany(t.Context(), map[string]int{key: n, key + "b": n, key + "a": n})
				} else {
					err = c.Set(t.Context(), key, n)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		mine, err1 := c.Get(t.Context(), key)
		theirs, err2 := other.Get(t.Context(), key)
		if err := errors.Join(err1, err2); err != nil || mine != theirs {
			t.Fatalf("%s: here %d, in redis %d, %v", key, mine, theirs, err)
		}
	}
}

// A machine whose clock is wrong neither takes fresh values for stale nor stale ones for fresh: frames carry Redis's
// time. Here Redis's clock is the one that is off, from everybody's point of view.
func TestAgeIsRedisTime(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	off := 90 * time.Second
	client := s.Client(t)
	client.AddHook(timeShift(off))
	shifted, err := tiered.NewRedis(client, tiered.RedisOptions{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer shifted.Close()
	policy := tiered.Policy{TTL: time.Minute, Jitter: -1}
	// To this process Redis's clock is 90 s ahead, to the next it isn't: as if that one's clock were behind.
	ahead := newCache(t, tiered.Options[string]{Redis: shifted, Policy: policy})
	if err := ahead.Set(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	plain := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, tiered.RedisOptions{}), Policy: policy})
	if e, err := plain.Lookup(t.Context(), "k"); err != nil || e.Age > 30*time.Second {
		t.Errorf("a value from the future: %+v, %v", e, err)
	}
	if err := plain.Set(t.Context(), "past", "v"); err != nil {
		t.Fatal(err)
	}
	if e, err := ahead.Lookup(t.Context(), "past"); err != tiered.ErrNotFound {
		t.Errorf("a value 90 s old with a TTL of 60 s: %+v, %v", e, err)
	}
}

// timeShift is a go-redis hook that shifts what TIME answers.
type timeShift time.Duration

func (d timeShift) DialHook(next redis.DialHook) redis.DialHook { return next }
func (d timeShift) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (d timeShift) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if c, ok := cmd.(*redis.TimeCmd); ok && err == nil {
			c.SetVal(c.Val().Add(time.Duration(d)))
		}
		return err
	}
}

func TestClosedRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	setBefore(t, s, "k", "v")
	r := newRedis(t, s, tiered.RedisOptions{})
	c := newCache(t, tiered.Options[string]{Redis: r})
	if v, err := c.Get(t.Context(), "k"); v != "v" || err != nil {
		t.Fatalf("%q, %v", v, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if v, err := c.Get(t.Context(), "k"); v != "v" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if err := c.Set(t.Context(), "k", "w"); !errors.Is(err, tiered.ErrClosed) {
		t.Errorf("Set: %v", err)
	}
	if v, err := c.GetOrLoad(t.Context(), "x", value("loaded")); v != "loaded" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}
