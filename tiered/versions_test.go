package tiered_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
	storedtool "github.com/tiercache/tiercache/tiered/stored"
)

// A load of one release whose result isn't stored leaves the other's value.
func TestUnstoredResultLeavesOtherReleases(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newRedis(t, s, tiered.RedisOptions{})
	older := newCache(t, tiered.Options[oldUser]{Name: "users", Redis: r})
	newer := newCache(t, tiered.Options[newUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	if err := older.Set(t.Context(), "k", oldUser{ID: 1}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if v, err := newer.GetOrLoad(t.Context(), "k", func(_ context.Context, e *tiered.Entry[newUser]) (newUser, error) {
			e.Policy.TTL = 0
			return newUser{ID: 2}, nil
		}); err != nil || v.ID != 2 {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	again := newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	if v, err := again.Get(t.Context(), "k"); err != nil || v.ID != 1 {
		t.Errorf("the other release's value: %+v, %v", v, err)
	}
	if _, err := newer.Refresh(t.Context(), "k", func(_ context.Context, e *tiered.Entry[newUser]) (newUser, error) {
		e.Policy.NotFoundTTL = 0
		return newUser{}, tiered.ErrNotFound
	}); err != tiered.ErrNotFound {
		t.Fatal(err)
	}
	if v, err := again.Get(t.Context(), "k"); err != nil || v.ID != 1 {
		t.Errorf("after an absence, the other release's value: %+v, %v", v, err)
	}
}

// A load of one release that isn't stored removes that release's own value, and none of the other's.
func TestUnstoredResultRemovesItsOwn(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	absent := func(context.Context, *tiered.Entry[newUser]) (newUser, error) { return newUser{}, tiered.ErrNotFound }
	for name, refresh := range map[string]tiered.Loader[newUser]{
		"not found": absent,
		"no TTL": func(_ context.Context, e *tiered.Entry[newUser]) (newUser, error) {
			e.Policy.TTL = 0
			return newUser{ID: 3}, nil
		},
	} {
		for _, newerFirst := range []bool{false, true} {
			key := fmt.Sprint(name, newerFirst)
			older := newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
			newer := newCache(t, tiered.Options[newUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
			loadOlder := func() (oldUser, error) { return older.GetOrLoad(t.Context(), key, value(oldUser{ID: 1})) }
			loadNewer := func() (newUser, error) { return newer.GetOrLoad(t.Context(), key, value(newUser{ID: 2})) }
			if newerFirst {
				_, _ = loadNewer()
				_, _ = loadOlder()
			} else {
				_, _ = loadOlder()
				_, _ = loadNewer()
			}
			_, _ = newer.Refresh(t.Context(), key, refresh)
			for range 2 { // in the local tier, and in Redis
				if v, err := newer.Get(t.Context(), key); err != tiered.ErrNotFound {
					t.Errorf("%s: its own value: %+v, %v", key, v, err)
				}
				if v, err := older.Get(t.Context(), key); err != nil || v.ID != 1 {
					t.Errorf("%s: the other release's value: %+v, %v", key, v, err)
				}
				older = newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
				newer = newCache(t, tiered.Options[newUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
			}
			if left := s.Do("PTTL", "tc:users:"+key).(int64); left < 50_000 {
				t.Errorf("%s: the other release's value expires in %d ms", key, left)
			}
		}
	}
}

// So does one that finds its own value expired.
func TestUnstoredResultRemovesItsExpired(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	older := newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	newer := newCache(t, tiered.Options[newUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	frames := func() int { return len(storedtool.Parse([]byte(s.Do("GET", "tc:users:k").(string))).Frames) }
	_, _ = older.GetOrLoad(t.Context(), "k", value(oldUser{ID: 1}))
	_, _ = newer.GetOrLoad(t.Context(), "k", value(newUser{ID: 2}))
	if err := newer.Expire(t.Context(), "k"); err != nil || frames() != 2 {
		t.Fatalf("%d frames, %v", frames(), err)
	}
	if _, err := newer.Refresh(t.Context(), "k", func(context.Context, *tiered.Entry[newUser]) (newUser, error) {
		return newUser{}, tiered.ErrNotFound
	}); err != tiered.ErrNotFound {
		t.Fatal(err)
	}
	if n := frames(); n != 1 {
		t.Errorf("%d frames are left of two", n)
	}
}

// A release keeps its stale values for as long as its own policy says, also after a load of another release that keeps none.
func TestStaleValuesOfAnotherRelease(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	brief := tiered.Policy{TTL: 100 * time.Millisecond, Jitter: -1}
	keeping := brief
	keeping.StaleIfError = time.Hour
	older := newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{}), Policy: keeping})
	newer := newCache(t, tiered.Options[newUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{}), Policy: brief})
	if _, err := older.GetOrLoad(t.Context(), "k", value(oldUser{ID: 1})); err != nil {
		t.Fatal(err)
	}
	if _, err := newer.GetOrLoad(t.Context(), "k", value(newUser{ID: 2})); err != nil {
		t.Fatal(err)
	}
	if left := s.Do("PTTL", "tc:users:k").(int64); left < 3500_000 {
		t.Errorf("the values expire in %d ms", left)
	}
	again := newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{}), Policy: keeping})
	observe.Until(t, "the newer value is stale", func() bool {
		_, err := newer.Get(t.Context(), "k")
		return err == tiered.ErrNotFound
	})
	if v, err := again.GetOrLoad(t.Context(), "k", func(context.Context, *tiered.Entry[oldUser]) (oldUser, error) { return oldUser{}, errDown }); err != nil || v.ID != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

// A frame that is damaged is reported, wherever it is, and the whole ones are used.
func TestDamagedFrameOfARelease(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	older := newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	newer := newCache(t, tiered.Options[newUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	_, _ = older.GetOrLoad(t.Context(), "k", value(oldUser{ID: 1}))
	_, _ = newer.GetOrLoad(t.Context(), "k", value(newUser{ID: 2}))
	length := s.Do("STRLEN", "tc:users:k").(int64)
	s.Do("SETRANGE", "tc:users:k", length-3, "?")
	older = newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	newer = newCache(t, tiered.Options[newUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	if v, err := older.GetOrLoad(t.Context(), "k", value(oldUser{ID: 3})); err != nil || v.ID != 3 || older.Stats().CodecErrors == 0 {
		t.Errorf("%+v, %v, %+v", v, err, older.Stats())
	}
	if v, err := newer.Get(t.Context(), "k"); err != nil || v.ID != 2 || newer.Stats().CodecErrors != 0 {
		t.Errorf("%+v, %v, %+v", v, err, newer.Stats())
	}
}

// Values of another codec are another release's, too, and so are those of another Version; with one Version both read them.
func TestVersions(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, tc := range map[string]struct {
		a, b   tiered.Options[oldUser]
		shared bool
	}{
		"alike":               {shared: true},
		"one Version":         {tiered.Options[oldUser]{Version: "1"}, tiered.Options[oldUser]{Version: "1"}, true},
		"another Version":     {tiered.Options[oldUser]{Version: "1"}, tiered.Options[oldUser]{Version: "2"}, false},
		"a Version, and none": {tiered.Options[oldUser]{}, tiered.Options[oldUser]{Version: "2"}, false},
		"another codec":       {tiered.Options[oldUser]{Version: "1", Codec: codec.JSON}, tiered.Options[oldUser]{Version: "1", Codec: codec.Msgpack}, false},
	} {
		t.Run(name, func(t *testing.T) {
			open := func(o tiered.Options[oldUser]) *tiered.Cache[oldUser] {
				o.Name, o.Redis = "users", newRedis(t, s, tiered.RedisOptions{})
				return newCache(t, o)
			}
			key := t.Name()
			loads := 0
			for range 2 {
				for _, o := range []tiered.Options[oldUser]{tc.a, tc.b} {
					if _, err := open(o).GetOrLoad(t.Context(), key, func(context.Context, *tiered.Entry[oldUser]) (oldUser, error) {
						loads++
						return oldUser{ID: 1}, nil
					}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if want := map[bool]int{true: 1, false: 2}[tc.shared]; loads != want {
				t.Errorf("%d loads, want %d", loads, want)
			}
		})
	}
}

// A release that is gone leaves nothing behind: its values stay no longer than they are fresh.
func TestValuesOfAFormerRelease(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	short := tiered.Policy{TTL: 200 * time.Millisecond}
	older := newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{}), Policy: short})
	newer := newCache(t, tiered.Options[newUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	if err := older.Set(t.Context(), "k", oldUser{ID: 1, Name: "a name that is easy to find"}); err != nil {
		t.Fatal(err)
	}
	load := func() {
		if _, err := newer.Refresh(t.Context(), "k", value(newUser{ID: 2})); err != nil {
			t.Fatal(err)
		}
	}
	observe.Until(t, "only one value is left", func() bool {
		load()
		return !strings.Contains(s.Do("GET", "tc:users:k").(string), "easy to find")
	})
	if left := s.Do("PTTL", "tc:users:k").(int64); left < 50_000 {
		t.Errorf("the value expires in %d ms", left)
	}
}

// A Refresh that loses its place to another release's leaves nothing that is older than what it returned.
func TestRefreshesOfTwoReleases(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	older := newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	newer := newCache(t, tiered.Options[newUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	for rev := range int64(2) {
		if v, err := older.GetOrLoad(t.Context(), "k", value(oldUser{Rev: rev + 1})); err != nil || v.Rev != 1 {
			t.Fatalf("%+v, %v", v, err)
		}
		if v, err := newer.GetOrLoad(t.Context(), "k", value(newUser{Rev: rev + 1})); err != nil || v.Rev != 1 {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	if v, err := newer.Refresh(t.Context(), "k", func(ctx context.Context, _ *tiered.Entry[newUser]) (newUser, error) {
		_, err := older.Refresh(context.WithoutCancel(t.Context()), "k", value(oldUser{Rev: 2}))
		return newUser{Rev: 2}, err
	}); err != nil || v.Rev != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	for range 2 {
		if v, err := newer.GetOrLoad(t.Context(), "k", value(newUser{Rev: 3})); err != nil || v.Rev != 2 {
			t.Errorf("%+v, %v", v, err)
		}
		if v, err := older.GetOrLoad(t.Context(), "k", value(oldUser{Rev: 2})); err != nil || v.Rev != 2 {
			t.Errorf("%+v, %v", v, err)
		}
	}
}

// A load of one release is stored though another release's comes between: it replaces its own value, and nothing else.
func TestLoadsOfTwoReleasesAtATime(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, tc := range map[string]struct {
		before []int64 // of the other release
		result error
	}{
		"the other's first value":             {nil, nil},
		"another of the other's":              {[]int64{1}, nil},
		"not found, and the other's first":    {nil, tiered.ErrNotFound},
		"not found, and another of the other": {[]int64{1}, tiered.ErrNotFound},
	} {
		older := newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
		newer := newCache(t, tiered.Options[newUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
		if v, err := older.GetOrLoad(t.Context(), name, value(oldUser{Rev: 1})); err != nil || v.Rev != 1 {
			t.Fatalf("%s: %+v, %v", name, v, err)
		}
		for _, rev := range tc.before {
			_, _ = newer.GetOrLoad(t.Context(), name, value(newUser{Rev: rev}))
		}
		_, err := older.Refresh(t.Context(), name, func(context.Context, *tiered.Entry[oldUser]) (oldUser, error) {
			if _, err := newer.Refresh(context.WithoutCancel(t.Context()), name, value(newUser{Rev: 2})); err != nil {
				t.Error(err)
			}
			return oldUser{Rev: 2}, tc.result
		})
		if err != tc.result {
			t.Errorf("%s: %v", name, err)
		}
		for range 2 { // in the local tier, and in Redis
			if v, err := older.Get(t.Context(), name); tc.result == nil && (err != nil || v.Rev != 2) || tc.result != nil && err != tiered.ErrNotFound {
				t.Errorf("%s: %+v, %v", name, v, err)
			}
			if v, err := newer.Get(t.Context(), name); err != nil || v.Rev != 2 {
				t.Errorf("%s: the other's: %+v, %v", name, v, err)
			}
			older = newCache(t, tiered.Options[oldUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
			newer = newCache(t, tiered.Options[newUser]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
		}
	}
}
