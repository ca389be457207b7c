package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// newLimited makes a cache "test" with that many permits and a second tier of its own.
func newLimited(t *testing.T, s *redistest.Server, most int, p tiered.Policy) *tiered.Cache[string] {
	t.Helper()
	return newCache(t, tiered.Options[string]{Redis: newRedis(t, s, tiered.RedisOptions{}), MaxLoads: most, Policy: p})
}

// waits returns when that many loads wait for a permit.
func waits(t *testing.T, c *tiered.Cache[string], n int) {
	t.Helper()
	waitFor(t, func() bool { return c.Stats().LoadsWaiting == n })
}

// A thousand cold keys at once, which Redis doesn't have either: no more loads run than may, and those that wait have no leases.
func TestMaxLoadsWithRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	const most = 64
	c := newLimited(t, s, most, tiered.Policy{LoadTimeout: 5 * time.Minute}) // so that a busy machine isn't taken for an overload
	release := make(chan struct{})
	var running, peak atomic.Int32
	load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		<-release
		return e.Key, nil
	}
	var all []*call
	for i := range 1000 {
		all = append(all, begin(t, c, fmt.Sprint(i), load))
	}
	waitFor(t, func() bool { return running.Load() == most && c.Stats().LoadsWaiting == 1000-most })
	get := []any{"MGET"}
	for i := range 1000 {
		get = append(get, fmt.Sprint("tc:test:", i))
	}
	leases := 0
	for _, v := range s.Do(get...).([]any) {
		if v, _ := v.(string); isLease(v) {
			leases++
		}
	}
	if leases != most {
		t.Errorf("%d leases", leases)
	}
	close(release)
	for i, cl := range all {
		cl.gets(t, fmt.Sprint(i))
	}
	if s := c.Stats(); peak.Load() != most || s.Loads != 1000 || s.Shed != 0 || s.LoadsWaiting != 0 {
		t.Errorf("peak %d, %+v", peak.Load(), s)
	}
	waitFor(t, func() bool { return c.Stats().LoadsRunning == 0 })
}

// A process that waits for a permit has no lease, so another process loads the key; the first one's callers get that value at once, though
// there is still no permit. A batch gets it for this one key, and its other keys keep their turn.
func TestAnotherProcessLoadsMeanwhile(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	here, there := newLimited(t, s, 1, tiered.Policy{}), newLimited(t, s, 1, tiered.Policy{})
	end := occupy(t, here)
	single := begin(t, here, "k", noLoad[string](t))
	batch := begun(func() (string, error) {
		got, err := tiered.GetOrLoadMany(t.Context(), here, []string{"a", "b"}, self, many("here"))
		return fmt.Sprint(got), err
	})
	waits(t, here, 2)
	joined := begin(t, here, "a", noLoad[string](t))
	gets(t, there, "k", value("there"), "there")
	gets(t, there, "a", value("there"), "there")
	single.gets(t, "there")
	joined.gets(t, "there")
	waits(t, here, 1)
	end()
	batch.gets(t, "map[a:there b:here]")
}

// A value that is refreshed, and stays in Redis meanwhile, has no lease beside it while the process waits for a permit.
func TestRefreshWaitsWithoutALease(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour}
	here, there := newLimited(t, s, 1, p), newLimited(t, s, 1, p)
	set(t, there, "k", "old")
	set(t, there, "r", "old")
	if err := there.Expire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	end := occupy(t, here)
	refresh := begun(func() (string, error) { return here.Refresh(t.Context(), "r", value("refreshed")) })
	expired := begin(t, here, "k", noLoad[string](t))
	waits(t, here, 2)
	gets(t, there, "k", value("there"), "there")
	expired.gets(t, "there")
	end()
	refresh.gets(t, "refreshed")
}

// A call that waits for another process's load takes no permit, and isn't in the queue. When that load fails, it is.
func TestWaitForAnotherProcessTakesNoPermit(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	here, there := newLimited(t, s, 1, tiered.Policy{}), newLimited(t, s, 1, tiered.Policy{})
	fail := make(chan struct{})
	theirs := begin(t, there, "k", func(context.Context, *tiered.Entry[string]) (string, error) {
		<-fail
		return "", errDown
	})
	waitFor(t, func() bool { return leased(s, "k") })
	misses := here.Stats().Misses
	var order []string
	load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		order = append(order, e.Key) // one at a time
		return "here", nil
	}
	ours := begin(t, here, "k", load)
	gets(t, here, "other", value("v"), "v") // has the permit
	end := occupy(t, here)
	close(fail)
	if _, err := theirs.wait(t); !errors.Is(err, errDown) {
		t.Error(err)
	}
	waits(t, here, 1)
	later := begin(t, here, "later", load)
	waits(t, here, 2)
	end()
	ours.gets(t, "here")
	later.gets(t, "here")
	if order[0] != "k" {
		t.Errorf("loaded in the order %q: the load that came first left the queue", order)
	}
	if n := here.Stats().Misses - misses; n != 4 {
		t.Errorf("%d misses", n)
	}
}

// What a background batch hands to jobs of their own, because another process loads it, is still in the background: when that process
// fails, no more than a quarter of the permits is for these.
func TestPartsOfABackgroundBatch(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	stale := tiered.Policy{TTL: 50 * time.Millisecond, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour, Jitter: -1}
	theirs := stale
	theirs.StaleWhileRevalidate = 0
	here, there := newLimited(t, s, 8, stale), newLimited(t, s, 8, theirs)
	keys := []string{"ours", "1", "2", "3", "4", "5"}
	for _, key := range keys {
		set(t, here, key, "old")
	}
	for _, c := range []*tiered.Cache[string]{here, there} { // which know Redis's time to within a round trip
		waitFor(t, func() bool {
			e, err := c.Lookup(t.Context(), keys[len(keys)-1])
			return err == nil && e.State == tiered.Stale
		})
	}
	fail := make(map[string]chan struct{})
	var all []*call
	var loading atomic.Int32
	for _, key := range keys[1:] {
		down := make(chan struct{})
		fail[key] = down
		all = append(all, begin(t, there, key, func(context.Context, *tiered.Entry[string]) (string, error) {
			loading.Add(1)
			<-down
			return "", errDown
		}))
	}
	waitFor(t, func() bool { return int(loading.Load()) == len(keys)-1 })
	open := make(chan struct{})
	if _, err := tiered.GetOrLoadMany(t.Context(), here, keys, func(key string) string { return key }, func(_ context.Context, keys []string) (map[string]string, error) {
		<-open
		return nil, errDown
	}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return here.Stats().LoadsRunning == 1 })
	for i, key := range keys[1:] {
		close(fail[key])
		all[i].gets(t, "old")
		waitFor(t, func() bool { st := here.Stats(); return st.LoadsRunning+st.LoadsWaiting >= min(i+2, 3) }) // the rest waits as one
	}
	if n := here.Stats().LoadsRunning; n != 2 {
		t.Errorf("%d background loads run", n)
	}
	gets(t, here, "k", value("v"), "v")
	close(open)
	waitFor(t, func() bool { st := here.Stats(); return st.LoadsRunning+st.LoadsWaiting == 0 })
}

// A batch of which another process loads a part waits for its permit only with the rest.
func TestBatchWaitsForItsOwnPart(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	here, there := newLimited(t, s, 1, tiered.Policy{}), newLimited(t, s, 1, tiered.Policy{})
	end := occupy(t, here)
	g := newGate()
	theirs := g.begin(t, there, "theirs")
	batch := begun(func() (string, error) {
		got, err := tiered.GetOrLoadMany(t.Context(), here, []string{"ours", "theirs"}, self, many("here"))
		return fmt.Sprint(got), err
	})
	waits(t, here, 1)
	joined := begin(t, here, "theirs", noLoad[string](t))
	close(g.open)
	theirs.gets(t, "load 1")
	joined.gets(t, "load 1")
	waits(t, here, 1)
	end()
	batch.gets(t, "map[ours:here theirs:load 1]")
}

// What is shed gets the stale value that only Redis has; without one it gets ErrOverloaded. Values that Redis has are hits.
func TestShedWithRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := tiered.Policy{StaleIfError: time.Hour}
	there, here := newProcess(t, s, tiered.RedisOptions{}, p), newLimited(t, s, 1, p)
	set(t, there, "old", "stale")
	set(t, there, "fresh", "v")
	if err := there.Expire(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	end := occupy(t, here)
	var queued []*call
	for i := range 16 {
		queued = append(queued, begin(t, here, fmt.Sprint("queued", i), value("v")))
	}
	waits(t, here, 16)
	gets(t, here, "fresh", noLoad[string](t), "v")
	gets(t, here, "old", noLoad[string](t), "stale")
	if _, err := here.GetOrLoad(t.Context(), "k", noLoad[string](t)); !errors.Is(err, tiered.ErrOverloaded) {
		t.Error(err)
	}
	end()
	for _, cl := range queued {
		cl.gets(t, "v")
	}
}

// While Redis is down each process loads by itself, and no more than its limit.
func TestMaxLoadsWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newLimited(t, s, 4, tiered.Policy{})
	gets(t, c, "first", value("v"), "v")
	s.Kill()
	release := make(chan struct{})
	var all []*call
	for i := range 40 {
		all = append(all, begin(t, c, fmt.Sprint(i), func(context.Context, *tiered.Entry[string]) (string, error) {
			<-release
			return "v", nil
		}))
	}
	waits(t, c, 36)
	if s := c.Stats(); s.LoadsRunning != 4 {
		t.Errorf("%+v", s)
	}
	close(release)
	for _, cl := range all {
		cl.gets(t, "v")
	}
	s.Restart() // or the client's goroutines that dial would go on for a while
	waitFor(t, func() bool { return !c.Stats().BreakerOpen })
}
