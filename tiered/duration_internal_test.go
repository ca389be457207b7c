package tiered

import (
	"fmt"
	"math"
	"math/big"
	"testing"
	"time"
)

const year = 365 * 24 * time.Hour

var edges = []time.Duration{
	math.MinInt64, math.MinInt64 + 1, -200 * year, -1, 0, 1, time.Millisecond, time.Hour, 100 * year, 146 * year, 292 * year,
	math.MaxInt64 - 1, math.MaxInt64,
}

// stopped is the nearest duration.
func stopped(n *big.Int) time.Duration {
	switch {
	case n.IsInt64():
		return time.Duration(n.Int64())
	case n.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

func TestDurations(t *testing.T) {
	of := func(d time.Duration) *big.Int { return big.NewInt(int64(d)) }
	is := func(what string, got, want time.Duration) {
		if got != want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	for _, a := range edges {
		for _, b := range edges {
			is(fmt.Sprint(a, " + ", b), sum(a, b), stopped(new(big.Int).Add(of(a), of(b))))
			is(fmt.Sprint(a, " - ", b), difference(a, b), stopped(new(big.Int).Sub(of(a), of(b))))
			is(fmt.Sprint(a, " since ", b), instant(a).since(instant(b)), difference(a, b))
			is(fmt.Sprint(a, " after ", b), time.Duration(instant(a).add(b)), sum(a, b))
			if a >= 0 {
				is(fmt.Sprint(int64(a), " * ", b), times(int64(a), b), stopped(new(big.Int).Mul(of(a), of(b))))
			}
		}
		if a >= 0 {
			is(fmt.Sprint(int64(a), " ms"), millis(int64(a)), stopped(new(big.Int).Mul(of(a), of(time.Millisecond))))
			if whole := wholeMillis(a); whole < a.Truncate(time.Millisecond) || whole%time.Millisecond != 0 || whole-a >= time.Millisecond {
				t.Errorf("%v in whole milliseconds is %v", a, whole)
			}
		}
	}
	for n, want := range map[float64]time.Duration{
		1.9: 1, -1: -1, math.MaxInt64: math.MaxInt64, 1e30: math.MaxInt64, math.Inf(1): math.MaxInt64,
		-1e30: math.MinInt64, math.Inf(-1): math.MinInt64,
	} {
		is(fmt.Sprint(n), nanos(n), want)
	}
	is("no number", nanos(math.NaN()), 0)
}

// longPolicies have a TTL, and one field or all of them, that are as good as for ever.
func longPolicies() map[string]Policy {
	all := make(map[string]Policy)
	for _, d := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1, 292 * year, 250 * year} {
		for _, jitter := range []float64{-1, 0.05, 0.999} {
			long := Policy{TTL: d, Jitter: jitter}
			for name, set := range map[string]func(p *Policy){
				"TTL":                  func(p *Policy) {},
				"LocalTTL":             func(p *Policy) { p.LocalTTL = d },
				"RefreshAfter":         func(p *Policy) { p.RefreshAfter = d - 1 },
				"StaleWhileRevalidate": func(p *Policy) { p.StaleWhileRevalidate = d },
				"StaleIfError":         func(p *Policy) { p.StaleIfError = d },
				"all": func(p *Policy) {
					*p = Policy{TTL: d, LocalTTL: d, NotFoundTTL: d, RefreshAfter: d - 1, StaleWhileRevalidate: d, StaleIfError: d,
						RetryAfter: d, SoftTimeout: d, LoadTimeout: d, Jitter: jitter}
				},
			} {
				p := long
				set(&p)
				all[fmt.Sprint(name, " ", d, " ", jitter)] = p
			}
		}
	}
	return all
}

// What is kept for ever is served at any time, stale or not, and is of use at any other.
func TestForEverAtAnyTime(t *testing.T) {
	for name, p := range longPolicies() {
		for _, start := range []instant{0, instant(-26 * year), instant(time.Hour), instant(26 * year)} {
			r := &record[int]{created: start, freshUntil: start.add(p.freshFor(false)), traits: &traits{took: math.MaxInt64}}
			r.drawEarly(&p)
			until := r.freshUntil.since(start)
			if !r.kept() || until <= 0 || p.Jitter < 0.1 && until < 200*year {
				t.Errorf("%s, from %v: it is kept for %v", name, time.Duration(start), until)
			}
			if p.localUntil(start, r.freshUntil) <= start || p.Jitter < 0.1 && p.localUntil(start, r.freshUntil) < start.add(190*year) {
				t.Errorf("%s, from %v: kept in the local tier until %v", name, time.Duration(start), time.Duration(p.localUntil(start, r.freshUntil)))
			}
			for _, d := range []time.Duration{0, time.Hour, 24 * time.Hour, 30 * 24 * time.Hour, 100 * year} {
				if use := r.use(&p, start.add(d)); use < due && d < until {
					t.Errorf("%s, from %v: after %v it is good for %d", name, time.Duration(start), d, use)
				}
				if e := r.entry("k", p, Local, start.add(d)); e.Age != d {
					t.Errorf("%s, from %v: after %v its age is %v", name, time.Duration(start), d, e.Age)
				}
			}
			r.traits = &traits{expired: true}
			if use := r.use(&p, start.add(time.Hour)); (use == fallback) != (p.StaleIfError > 0) {
				t.Errorf("%s, from %v: expired it is good for %d", name, time.Duration(start), use)
			}
		}
	}
}

// A frame has what its record has, as far as it can say.
func TestFramesForEver(t *testing.T) {
	for name, p := range longPolicies() {
		created := time.UnixMilli(1_700_000_000_000)
		w := p.windows()
		f := frame{codec: "json", created: created, freshFor: p.freshFor(false), took: math.MaxInt64, windows: &w}
		got, err := parseFrame(f.append(nil))
		if err != nil || f.freshFor-got.freshFor > time.Millisecond || got.freshFor-f.freshFor > time.Millisecond {
			t.Fatalf("%s: %v became %v, %v", name, f.freshFor, got.freshFor, err)
		}
		for _, start := range []instant{0, instant(-26 * year), instant(26 * year)} {
			for _, d := range []time.Duration{-100 * year, 0, 24 * time.Hour, 30 * 24 * time.Hour} {
				made, until := got.times(start, created.Add(d))
				if age := max(0, d); start.since(made) != age || p.Jitter < 0.1 && until < start.add(190*year) || until < made {
					t.Errorf("%s: at %v, after %v: made %v, fresh until %v", name, time.Duration(start), d, time.Duration(made), time.Duration(until))
				}
			}
		}
		traits := got.traits(&p)
		if traits.early < 0 {
			t.Errorf("%s: refreshed %v earlier", name, traits.early)
		}
	}
}

// Redis keeps a value for as long as it is of use, however long that is.
func TestStaysForEver(t *testing.T) {
	for name, p := range longPolicies() {
		l := &local[int]{}
		l.retain(&p)
		r := newRecord(7, false, p, marks{})
		w := p.windows()
		if stays := l.stays(r); stays <= 0 || stays < r.freshUntil.since(r.created) || l.longest(p) < stays {
			t.Errorf("%s: it stays for %v of %v", name, stays, l.longest(p))
		}
		if r.windows = &w; l.stays(r) < r.freshUntil.since(r.created) {
			t.Errorf("%s: with windows it stays for %v", name, l.stays(r))
		}
		it := &item[int]{record: *r}
		it.until.Store(int64(r.freshUntil))
		if l.over(it) < r.freshUntil {
			t.Errorf("%s: it is over at %v", name, time.Duration(l.over(it)))
		}
	}
}
