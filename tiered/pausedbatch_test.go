package tiered_test

import (
	"bytes"
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// pauses is a codec that blocks once, when it decodes "pause".
type pauses struct {
	codec.Codec
	once  *atomic.Bool
	there chan struct{}
	goOn  chan bool // false: it panics
}

func (p pauses) Unmarshal(b []byte, v any) error {
	if bytes.Contains(b, []byte("pause")) && p.once.CompareAndSwap(false, true) {
		close(p.there)
		if !<-p.goOn {
			panic("boom")
		}
	}
	return p.Codec.Unmarshal(b, v)
}

// paused is a process that reads "a" and "b" in a batch. The batch has decoded "a" and is blocked by "b".
type paused struct {
	*tiered.Cache[string]
	other *tiered.Cache[string]
	goOn  chan<- bool
	batch *call
	got   map[string]string // by the batch
}

func pauseABatch(t *testing.T, o tiered.RedisOptions) *paused {
	t.Helper()
	s := redistest.Start(t)
	held := pauses{codec.JSON, new(atomic.Bool), make(chan struct{}), make(chan bool)}
	p := &paused{goOn: held.goOn, other: newProcess(t, s, o, longLived)}
	p.Cache = newCache(t, tiered.Options[string]{Redis: newRedis(t, s, o), Codec: held, Policy: longLived})
	set(t, p.other, "a", "old")
	set(t, p.other, "b", "pause")
	set(t, p.Cache, "to know the cache's epoch", "")
	if o.Invalidation != tiered.None {
		caughtUp(t, p.other, p.Cache)
	}
	p.batch = begun(func() (_ string, err error) {
		p.got, err = tiered.GetOrLoadMany(t.Context(), p.Cache, []string{"a", "b"}, self, func(context.Context, []string) (map[string]string, error) {
			return map[string]string{"b": "loaded"}, nil
		})
		return "", err
	})
	<-held.there
	return p
}

// What a batch has read of a key isn't kept, nor joined, if the key is changed while others are decoded.
func TestChangeWhileABatchIsDecoded(t *testing.T) {
	t.Parallel()
	tracked := quiet
	tracked.Invalidation = tiered.Tracking
	for name, tc := range map[string]struct {
		options     tiered.RedisOptions
		change      func(p *paused) error
		want, wantB string
	}{
		"Set":           {quiet, func(p *paused) error { return p.Set(t.Context(), "a", "new") }, "new", "pause"},
		"Delete":        {quiet, func(p *paused) error { return p.Delete(t.Context(), "a") }, "loaded", "pause"},
		"Clear":         {quiet, func(p *paused) error { return p.Clear(t.Context()) }, "loaded", "loaded"},
		"Set elsewhere": {tracked, func(p *paused) error { return p.other.Set(t.Context(), "a", "new") }, "new", "pause"},
	} {
		t.Run(name, func(t *testing.T) {
			p := pauseABatch(t, tc.options)
			if err := tc.change(p); err != nil {
				t.Error(err)
			}
			if tc.options.Invalidation != tiered.None {
				caughtUp(t, p.other, p.Cache)
			}
			begin(t, p.Cache, "a", value("loaded")).gets(t, tc.want) // though the batch is held up
			p.goOn <- true
			p.batch.gets(t, "")
			if p.got["b"] != tc.wantB || len(p.got) != 2 {
				t.Errorf("the batch got %v", p.got)
			}
			gets(t, p.Cache, "a", noLoad[string](t), tc.want)
		})
	}
}

// A codec that panics once, as a batch's caller decodes, is called again by the job. Callers that wait for what was found before
// get it.
func TestCodecPanicInABatch(t *testing.T) {
	t.Parallel()
	p := pauseABatch(t, quiet)
	joins := begin(t, p.Cache, "a", noLoad[string](t))
	waitFor(t, func() bool { st := p.Stats(); return st.Collapsed+st.LocalHits == 1 })
	p.goOn <- false
	p.batch.gets(t, "")
	if p.got["a"] != "old" || p.got["b"] != "pause" || p.Stats().CodecErrors != 0 {
		t.Errorf("the batch got %v; stats %+v", p.got, p.Stats())
	}
	joins.gets(t, "old")
	before := p.Stats().LocalHits
	gets(t, p.Cache, "a", noLoad[string](t), "old")
	if p.Stats().LocalHits != before+1 {
		t.Error("what was found isn't kept")
	}
}

// What comes into the local tier between a batch's look there and its flights is found there.
func TestFillBeforeABatchBegins(t *testing.T) {
	t.Parallel()
	_, c := filled(t, 1, quiet)
	got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"a", "k0"}, func(id string) string {
		if id == "k0" { // "a" has been looked for
			set(t, c, "a", "a's")
		}
		return id
	}, nothing)
	if err != nil || got["a"] != "a's" || got["k0"] != "v0" {
		t.Errorf("got %v, %v", got, err)
	}
	if hits := c.Stats().RemoteHits; hits != 1 {
		t.Errorf("%d keys were read from Redis", hits)
	}
}

// Who joins a batch that waits for Redis gets the stale value that the local tier has, if that is what his policy says.
func TestImpatientCallerJoinsABatch(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	o := quiet
	o.Timeout = time.Minute // longer than anybody waits
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, o), Policy: brief(tiered.Policy{StaleIfError: time.Hour})})
	set(t, c, "k", "old")
	isStale(t, c, "k")
	h := newHoldup("k")
	client.AddHook(h)
	batch := begun(func() (string, error) {
		got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"k", "other"}, self, func(_ context.Context, ids []string) (map[string]string, error) {
			if slices.Contains(ids, "k") {
				return map[string]string{"k": "new"}, nil
			}
			return nil, nil
		})
		return got["k"], err
	})
	<-h.there
	hasty := c.With(func(p *tiered.Policy) { p.SoftTimeout = time.Millisecond })
	begin(t, hasty, "k", noLoad[string](t)).gets(t, "old")
	close(h.release)
	batch.gets(t, "new")
}
