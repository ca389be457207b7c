package inspection_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/inspection"
)

func inspect[T any](t *testing.T, c *tiered.Cache[T], key string) inspection.Key {
	t.Helper()
	k, err := c.Inspect(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// warm reads a key until the local tier serves it. The cache must have been made after the value was stored, by another cache:
// otherwise the report of the store may still arrive, and remove the copy.
func warm(t *testing.T, c *tiered.Cache[string], key string) {
	t.Helper()
	waitFor(t, func() bool {
		_, err := c.Get(t.Context(), key)
		k := inspect(t, c, key)
		return err == nil && k.Local != nil && k.Local.Problem == ""
	})
}

// expectOutcome checks the outcome, and that the reason has the words.
func expectOutcome(t *testing.T, k inspection.Key, want inspection.Outcome, words ...string) {
	t.Helper()
	if k.Outcome != want {
		t.Errorf("%s: %v, want %v: %s", k.Key, k.Outcome, want, k.Reason)
	}
	for _, w := range words {
		if !strings.Contains(k.Reason, w) {
			t.Errorf("%s: the reason %q doesn't say %q", k.Key, k.Reason, w)
		}
	}
}

// Each case brings a key into a state; the test then looks at it through the cache a, and checks that a read does what Inspect said.
func TestInspectSaysWhy(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	policy := tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour, Jitter: -1}
	type caches struct{ a, other *tiered.Cache[string] }
	for name, c := range map[string]struct {
		make    func(t *testing.T, c caches, key string)
		outcome inspection.Outcome
		words   []string
	}{
		"nothing": {func(*testing.T, caches, string) {}, inspection.Miss, []string{"nothing under the key", "no copy in its memory"}},
		"remote":  {func(t *testing.T, c caches, key string) { set(t, c.other, key, "v") }, inspection.Hit, []string{"Redis has a fresh value"}},
		"expired": {func(t *testing.T, c caches, key string) {
			set(t, c.a, key, "v")
			ok(t, c.a.Expire(t.Context(), key))
		}, inspection.Miss, []string{"expired before its time", "StaleIfError"}},
		"expired elsewhere": {func(t *testing.T, c caches, key string) {
			set(t, c.other, key, "v")
			ok(t, c.other.Expire(t.Context(), key))
		}, inspection.Miss, []string{"expired before its time"}},
		"tag": {func(t *testing.T, c caches, key string) {
			ok(t, c.a.Set(t.Context(), key, "v", "kept", "team:7"))
			ok(t, c.a.InvalidateTags(t.Context(), "team:7"))
		}, inspection.Miss, []string{`tag "team:7" was invalidated (InvalidateTags)`}},
		"expired tag": {func(t *testing.T, c caches, key string) {
			ok(t, c.a.Set(t.Context(), key, "v", "kept", "team:8"))
			ok(t, c.a.ExpireTags(t.Context(), "team:8"))
		}, inspection.Miss, []string{`tag "team:8" was expired (ExpireTags)`, "StaleIfError"}},
		"lost tag": {func(t *testing.T, c caches, key string) {
			ok(t, c.other.Set(t.Context(), key, "v", "team:9"))
			s.Do("del", "tc:test!tag:team:9")
		}, inspection.Miss, []string{`no record of its tag "team:9"`}},
		"foreign":          {func(_ *testing.T, _ caches, key string) { s.Do("set", "tc:test:"+key, `"v"`) }, inspection.Hit, nil},
		"foreign nonsense": {func(_ *testing.T, _ caches, key string) { s.Do("set", "tc:test:"+key, "v") }, inspection.Miss, []string{"another program", "can't be decoded"}},
		"damaged":          {func(_ *testing.T, _ caches, key string) { s.Do("set", "tc:test:"+key, "\xc1tc\x01none") }, inspection.Miss, []string{"damaged"}},
		"a list":           {func(_ *testing.T, _ caches, key string) { s.Do("lpush", "tc:test:"+key, "v") }, inspection.Miss, []string{"WRONGTYPE"}},
	} {
		t.Run(name, func(t *testing.T) {
			key := strings.ReplaceAll(name, " ", "-")
			pair := caches{newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), tiered.RedisOptions{}), Policy: policy}),
				newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), tiered.RedisOptions{}), Policy: policy})}
			c.make(t, pair, key)
			k := inspect(t, pair.a, key)
			expectOutcome(t, k, c.outcome, c.words...)
			loads := 0
			if _, err := pair.a.GetOrLoad(t.Context(), key, func(context.Context, *tiered.Entry[string]) (string, error) {
				loads++
				return "v", nil
			}); err != nil || (loads > 0) != (k.Outcome == inspection.Miss) {
				t.Errorf("a read: %d loads, %v; Inspect said %v: %s", loads, err, k.Outcome, k.Reason)
			}
		})
	}
}

func TestInspectLocalCopy(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := tiered.RedisOptions{}
	writer := newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), o)})
	ok(t, writer.Set(t.Context(), "k", "v", "b", "a"))
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), o)})
	warm(t, c, "k")
	k := inspect(t, c, "k")
	expectOutcome(t, k, inspection.Hit, "fresh copy")
	if l := k.Local; l == nil || l.Value != "v" || l.Problem != "" || l.Cost != 1 || l.LeavesIn <= 0 || !slices.Equal(l.Tags, []string{"a", "b"}) {
		t.Errorf("the local copy: %+v", l)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestInspectClearedAndReleases(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newRedis(t, s.Client(t), tiered.RedisOptions{})
	c := newCache(t, tiered.Options[string]{Redis: r, Version: "2"})
	old := newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), tiered.RedisOptions{}), Version: "1"})
	set(t, old, "k", "v")
	k := inspect(t, c, "k")
	expectOutcome(t, k, inspection.Miss, "values of other releases")
	if f := k.Remote.Frames; len(f) != 1 || f[0].Own || f[0].Codec != "json" || f[0].Value != nil {
		t.Errorf("the other release's frame: %+v", f)
	}
	if _, err := c.GetOrLoad(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		e.Tags = []string{"b", "a"}
		return "new", nil
	}); err != nil {
		t.Fatal(err)
	}
	k = inspect(t, c, "k")
	f := k.Remote.Frames
	if len(f) != 2 || !f[0].Own || f[0].Value != "new" || !slices.Equal(f[0].Tags, []string{"a", "b"}) || f[0].FreshFor <= 0 || k.Remote.TTL <= 0 {
		t.Errorf("both frames: %+v", f)
	}
	ok(t, c.Clear(t.Context()))
	expectOutcome(t, inspect(t, c, "k"), inspection.Miss, "Clear")
	inProcess := newCache(t, tiered.Options[string]{})
	set(t, inProcess, "k", "v")
	expectOutcome(t, inspect(t, inProcess, "k"), inspection.Hit, "fresh copy")
	ok(t, inProcess.Clear(t.Context()))
	expectOutcome(t, inspect(t, inProcess, "k"), inspection.Miss, "cleared")
}

func TestInspectLeaseAndFailure(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	policy := tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour, RetryAfter: time.Hour}
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), tiered.RedisOptions{}), Policy: policy})
	other := newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), tiered.RedisOptions{}), Policy: policy})
	loading, open := make(chan struct{}), make(chan struct{})
	loaded := make(chan error, 1)
	go func() {
		_, err := other.GetOrLoad(context.WithoutCancel(t.Context()), "k", func(context.Context, *tiered.Entry[string]) (string, error) {
			close(loading)
			<-open
			return "v", nil
		})
		loaded <- err
	}()
	<-loading
	k := inspect(t, c, "k")
	expectOutcome(t, k, inspection.Wait, "lease ends in")
	if l := k.Remote.Lease; l == nil || l.Beside || l.EndsIn <= 0 {
		t.Errorf("the lease: %+v", l)
	}
	if !inspect(t, other, "k").Loading {
		t.Error("the loading process says that it loads nothing")
	}
	close(open)
	ok(t, <-loaded)

	c.Events()
	ok(t, c.Expire(t.Context(), "k"))
	broken := errors.New("the source is down")
	waitFor(t, func() bool { // a report of the process's own Expire or lease lets the next call load again
		v, err := c.GetOrLoad(t.Context(), "k", func(context.Context, *tiered.Entry[string]) (string, error) { return "", broken })
		k = inspect(t, c, "k")
		return v == "v" && err == nil && k.Failure != nil
	})
	expectOutcome(t, k, inspection.Stale, "the source is down")
	if !errors.Is(k.Failure, broken) || k.RetryIn <= 59*time.Minute {
		t.Errorf("%v, again in %v", k.Failure, k.RetryIn)
	}
	var kinds []inspection.Kind
	for _, e := range k.Events {
		kinds = append(kinds, e.Kind)
	}
	if len(kinds) < 2 || !slices.Equal(kinds[:2], []inspection.Kind{inspection.Failed, inspection.Missed}) || !strings.Contains(k.Events[1].Reason, "expired") {
		t.Errorf("events %+v", k.Events)
	}
}

func TestInspectWithoutRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	set(t, newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), tiered.RedisOptions{})}), "k", "v")
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), tiered.RedisOptions{Timeout: 200 * time.Millisecond})})
	warm(t, c, "k")
	s.Kill()
	waitFor(t, func() bool { return len(c.Servers()) == 1 && c.Servers()[0].Err != nil && !c.Servers()[0].Proved })
	k := inspect(t, c, "k")
	expectOutcome(t, k, inspection.Hit)
	if k.Remote.Err == nil {
		t.Error("no error of Redis")
	}
	if err := c.Delete(t.Context(), "k"); !errors.Is(err, tiered.ErrQueued) {
		t.Fatal(err)
	}
	if k = inspect(t, c, "k"); !k.Queued {
		t.Error("the queued write isn't reported")
	} else {
		expectOutcome(t, k, inspection.Miss, "queued")
	}
}

func TestInspectChangesNothing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), tiered.RedisOptions{})})
	other := newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), tiered.RedisOptions{})})
	ok(t, other.Set(t.Context(), "k", "v", "tag"))
	before, stats := s.Do("dump", "tc:test:k"), c.Stats()
	for range 3 {
		inspect(t, c, "k")
		if _, err := c.InspectTag(t.Context(), "unknown"); err != nil {
			t.Error(err)
		}
	}
	if after := s.Do("dump", "tc:test:k"); after != before {
		t.Error("the value in Redis was changed")
	}
	if n := s.Do("exists", "tc:test!tag:unknown"); n != int64(0) {
		t.Error("a record of a tag was made")
	}
	after := c.Stats()
	stats.Invalidations, after.Invalidations = 0, 0
	if after != stats {
		t.Errorf("stats were %+v, and are %+v", stats, after)
	}
	if inspect(t, c, "k").Local != nil {
		t.Error("the local tier was filled")
	}
}

func TestInspectTag(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	withRedis := func() *tiered.Cache[string] {
		return newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), tiered.RedisOptions{}), Policy: tiered.Policy{TTL: time.Hour}})
	}
	alone := newCache(t, tiered.Options[string]{Policy: tiered.Policy{TTL: time.Hour}})
	for name, c := range map[string]struct {
		writer *tiered.Cache[string]
		reader func() *tiered.Cache[string]
	}{
		"redis":      {withRedis(), withRedis},
		"in-process": {alone, func() *tiered.Cache[string] { return alone }},
	} {
		ok(t, c.writer.Set(t.Context(), "k1", "v", "a"))
		ok(t, c.writer.Set(t.Context(), "k2", "v", "a", "b"))
		r := c.reader()
		warm(t, r, "k1")
		warm(t, r, "k2")
		waitFor(t, func() bool { y, _ := r.InspectTag(t.Context(), "a"); return len(y.Local) == 2 })
		ok(t, r.InvalidateTags(t.Context(), "b"))
		b, err := r.InspectTag(t.Context(), "b")
		if a, errA := r.InspectTag(t.Context(), "a"); errA != nil || err != nil || !a.Known || name == "redis" && (!b.Known || b.Invalidations <= a.Invalidations) || b.Count != 1 {
			t.Errorf("%s: a %+v, b %+v, %v %v", name, a, b, errA, err)
		}
		if none, err := r.InspectTag(t.Context(), "none"); err != nil || none.Known || len(none.Local) > 0 {
			t.Errorf("%s: %+v, %v", name, none, err)
		}
		tags, err := r.Tags(t.Context(), "", "", 10)
		if err != nil || !slices.Contains(tags.Names, "a") || tags.Next != "" {
			t.Errorf("%s: %+v, %v", name, tags, err)
		}
	}
}

// allKeys returns the keys of all pages.
func allKeys(t *testing.T, c *tiered.Cache[string], prefix string, n int) (all []string) {
	t.Helper()
	for cursor, pages := "", 0; ; pages++ {
		p, err := c.Keys(t.Context(), prefix, cursor, n)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Names) > n+1000 || pages > 1000 {
			t.Fatalf("page %d has %d keys", pages, len(p.Names))
		}
		all = append(all, p.Names...)
		if cursor = p.Next; cursor == "" {
			slices.Sort(all)
			return slices.Compact(all)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	single, cluster := redistest.Start(t), redistest.StartCluster(t)
	o := tiered.RedisOptions{Timeout: 5 * time.Second}
	for name, c := range map[string]*tiered.Cache[string]{
		"single":     newCache(t, tiered.Options[string]{Redis: newRedis(t, single.Client(t), o)}),
		"cluster":    newCache(t, tiered.Options[string]{Redis: newRedis(t, cluster.Client(t), o)}),
		"in-process": newCache(t, tiered.Options[string]{}),
	} {
		values, want := make(map[string]string), []string(nil)
		for i := range 3000 {
			values[fmt.Sprintf("many:%04d", i)] = "v"
		}
		for _, key := range []string{"a*b", "a*c", "ab", `a\b`, "a[1]", "a?", "<b>&\x00"} {
			values[key] = "v"
		}
		waitFor(t, func() bool { return c.SetMany(t.Context(), values) == nil }) // a Cluster that begins may be down at first
		for key := range values {
			want = append(want, key)
		}
		slices.Sort(want)
		if name == "in-process" {
			waitFor(t, func() bool { return len(allKeys(t, c, "", 1000)) == len(want) })
		}
		if got := allKeys(t, c, "", 100); !slices.Equal(got, want) {
			t.Errorf("%s: %d keys of %d", name, len(got), len(want))
		}
		for prefix, want := range map[string][]string{"a*": {"a*b", "a*c"}, `a\`: {`a\b`}, "a[": {"a[1]"}, "a?": {"a?"}, "<": {"<b>&\x00"}, "none": nil} {
			if got := allKeys(t, c, prefix, 10); !slices.Equal(got, want) {
				t.Errorf("%s: with %q: %q", name, prefix, got)
			}
		}
		for _, n := range []int{0, 1001} {
			if _, err := c.Keys(t.Context(), "", "", n); err == nil {
				t.Errorf("%s: a page of %d", name, n)
			}
		}
	}
	for _, c := range []*tiered.Cache[string]{newCache(t, tiered.Options[string]{Redis: newRedis(t, single.Client(t), o)}), newCache(t, tiered.Options[string]{})} {
		for _, cursor := range []string{"nonsense", "-1:", "256:a", "1", "x:a"} {
			if _, err := c.Keys(t.Context(), "", cursor, 10); err == nil {
				t.Errorf("%q isn't a cursor", cursor)
			}
		}
	}
}

func TestHotKeys(t *testing.T) {
	t.Parallel()
	c := newCache(t, tiered.Options[string]{})
	for i := range 50 {
		set(t, c, fmt.Sprint(i), "v")
	}
	if hot := c.HotKeys(3); len(hot) != 0 {
		t.Errorf("hot before any hit: %+v", hot)
	}
	waitFor(t, func() bool {
		for range 1000 {
			for _, key := range []string{"7", "7", "7", "7", "8", "8", "9"} {
				if _, err := c.Get(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
		}
		hot := c.HotKeys(3)
		return len(hot) == 3 && hot[0].Key == "7" && hot[1].Key == "8" && hot[2].Key == "9" && hot[0].PerSecond > 0
	})
	if hot := c.HotKeys(1); len(hot) != 1 || hot[0].Share <= 0 || hot[0].Share > 1 { // TestSample of the local tier measures how exact it is
		t.Errorf("%+v, want one key", hot)
	}
}

func TestServersProve(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s.Client(t), tiered.RedisOptions{})})
	waitFor(t, func() bool { all := c.Servers(); return len(all) == 1 && all[0].Proved })
	if p := c.Servers()[0]; p.Addr != s.Addr() || !p.Watched || p.ProvedFor <= 0 || p.Proof < 0 || p.Err != nil {
		t.Errorf("%+v", p)
	}
	if in := newCache(t, tiered.Options[string]{}); in.Servers() != nil || in.Name() != "test" {
		t.Error("servers of an in-process cache")
	}
}
