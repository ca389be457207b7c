package invalidation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
)

func TestAskedNames(t *testing.T) {
	var a askedNames
	if missing := a.add([]string{"x"}, 1); len(missing) > 0 || a.confirmed() != nil || !a.confirmed().Has("x") {
		t.Errorf("a connection that reports all caches asks for %q", missing)
	}
	expect := func(names ...string) {
		t.Helper()
		if got := slices.Sorted(maps.Keys(a.confirmed())); !slices.Equal(got, names) {
			t.Errorf("confirmed are %q, want %q", got, names)
		}
	}
	a.begin(nil)
	expect()
	if a.confirmed().Has("a") {
		t.Error("a connection without names reports a cache")
	}
	a.begin([]string{"a", "b"})
	expect("a", "b")
	if missing := a.add([]string{"b", "c", "a"}, 5); !slices.Equal(missing, []string{"c"}) {
		t.Errorf("missing are %q", missing)
	}
	if missing := a.add([]string{"c", "d"}, 7); !slices.Equal(missing, []string{"d"}) {
		t.Errorf("then %q", missing)
	}
	if missing := a.add([]string{"b"}, 8); len(missing) > 0 { // c and d were closed
		t.Errorf("then %q", missing)
	}
	if names := a.answered(4); names != nil || len(a.pending) == 0 {
		t.Errorf("an earlier PONG confirms %q", names)
	}
	expect("a", "b")
	if names := a.answered(6); !slices.Equal(names, []string{"c"}) {
		t.Errorf("a later PONG confirms %q", names)
	}
	expect("a", "b", "c")
	if names := a.answered(7); !slices.Equal(names, []string{"d"}) || len(a.pending) > 0 {
		t.Errorf("the last PONG confirms %q", names)
	}
	expect("a", "b", "c", "d")
}

// prefixes returns how many prefixes the server's clients track.
func prefixes(server *redistest.Server) int { return server.Number("stats", "tracking_total_prefixes") }

// follow opens caches.
func (f fixture) follow(names ...string) {
	f.changes.mu.Lock()
	f.changes.more = append(f.changes.more, names...)
	f.changes.mu.Unlock()
	for _, name := range names {
		f.Follow(name)
	}
}

// A cache that is opened later is reported on the connection that is there, and ends no validity.
func TestFollow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), quick())
	v, ids, n := f.waitValid(t), trackers(server), f.changes.interruptions()
	if got := prefixes(server); got != 3 {
		t.Errorf("%d prefixes of one name and the canaries", got)
	}
	server.Do("SET", "tc:d:k", "1")
	f.follow("d", "cc", "c-")
	f.Follow("d") // a second cache of the name
	if names := f.only.Reported(); !names.Has("c") || !names.Has("d") || !names.Has("cc") || !names.Has("c-") || names.Has("e") {
		t.Errorf("reported are %v", names)
	}
	for _, key := range []string{"c:k", "d:k2", "d!tag:x", "cc:k", "c-!era{c-}"} {
		server.Do("SET", "tc:"+key, "1")
		rest := strings.TrimPrefix(key, "c")
		if !strings.HasPrefix(key, "c:") {
			rest = key
		}
		observe.Until(t, "the report of "+key, func() bool { return f.changes.has(rest) })
	}
	if f.changes.has("d:k") {
		t.Error("a change was reported that was made before the cache was opened")
	}
	if f.only.Validity() != v || v.Ended() || f.changes.interruptions() != n || !slices.Equal(trackers(server), ids) {
		t.Error("the other caches were disturbed")
	}
	if got := prefixes(server); got != 9 {
		t.Errorf("%d prefixes of four names and the canaries", got)
	}
	f.changes.mu.Lock()
	defer f.changes.mu.Unlock()
	if got := slices.Sorted(slices.Values(slices.Concat(f.changes.follows...))); !slices.Equal(got, []string{"c-", "cc", "d"}) {
		t.Errorf("the caches were told of %q", got)
	}
}

func TestFollowAtOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), quick())
	f.waitValid(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			name := fmt.Sprint("n", i)
			f.follow(name)
			if !f.only.Reported().Has(name) {
				t.Errorf("%s isn't reported", name)
			}
			server.Do("SET", "tc:"+name+":k", "1")
			observe.Until(t, "the report", func() bool { return f.changes.has(name + ":k") })
		})
	}
	all.Wait()
}

// A new connection reports the caches that there are, and not those that were closed.
func TestNamesOfANewConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), quick())
	f.waitValid(t)
	f.follow("d", "e")
	f.changes.mu.Lock()
	f.changes.more = []string{"e"}
	f.changes.mu.Unlock()
	before := f.waitValid(t)
	server.Do("CLIENT", "KILL", "ID", trackers(server)[0])
	observe.Until(t, "the old validity ends", func() bool { return before.Ended() })
	f.waitValid(t)
	if names := f.only.Reported(); !maps.Equal(names, coherence.Names{"c": true, "e": true}) {
		t.Errorf("reported are %v", names)
	}
	observe.Until(t, "the prefixes of two names and the canaries", func() bool { return prefixes(server) == 5 })
	server.Do("SET", "tc:e:k", "1")
	observe.Until(t, "the report", func() bool { return f.changes.has("e:k") })
}

// A cache may be opened at any time in the life of a connection.
func TestFollowAsTheConnectionEnds(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), quick())
	f.waitValid(t)
	var all sync.WaitGroup
	for i := range 30 {
		name := fmt.Sprint("n", i)
		all.Go(func() { f.follow(name) })
		if i%3 > 0 {
			server.Do("CLIENT", "KILL", "TYPE", "pubsub")
		}
		all.Wait()
		observe.Until(t, "it is reported", func() bool { return f.only.Reported().Has(name) })
	}
	for i := range 30 {
		observe.Until(t, "the report", func() bool {
			server.Do("SET", fmt.Sprint("tc:n", i, ":k"), "1") // again, since the last connection may not have noticed its end
			return f.changes.has(fmt.Sprint("n", i, ":k"))
		})
	}
}

func TestFollowInACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	client := c.Client(t)
	f := openFixture(t, client, shortLived())
	f.waitAllValid(t, c)
	everywhere := func(keys string) {
		t.Helper()
		for i := range 30 {
			key := fmt.Sprint("d:", keys, i)
			observe.Until(t, "a write", func() bool { return client.Set(t.Context(), "tc:"+key, 1, 0).Err() == nil })
			observe.Until(t, "the report of "+key, func() bool { return f.changes.has(key) })
		}
	}
	f.follow("d")
	for _, s := range f.all() {
		if !s.Reported().Has("d") {
			t.Errorf("%s doesn't report it", s.status.where())
		}
	}
	everywhere("first")
	c.Failover()
	f.waitAllValid(t, c)
	everywhere("after a failover")
}

// With PubSub all is on one channel.
func TestFollowOfOtherModes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, mode := range []Mode{PubSub, None} {
		o := quick()
		o.Invalidation = mode
		f := openFixture(t, server.Client(t), o)
		f.follow("d")
		if !f.Nodes.AnyFeed().Reported().Has("d") {
			t.Errorf("mode %d: it isn't reported", mode)
		}
	}
}
