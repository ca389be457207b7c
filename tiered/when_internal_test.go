package tiered

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// row is one of the table in docs/resilience.md.
type row struct{ value, source, gets, loads, next string }

func rowsOf(t *testing.T, file string) (rows []row) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "|---|---|---|---|---|\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		if len(cells) != 5 {
			break
		}
		rows = append(rows, row{cells[0], cells[1], cells[2], cells[3], cells[4]})
	}
	if len(rows) < 21 {
		t.Fatalf("%s has %d rows", file, len(rows))
	}
	return rows
}

var whenPolicy = Policy{
	TTL: time.Hour, RefreshAfter: 30 * time.Minute, StaleWhileRevalidate: time.Hour, StaleIfError: 2 * time.Hour, NotFoundTTL: time.Hour,
	RetryAfter: time.Hour, SoftTimeout: 200 * time.Millisecond, LoadTimeout: time.Second, Jitter: -1,
}

// ages are the ages of the table's values.
var ages = map[string]time.Duration{
	"fresh":                              time.Minute,
	"due":                                40 * time.Minute,
	"stale, within StaleWhileRevalidate": 90 * time.Minute,
	"stale, within StaleIfError":         150 * time.Minute,
	"older, or not there":                4 * time.Hour,
}

// place is where the value is, and the state of Redis.
var whenPlaces = []string{"in process", "local", "only in redis", "local, redis dead"}

func TestWhatHappensWhen(t *testing.T) {
	t.Parallel()
	rows := rowsOf(t, "../docs/resilience.md")
	for _, place := range whenPlaces {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			w := &when{place: place}
			if place != "in process" {
				w.server = redistest.Start(t)
			}
			if place != "local, redis dead" {
				w.open(t)
			}
			for _, r := range rows {
				t.Run(r.value+", the source "+r.source, func(t *testing.T) {
					if place == "local, redis dead" {
						w.open(t)
					}
					w.check(t, r)
				})
			}
		})
	}
}

type when struct {
	place  string
	server *redistest.Server
	cache  *Cache[string]
}

func (w *when) open(t *testing.T) {
	t.Helper()
	o := Options[string]{Name: "test", Codec: codec.Raw, MaxCost: 1000, Policy: whenPolicy}
	if w.server != nil {
		w.server.Restart()
		client := w.server.Client(t)
		timeout := 5 * time.Second // so that a busy machine isn't taken for a Redis that doesn't answer
		if w.place == "local, redis dead" {
			timeout = 200 * time.Millisecond
		}
		r, err := NewRedis(client, RedisOptions{Timeout: timeout})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		o.Redis = r
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		c = nil // testing keeps this function until the last parallel test ends
		w.cache = nil
	})
	w.cache = c
}

// put stores a value of the given age in the place.
func (w *when) put(t *testing.T, key string, age time.Duration) {
	t.Helper()
	c := w.cache
	s, err := c.tags.Position(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.remote == nil {
		at := mono.Now().Add(-age)
		r := &record.Record[string]{Value: "old", Created: at, FreshUntil: at.Add(whenPolicy.TTL), Meta: &record.Meta{Stamp: s.Stamp(nil)}}
		c.local.Set(c.hash(key), c.local.NewItem(key, c.hash(key), r, coherence.Deps{Validity: coherence.Always, Epoch: c.tags.KnownEpoch()}, r.FreshUntil))
		return
	}
	f := wire.Frame{
		Schema: c.values.Schema, Codec: "raw", Created: c.remote.Conn.Time(t.Context()).Add(-age), FreshFor: whenPolicy.TTL,
		Epoch: s.Epoch.ID, Seq: s.Seq, Payload: []byte("old"),
	}
	marker := c.keys.Ref("marker", c.hash("marker"))
	defer c.keys.Release(marker)
	w.server.Do("SET", "tc:test:"+key, frameBytes(&f))
	w.server.Do("SET", "tc:test:marker", "x") // its report arrives after the other's
	for deadline := time.Now().Add(10 * time.Second); c.keys.Listen(marker, nil).Changes == marker.Changes; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the write isn't heard of")
		}
	}
	if w.place == "only in redis" || age == ages["older, or not there"] {
		return
	}
	for hash, deadline := c.hash(key), time.Now().Add(10*time.Second); c.local.GetStale(key, hash, mono.Now()) == nil; {
		if time.Now().After(deadline) {
			t.Fatal("it isn't kept")
		}
		h := c.keys.Ref(key, hash)
		if found := c.tiers.Read(t.Context(), []keyRef[string]{h}, &c.view, remote.ReadOptions{})[0]; found.Record != nil {
			c.tiers.Fill(h, &found, &c.view)
		}
		c.keys.Release(h)
	}
}

// trouble is a source that behaves as a row says.
type trouble struct {
	source  string
	began   chan struct{} // receives once a load
	release chan struct{} // of a slow one
}

var errSource = errors.New("the source fails")

func (s *trouble) load(ctx context.Context, _ *Entry[string]) (string, error) {
	s.began <- struct{}{}
	switch s.source {
	case "fails":
		return "", errSource
	case "has none":
		return "", ErrNotFound
	case "is slow":
		<-s.release
	case "hangs":
		<-ctx.Done()
		return "", ctx.Err()
	}
	return "new", nil
}

func (w *when) check(t *testing.T, r row) {
	c := w.cache
	key := r.value + r.source
	w.put(t, key, ages[r.value])
	if w.place == "local, redis dead" {
		w.server.Kill()
		for s := c.remote.Conn.Nodes.Only; !s.Breaker.IsOpen(); {
			time.Sleep(time.Millisecond)
		}
	}
	s := &trouble{r.source, make(chan struct{}, 10), make(chan struct{})}
	answered := make(chan struct{})
	go func() { // it is slower than SoftTimeout, and than the call if that doesn't wait for the load
		timer := time.NewTimer(2 * whenPolicy.SoftTimeout)
		defer timer.Stop()
		<-timer.C
		if r.gets != "the new one" {
			<-answered
		}
		close(s.release)
	}()
	stale := c.Stats().Stale
	v, err := c.GetOrLoad(t.Context(), key, s.load)
	close(answered)
	w.expect(t, "the call", r.gets, v, err)
	if served := c.Stats().Stale > stale; served != (strings.HasPrefix(r.value, "stale") && strings.HasPrefix(r.gets, "the value")) {
		t.Errorf("counted as stale: %v", served)
	}
	if r.loads == "1, behind" {
		select {
		case <-s.began:
		case <-time.After(10 * time.Second):
			t.Fatal("no load behind")
		}
	} else if n := len(s.began); r.loads != "0" && n != 1 || r.loads == "0" && n != 0 {
		t.Errorf("%d loads", n)
	}
	for f := c.keys.Joinable(key, c.hash(key)); f != nil && !f.Finished(); f = c.keys.Joinable(key, c.hash(key)) { // until the load is over
		time.Sleep(time.Millisecond)
	}
	for len(s.began) > 0 {
		<-s.began
	}
	v, err = c.GetOrLoad(t.Context(), key, s.load)
	w.expect(t, "the next call", r.next, v, err)
	if n := len(s.began); strings.HasPrefix(r.next, "the") && n > 0 {
		t.Errorf("the next call had %d loads begun", n)
	}
}

func (w *when) expect(t *testing.T, who, what, v string, err error) {
	t.Helper()
	what, _, _ = strings.Cut(what, ",")
	got := map[string]bool{
		"the value":        v == "old" && err == nil,
		"the new one":      v == "new" && err == nil,
		"ErrNotFound":      errors.Is(err, ErrNotFound),
		"its error":        errors.Is(err, errSource),
		"DeadlineExceeded": errors.Is(err, context.DeadlineExceeded),
	}
	if ok, known := got[what]; !known || !ok {
		t.Errorf("%s got %q, %v; want %s", who, v, err, what)
	}
}
