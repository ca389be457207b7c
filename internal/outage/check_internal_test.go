//go:build !windows

package outage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

const s = time.Second

// find returns the member of the name.
func find(t *testing.T, name string) *cacheConfig {
	t.Helper()
	for _, m := range cacheConfigs {
		if m.name == name {
			return m
		}
	}
	t.Fatal(name)
	return nil
}

// read returns a call of process 0 that returned a value loaded at the given time.
func read(m *cacheConfig, key string, at, loaded time.Duration) call {
	return call{config: m, kind: getOrLoad, key: key, span: span{at, at + 10*time.Millisecond}, value: Value{Key: key, Loaded: loaded}}
}

func (c call) failed(err error) call {
	c.err, c.value = err, Value{}
	return c
}

func (c call) took(d time.Duration) call {
	c.end = c.start + d
	return c
}

// Each check finds its kind of violation, and nothing where there is an excuse. The fault lasts from 10 s to 20 s.
func TestChecks(t *testing.T) {
	t.Parallel()
	stale, soft, plain, strict := find(t, "stale-if-error"), find(t, "soft-timeout"), find(t, "plain"), find(t, "strict")
	revalidate := find(t, "revalidate")
	const key = "own-0-1"
	known := read(stale, key, 9*s, 8*s)
	for name, tc := range map[string]struct {
		scenario Scenario
		evidence evidence
		want     string // the check that finds something
	}{
		"nothing": {},
		"an error in place of a stale value": {
			evidence: evidence{calls: []call{known, read(stale, key, 15*s, 0).failed(errSource)}, sourceFaults: []span{{14 * s, 16 * s}}},
			want:     "policy",
		},
		"of a batch": {
			evidence: evidence{
				calls:        []call{known, {config: stale, kind: getOrLoadMany, key: key, span: span{15 * s, 15 * s}, err: errSource}},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
			want: "policy",
		},
		"an error of a cache without a policy": {
			evidence: evidence{
				calls:        []call{read(plain, key, 9*s, 8*s), read(plain, key, 15*s, 0).failed(errSource)},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
		},
		"an error of a key that was never there": {
			evidence: evidence{calls: []call{read(stale, key, 15*s, 0).failed(errSource)}, sourceFaults: []span{{14 * s, 16 * s}}},
		},
		"an error of a key that others read": {
			evidence: evidence{
				calls:        []call{read(stale, "shared-1", 9*s, 8*s), read(stale, "shared-1", 15*s, 0).failed(errSource)},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
		},
		"a value that the cache's own invalidation removed": {
			evidence: evidence{
				calls:        []call{read(stale, key, 9*s, 9*s), read(stale, key, 15*s, 0).failed(errSource)},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
		},
		"a value that was leased as the fault began": {
			evidence: evidence{
				calls:        []call{known, read(stale, key, 15*s, 0).failed(errSource)},
				loads:        []load{{config: stale, key: key, span: span{10 * s, 10*s + 1}}},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
		},
		"a value that was loaded without Redis": {
			evidence: evidence{
				calls:        []call{read(stale, key, 12*s, 12*s), read(stale, key, 15*s, 0).failed(errSource)},
				loads:        []load{{config: stale, key: key, span: span{12*s - 1, 12 * s}}},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
			want: "policy",
		},
		"a value that was loaded without a Redis that answers again": {
			evidence: evidence{
				calls:        []call{read(stale, key, 12*s, 12*s), read(stale, key, 15*s, 0).failed(errSource)},
				loads:        []load{{config: stale, key: key, span: span{12*s - 1, 12 * s}}},
				closings:     map[int][]time.Duration{0: {15 * s}},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
		},
		"a value of a Redis that had answered again before": {
			evidence: evidence{
				calls:        []call{known, read(stale, key, 15*s, 0).failed(errSource)},
				closings:     map[int][]time.Duration{0: {7 * s}, 1: {15 * s}},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
			want: "policy",
		},
		"a value in a Redis that answers reads": {
			scenario: Scenario{reads: true},
			evidence: evidence{calls: []call{known, read(stale, key, 15*s, 0).failed(errSource)}, sourceFaults: []span{{14 * s, 16 * s}}},
			want:     "policy",
		},
		"a value in a Redis that isn't asked": {
			scenario: Scenario{reads: true},
			evidence: evidence{
				calls:        []call{known, read(stale, key, 15*s, 0).failed(errSource)},
				breakerOpen:  map[int][]span{0: {{14 * s, 16 * s}}},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
		},
		"a value in a Redis that may not have answered": {
			scenario: Scenario{reads: true},
			evidence: evidence{
				calls:        []call{known, read(stale, key, 15*s, 0).failed(errSource).took(timeout)},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
		},
		"a stale value while the source fails": {
			scenario: Scenario{broken: source},
			evidence: evidence{calls: []call{known, read(stale, key, 15*s, 0).failed(errSource).took(timeout)}, sourceFaults: []span{{14 * s, 16 * s}}},
			want:     "policy",
		},
		"the same on a machine that is too busy": {
			scenario: Scenario{broken: source},
			evidence: evidence{
				calls:        []call{known, read(stale, key, 15*s, 0).failed(errSource).took(timeout)},
				sourceFaults: []span{{14 * s, 16 * s}}, unanswered: map[int]bool{0: true},
			},
		},
		"Strict": {
			evidence: evidence{
				calls:        []call{read(strict, key, 9*s, 8*s), read(strict, key, 15*s, 0).failed(errSource)},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
		},
		"Strict with Redis": {
			scenario: Scenario{broken: source},
			evidence: evidence{
				calls:        []call{read(strict, key, 9*s, 8*s), read(strict, key, 15*s, 0).failed(errSource)},
				sourceFaults: []span{{14 * s, 16 * s}},
			},
			want: "policy",
		},
		"a process that receives no invalidations": {
			scenario: Scenario{broken: source},
			evidence: evidence{
				calls: []call{known, read(stale, key, 15*s, 0).failed(errSource)}, sourceFaults: []span{{14 * s, 16 * s}},
				noEvents: map[int][]span{0: {{14 * s, 15 * s}}},
			},
		},
		"data that is lost": {
			evidence: evidence{
				calls: []call{known, read(stale, key, 15*s, 0).failed(errSource)}, sourceFaults: []span{{14 * s, 16 * s}},
				loss: 14 * s,
			},
		},
		"an error though the source works": {
			evidence: evidence{calls: []call{read(plain, key, 15*s, 0).failed(errors.New("redis"))}, sourceFaults: []span{{1 * s, 2 * s}}},
			want:     "errors",
		},
		"another process's load": {
			evidence: evidence{calls: []call{read(plain, key, 15*s, 0).failed(fmt.Errorf("late: %w", context.DeadlineExceeded))}},
		},
		"a load that takes too long": {
			evidence: evidence{calls: []call{read(plain, key, 12*s, 13*s).took(1700 * time.Millisecond)}},
			want:     "time",
		},
		"a noisy machine": {
			evidence: evidence{calls: []call{read(plain, key, 12*s, 13*s).took(9 * s)}, noise: noiseMax + 1},
		},
		"no soft timeout": {
			evidence: evidence{calls: []call{read(soft, key, 9*s, 8*s), read(soft, key, 12*s, 13*s).took(time.Second)}},
			want:     "time",
		},
		"not at once": {
			evidence: evidence{calls: []call{read(revalidate, key, 9*s, 8*s), read(revalidate, key, 12*s, 13*s).took(410 * time.Millisecond)}},
			want:     "time",
		},
		"a batch of which not all is there": {
			evidence: evidence{calls: []call{read(soft, key, 9*s, 8*s), {
				config: soft, kind: getOrLoadMany, key: key, batch: []string{key, "shared-1"}, span: span{12 * s, 13 * s},
				value: Value{Key: key, Loaded: 12 * s},
			}}},
		},
		"a soft timeout and nothing to serve": {
			evidence: evidence{calls: []call{read(soft, key, 12*s, 13*s).took(time.Second)}},
		},
		"a Delete that waits": {
			evidence: evidence{calls: []call{{config: longLived, kind: remove, span: span{12 * s, 13 * s}}}},
			want:     "time",
		},
		"a value that is too old": {
			evidence: evidence{calls: []call{read(plain, key, 15*s, 8*s)}},
			want:     "age",
		},
		"another key's value": {
			evidence: evidence{calls: []call{{config: plain, kind: lookup, key: key, value: Value{Key: "own-0-2"}}}},
			want:     "age",
		},
		"a load of what is there": {
			scenario: Scenario{warm: true},
			evidence: evidence{loads: []load{{config: longLived, key: fixedKey(1), span: span{11 * s, 11 * s}}}},
			want:     "loads",
		},
		"a load of what was lost": {
			scenario: Scenario{warm: true},
			evidence: evidence{loads: []load{{config: longLived, key: fixedKey(1), span: span{11 * s, 11 * s}}}, loss: 10 * s},
		},
	} {
		e := tc.evidence
		e.scenario, e.fault = tc.scenario, span{10 * s, 20 * s}
		e.index()
		_, found := e.check()
		if tc.want == "" && len(found) > 0 || tc.want != "" && (len(found) != 1 || found[0].check != tc.want) {
			t.Errorf("%s: found %v, want %q", name, found, tc.want)
		}
	}
}

func TestGoals(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	change := func(k kind, version uint64, err error) call {
		return call{kind: k, wrote: map[string]uint64{"k": version}, err: err}
	}
	for name, tc := range map[string]struct {
		changes  []call
		met, not []uint64
	}{
		"acknowledged": {[]call{change(remove, 1, nil), change(remove, 2, nil)}, []uint64{2, 3}, []uint64{0, 1}},
		"queued":       {[]call{change(remove, 1, nil), change(remove, 2, fmt.Errorf("%w: x", tiered.ErrQueued))}, []uint64{2}, []uint64{1}},
		"failed":       {[]call{change(remove, 1, nil), change(remove, 2, failed)}, []uint64{1, 2}, []uint64{0}},
		"a late Set":   {[]call{change(set, 1, failed), change(remove, 2, nil)}, []uint64{1, 2}, []uint64{0}},
	} {
		g := goalsOf(tc.changes)["k"]
		for _, v := range tc.met {
			if !g.met(v) {
				t.Errorf("%s: version %d isn't accepted", name, v)
			}
		}
		for _, v := range tc.not {
			if g.met(v) {
				t.Errorf("%s: version %d is accepted", name, v)
			}
		}
	}
}

func TestMoreGoroutines(t *testing.T) {
	before := currentGoroutines()
	stop := make(chan struct{})
	defer close(stop)
	for range 10 {
		go func() { <-stop }()
	}
	if list := more(before, currentGoroutines()); len(list) == 0 {
		t.Error("ten goroutines more, and nothing is found")
	}
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	p := &process{}
	few, many := p.logger("few"), p.logger("many")
	r := &run{processes: []*process{p}, episodes: 1}
	for i := range 11 {
		if i < 10 {
			few.Warn("a line")
		}
		many.With("a", 1).WithGroup("g").LogAttrs(t.Context(), slog.LevelDebug, "a line")
	}
	if n, found := r.checkLines(); n != 21 || len(found) != 1 {
		t.Errorf("%d lines, %v", n, found)
	}
}
