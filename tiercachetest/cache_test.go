package tiercachetest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/tiercachetest"
	"github.com/tiercache/tiercache/tiered"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type user struct {
	Name  string
	Roles []string
}

func loadUser(_ context.Context, e *tiered.Entry[*user]) (*user, error) {
	return &user{Name: e.Key, Roles: []string{"reader"}}, nil
}

func TestLoads(t *testing.T) {
	t.Parallel()
	var traced []string
	c := tiercachetest.New(t, tiered.Options[*user]{
		Trace: &tiered.Trace{LoadDone: func(_ context.Context, keys []string, _ time.Duration, _ error) { traced = append(traced, keys...) }},
	})
	ctx := t.Context()
	for range 3 {
		if _, err := c.GetOrLoad(ctx, "a", loadUser); err != nil {
			t.Fatal(err)
		}
		if n := c.Loads("a"); n != 1 {
			t.Errorf("%d loads", n)
		}
	}
	failed := errors.New("the source failed")
	for n := range 2 {
		_, err := c.GetOrLoad(ctx, "b", func(context.Context, *tiered.Entry[*user]) (*user, error) { return nil, failed })
		if !errors.Is(err, failed) || c.Loads("b") != n+1 {
			t.Errorf("%v, %d loads", err, c.Loads("b"))
		}
	}
	_, err := tiered.GetOrLoadMany(ctx, c.Cache, []string{"a", "c", "d"}, func(key string) string { return key },
		func(context.Context, []string) (map[string]*user, error) { return nil, nil })
	if got := fmt.Sprint(c.Loads("a"), c.Loads("c"), c.Loads("d"), c.Loads("e")); got != "1 1 1 0" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if got := strings.Join(traced, ""); got != "abbcd" && got != "abbdc" {
		t.Errorf("the options' own trace was told of %q", got)
	}
}

// In a bubble a TTL of an hour takes no time, and everything that the cache started ends with the test.
func TestInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := tiercachetest.New(t, tiered.Options[*user]{Policy: tiered.Policy{TTL: time.Hour}})
		for n := range 3 {
			if _, err := c.GetOrLoad(t.Context(), "a", loadUser); err != nil || c.Loads("a") != n+1 {
				t.Errorf("%v, %d loads", err, c.Loads("a"))
			}
			time.Sleep(2 * time.Hour)
		}
	})
}

func TestNoOp(t *testing.T) {
	t.Parallel()
	c := tiercachetest.NewNoOp[string](t)
	loads := 0
	for n := range 3 {
		v, err := c.GetOrLoad(t.Context(), "a", func(context.Context, *tiered.Entry[string]) (string, error) {
			loads++
			return fmt.Sprint("load ", loads), nil
		})
		if err != nil || v != fmt.Sprint("load ", n+1) {
			t.Errorf("%q, %v", v, err)
		}
	}
	if err := c.Set(t.Context(), "a", "set"); err != nil {
		t.Error(err)
	}
	if v, err := c.Get(t.Context(), "a"); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("%q, %v", v, err)
	}
}

// recorder is a testing.TB of its own: its errors aren't the test's, and its cleanups run when the test says so.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	errors   []string
	cleanups []func()
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

// record runs a test and its cleanups, and returns its errors.
func record(t *testing.T, test func(testing.TB)) []string {
	r := &recorder{TB: t}
	func() {
		defer func() {
			if thrown := recover(); thrown != nil && thrown != any(r) {
				panic(thrown)
			}
		}()
		test(r)
	}()
	for len(r.cleanups) > 0 {
		last := len(r.cleanups) - 1
		f := r.cleanups[last]
		r.cleanups = r.cleanups[:last]
		f()
	}
	return r.errors
}

func TestModifiedValues(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	get := func(t testing.TB, c *tiered.Cache[*user]) *user {
		u, err := c.GetOrLoad(ctx, "a", loadUser)
		if err != nil {
			t.Fatalf("%v", err)
		}
		return u
	}
	shared := func(t testing.TB) *tiered.Cache[*user] {
		return tiercachetest.New(t, tiered.Options[*user]{}).Cache
	}
	for name, c := range map[string]struct {
		test     func(t testing.TB)
		modified bool
	}{
		"not":        {func(t testing.TB) { get(t, shared(t)) }, false},
		"a field":    {func(t testing.TB) { get(t, shared(t)).Name = "other" }, true},
		"an element": {func(t testing.TB) { get(t, shared(t)).Roles[0] = "writer" }, true},
		"a set value": {func(t testing.TB) {
			u := &user{Name: "a"}
			if err := shared(t).Set(ctx, "a", u); err != nil {
				t.Errorf("%v", err)
			}
			u.Name = "other"
		}, true},
		"bytes": {func(t testing.TB) {
			b := []byte("value")
			if err := tiercachetest.New(t, tiered.Options[[]byte]{}).Set(ctx, "a", b); err != nil {
				t.Errorf("%v", err)
			}
			b[0] = 'V'
		}, true},
		"a copy": {func(t testing.TB) {
			u := *get(t, shared(t))
			u.Name = "other"
		}, false},
		"a struct without pointers": {func(t testing.TB) {
			v, err := tiercachetest.New(t, tiered.Options[struct{ N int }]{}).GetOrLoad(ctx, "a",
				func(context.Context, *tiered.Entry[struct{ N int }]) (v struct{ N int }, err error) { return v, nil })
			v.N++
			if err != nil {
				t.Errorf("%v", err)
			}
		}, false},
		"a clone": {func(t testing.TB) {
			clone := func(u *user) *user { return &user{u.Name, append([]string(nil), u.Roles...)} }
			get(t, tiercachetest.New(t, tiered.Options[*user]{Clone: clone}).Cache).Name = "other"
		}, false},
		"with a cost": {func(t testing.TB) {
			cost := func(u *user) int64 { return int64(len(u.Name)) }
			get(t, tiercachetest.New(t, tiered.Options[*user]{MaxCost: 100, Cost: cost}).Cache).Name = "other"
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			errs := record(t, c.test)
			if modified := len(errs) == 1 && strings.Contains(errs[0], "was modified"); modified != c.modified || len(errs) > 1 {
				t.Errorf("%q", errs)
			}
		})
	}
}

func TestWrongOptions(t *testing.T) {
	t.Parallel()
	errs := record(t, func(t testing.TB) { tiercachetest.New(t, tiered.Options[string]{MaxCost: -1}) })
	if len(errs) != 1 || !strings.Contains(errs[0], "MaxCost") {
		t.Errorf("%q", errs)
	}
}
