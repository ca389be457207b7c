package tiered

import (
	"context"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// A caller that finds only after it began a flight that Redis doesn't answer gets an unverified value, which is counted.
func TestServedUnverifiedInAFlight(t *testing.T) {
	t.Parallel()
	c := openOn(t, redistest.Start(t).Client(t), Policy{})
	hash := c.hash("k")
	mine := &coherence.Deps{Validity: coherence.NewValidity(mono.Now().Add(time.Hour)), Feed: new(coherence.Feed)} // for which no changes are reported
	it := c.local.NewItem("k", hash, record.NewFor(&c.view, "v", false, 0, coherence.Stamp{}), *mine, mono.Now().Add(time.Hour))
	c.local.Set(hash, it)
	if got := c.local.Get("k", hash, mono.Now(), nil); got == nil {
		t.Fatal("no local hit")
	}
	before := c.Stats().Unverified
	f, _ := c.keys.Join(t.Context(), "k", hash, inflight.ForRead, &joinOptions[string]{Owner: new(inflight.Owner)})
	defer c.keys.Leave(f)
	it.Validity.End()
	if r := c.localRecord(f, mono.Now()); r != nil {
		t.Errorf("served %q though Redis may answer", r.Value)
	}
	it.Feed.Unreachable.Store(true)
	if r := c.localRecord(f, mono.Now()); r == nil || c.Stats().Unverified != before+1 {
		t.Errorf("%v, %d served unverified", r, c.Stats().Unverified-before)
	}
}

// Lookup counts an unverified value that it serves because Redis doesn't answer this one read.
func TestServedUnverifiedByLookup(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if err := openOn(t, server.Client(t), Policy{}).Set(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	c := openWithin(t, server.Client(t), Policy{}, time.Second)
	caughtUp(t, c) // from now on nothing changes what it reads
	var it *local.Item[string]
	observe.Until(t, "the value is local", func() bool {
		_, err := c.Lookup(t.Context(), "k")
		it = c.local.Get("k", c.hash("k"), mono.Now(), nil)
		return err == nil && it != nil
	})
	server.Freeze()
	defer server.Thaw()
	lapsed := *it.Deps
	lapsed.Validity = coherence.NewValidity(mono.Now())
	c.local.Set(c.hash("k"), it.WithDeps(&lapsed))
	before := c.Stats().Unverified
	e, err := c.Lookup(t.Context(), "k")
	if n := c.Stats().Unverified - before; err != nil || e.Value != "v" || e.Tier != Local || n != 1 {
		t.Errorf("%+v, %v, %d served unverified", e, err, n)
	}
}

// A value that was loaded, or asked for, long before a call joins its flight isn't for the call: what others did since may not have been
// reported yet. A process that was stopped between the reply and the end of a flight has such flights.
func TestOutlivedFlight(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c, other := openOn(t, server.Client(t), Policy{}), openOn(t, server.Client(t), Policy{})
	for _, key := range []string{"local", "remote", "read by a job"} {
		if err := other.Set(t.Context(), key, "v"); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp(t, c)
	var it *local.Item[string]
	observe.Until(t, "the value is local", func() bool {
		_, err := c.Get(t.Context(), "local")
		it = c.local.Get("local", c.hash("local"), mono.Now(), nil)
		return err == nil && it != nil
	})
	unverified := *it.Deps
	unverified.Validity, unverified.Feed = coherence.NewValidity(mono.Now()), &coherence.Feed{}
	unverified.Feed.Unreachable.Store(true)

	load := c.loading(func(context.Context, *Entry[string]) (string, error) { return "v", nil })
	look := func(f *flight[string]) { c.lookup(t.Context(), []*flight[string]{f}) }
	lookUnverified := func(f *flight[string]) {
		c.local.Set(c.hash("local"), it.WithDeps(&unverified))
		f.Start = mono.Now()
		look(f)
	}
	work := func(f *flight[string]) {
		c.startJob(&job[string]{caller: t.Context(), owner: f.Owner, flights: []*flight[string]{f}, load: load})
	}
	maxAge, now := c.remote.Conn.MaxAge(), mono.Now()
	longAgo := now.Add(-time.Hour)
	for _, test := range []struct {
		key        string
		find       func(f *flight[string])
		from, till mono.Instant // when a call could join it at the latest
	}{
		{"local", look, it.ValidUntil(), now.Add(time.Hour)}, // what it depends on is extended
		{"remote", look, longAgo.Add(maxAge), longAgo.Add(maxAge)},
		{"read by a job", work, now.Add(maxAge), now.Add(time.Hour)},
		{"loaded", work, now.Add(maxAge), now.Add(time.Hour)},
		{"local", lookUnverified, 0, 0},
	} {
		options := &joinOptions[string]{Owner: new(inflight.Owner), Start: longAgo, Limit: time.Minute}
		f, _ := c.keys.Join(t.Context(), test.key, c.hash(test.key), inflight.ForRead, options)
		test.find(f)
		observe.Until(t, "the flight is finished", f.Finished)
		current := f.State.current
		if f.Record == nil || current < test.from || current > test.till {
			t.Errorf("%s: %v, %v; calls may join until %d, not from %d to %d", test.key, f.Record, f.Err, current, test.from, test.till)
			continue
		}
		for at, want := range map[mono.Instant]bool{current: true, current + 1: current == 0} {
			if got := c.settles(&joined[string]{flight: f, at: at}, f.Record, false, true); got != want {
				t.Errorf("%s: a call that joined it %v later takes it: %v", test.key, at.Since(current), got)
			}
		}
		if !c.settles(&joined[string]{flight: f, at: current + 1, mine: true}, f.Record, false, true) {
			t.Errorf("%s: the call that began it doesn't take it", test.key)
		}
	}
}

// caughtUp waits until the cache has heard of what it wrote itself, of the new epoch too, which would otherwise end its reads.
func caughtUp(t *testing.T, c *Cache[string]) {
	t.Helper()
	const key = "marker"
	if err := c.Set(t.Context(), key, ""); err != nil {
		t.Fatal(err)
	}
	if err := c.remote.Conn.Client.Del(t.Context(), c.remote.Keys.Values+key).Err(); err != nil {
		t.Fatal(err)
	}
	observe.Until(t, "its own writes are reported", func() bool {
		it := c.local.Get(key, c.hash(key), mono.Now(), nil)
		return it == nil
	})
	if _, err := c.tags.Position(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Values that a batch has read from one server don't wait for a late server, and don't keep the batch's replies in memory.
func TestLateServerInABatch(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	h := &stuckKey{key: "tc:test:late", there: make(chan struct{}, 10), release: make(chan struct{})}
	client.AddHook(h)
	defer close(h.release)
	c := openOn(t, client, Policy{})
	keys := []string{"a", "late", "b"}
	for _, key := range keys {
		if err := c.Set(t.Context(), key, key); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp(t, c)
	fl := joinOptions[string]{Owner: new(inflight.Owner), Size: len(keys)}
	flights := make([]*flight[string], len(keys))
	for i, key := range keys {
		flights[i], _ = c.keys.Join(t.Context(), key, c.hash(key), inflight.ForRead, &fl)
	}
	for i, f := range flights {
		f.State.started = c.remote.Conn.Read(t.Context(), c.remote.Keys.Value(f.Key), nil, mono.Now())
		if i == 1 {
			<-h.there // otherwise the next would be read with it in one batch
		} else {
			f.State.started.Await(t.Context(), nil)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	g := lookup[string]{cache: c, ctx: over}
	g.awaitRemote(flights)
	g.finishFound()
	if len(g.rest) != 1 || g.rest[0] != flights[1] {
		t.Errorf("%d flights are left to the trip", len(g.rest))
	}
	for _, f := range g.rest {
		c.finishFlight(f, nil, errGoexit)
	}
	for i, f := range []*flight[string]{flights[0], flights[2]} {
		if f.Record == nil || f.Record.Value != []string{"a", "b"}[i] {
			t.Errorf("%v", f.Record)
		}
		if f.State.started.Read != nil {
			t.Errorf("%s: all that was read with it is kept", f.Key)
		}
	}
	noGuards(t, c)
}

// decoding is a codec that reports each value that it is about to decode.
type decoding struct {
	codec.Codec
	of func(b string)
}

func (d decoding) Unmarshal(b []byte, v any) error {
	d.of(string(b))
	return d.Codec.Unmarshal(b, v)
}

// A caller that waits for one key of a batch doesn't wait until all others are decoded, if that takes long.
func TestSlowDecodingInABatch(t *testing.T) {
	var flights []*flight[string]
	c := openInside(t, Options[string]{Codec: decoding{codec.JSON, func(b string) {
		switch b {
		case `"b"`:
			for began := mono.Now(); mono.Now().Since(began) < finishEvery; { // it takes long
			}
		case `"c"`:
			if !flights[0].Finished() || !flights[1].Finished() {
				t.Error("who waits for the first waits for the third")
			}
		}
	}}})
	keys := []string{"a", "b", "c"}
	fl := joinOptions[string]{Owner: new(inflight.Owner), Size: len(keys)}
	redisKeys := make([]string, len(keys))
	for i, key := range keys {
		if err := c.Set(t.Context(), key, key); err != nil {
			t.Fatal(err)
		}
		redisKeys[i] = c.remote.Keys.Values + key
	}
	caughtUp(t, c)
	for _, key := range keys {
		f, _ := c.keys.Join(t.Context(), key, c.hash(key), inflight.ForRead, &fl)
		flights = append(flights, f)
	}
	for i, s := range c.remote.Conn.ReadAll(t.Context(), redisKeys, nil, mono.Now()) {
		s.Await(t.Context(), nil)
		flights[i].State.started = s
	}
	g := lookup[string]{cache: c, ctx: t.Context()}
	g.awaitRemote(flights)
	g.finishFound()
	for i, f := range flights {
		if f.Record == nil || f.Record.Value != keys[i] {
			t.Errorf("%s: %v", keys[i], f.Record)
		}
	}
	noGuards(t, c)
}

// A caller that is reading when the cache is closed doesn't wait for Redis.
func TestGlanceAsTheCacheIsClosed(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := listen(t, s.Client(t), RedisOptions{Invalidation: None, Heartbeat: time.Hour, Timeout: 10 * time.Second}).Redis
	c, err := New(Options[string]{Name: "test", Redis: r})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Set(t.Context(), "to know the cache's era", ""); err != nil {
		t.Fatal(err)
	}
	f, _ := c.keys.Join(t.Context(), "k", c.hash("k"), inflight.ForRead, &joinOptions[string]{Owner: new(inflight.Owner), Start: mono.Now()})
	s.Freeze()
	defer s.Thaw()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	began := mono.Now()
	rest, _ := c.lookup(t.Context(), []*flight[string]{f})
	if took := mono.Now().Since(began); len(rest) != 1 || f.State.started.Read == nil || took > r.conn.Timeout/2 {
		t.Errorf("%d flights are left after %v", len(rest), took)
	}
	c.finishFlight(f, nil, ErrClosed)
}

// A value that another call has put into the local tier in the meantime finishes the flight without a read of Redis.
func TestLookupOfWhatHasArrivedMeanwhile(t *testing.T) {
	t.Parallel()
	c := openOn(t, redistest.Start(t).Client(t), Policy{})
	if err := c.Set(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	caughtUp(t, c)
	observe.Until(t, "the value is in the local tier", func() bool {
		if v, err := c.Get(t.Context(), "k"); v != "v" || err != nil {
			t.Fatalf("%q, %v", v, err)
		}
		it := c.local.Get("k", c.hash("k"), mono.Now(), &c.view.Windows)
		return it != nil
	})
	before := c.Stats()
	f, _ := c.keys.Join(t.Context(), "k", c.hash("k"), inflight.ForRead, &joinOptions[string]{Owner: new(inflight.Owner), Start: mono.Now()})
	rest, _ := c.lookup(t.Context(), []*flight[string]{f})
	if len(rest) != 0 || !f.Finished() || f.Record == nil || f.Record.Value != "v" {
		t.Fatalf("%d flights are left, %v, %v", len(rest), f.Record, f.Err)
	}
	if s := c.Stats(); s.LoadErrors != 0 || s.RemoteHits != before.RemoteHits {
		t.Errorf("%+v, before %+v", s, before)
	}
}
