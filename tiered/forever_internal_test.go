package tiered

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

const year = 365 * 24 * time.Hour

// longPolicies have a practically infinite TTL, and one such other field, or all of them.
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

// A value that is kept forever can be served at any time, stale or not.
func TestForEverAtAnyTime(t *testing.T) {
	for name, p := range longPolicies() {
		k := p.ofRecords()
		for _, start := range []mono.Instant{0, mono.Instant(-26 * year), mono.Instant(time.Hour), mono.Instant(26 * year)} {
			r := &record.Record[int]{Created: start, FreshUntil: start.Add(k.FreshFor(false)), Meta: &record.Meta{Took: math.MaxInt64}}
			w := k.Windows
			r.DrawEarly(&w, p.Jitter)
			until := r.FreshUntil.Since(start)
			if !r.Storable() || until <= 0 || p.Jitter < 0.1 && until < 200*year {
				t.Errorf("%s, from %v: it is kept for %v", name, time.Duration(start), until)
			}
			if k.LocalUntil(start, r.FreshUntil) <= start || p.Jitter < 0.1 && k.LocalUntil(start, r.FreshUntil) < start.Add(190*year) {
				t.Errorf("%s, from %v: kept in the local tier until %v", name, time.Duration(start), time.Duration(k.LocalUntil(start, r.FreshUntil)))
			}
			for _, d := range []time.Duration{0, time.Hour, 24 * time.Hour, 30 * 24 * time.Hour, 100 * year} {
				if use := r.Use(&w, start.Add(d)); use < record.RefreshDue && d < until {
					t.Errorf("%s, from %v: after %v it is good for %d", name, time.Duration(start), d, use)
				}
				if e := entryOf(r, "k", p, Local, start.Add(d)); e.Age != d {
					t.Errorf("%s, from %v: after %v its age is %v", name, time.Duration(start), d, e.Age)
				}
			}
			r.Meta = &record.Meta{Expired: true}
			if use := r.Use(&w, start.Add(time.Hour)); (use == record.IfError) != (p.StaleIfError > 0) {
				t.Errorf("%s, from %v: expired it is good for %d", name, time.Duration(start), use)
			}
		}
	}
}

// A frame has the fields of its record, as far as its format can hold them.
func TestFramesForEver(t *testing.T) {
	for name, p := range longPolicies() {
		k := p.ofRecords()
		created := time.UnixMilli(1_700_000_000_000)
		w := k.Windows
		f := wire.Frame{Codec: "json", Created: created, FreshFor: k.FreshFor(false), Took: math.MaxInt64, Windows: &w}
		got, err := wire.ParseFrame(frameBytes(&f))
		if err != nil || f.FreshFor-got.FreshFor > time.Millisecond || got.FreshFor-f.FreshFor > time.Millisecond {
			t.Fatalf("%s: %v became %v, %v", name, f.FreshFor, got.FreshFor, err)
		}
	}
}

// Redis keeps a value for as long as it can be served, however long that is.
func TestStaysForEver(t *testing.T) {
	for name, p := range longPolicies() {
		k := p.ofRecords()
		keep := new(record.Retention)
		w := k.Windows
		keep.Add(&w)
		r := record.NewFor(&k, 7, false, 0, coherence.Stamp{})
		if stays := r.RedisTTL(keep); stays <= 0 || stays < r.FreshUntil.Since(r.Created) || keep.MaxRedisTTL(p.TTL) < stays {
			t.Errorf("%s: it stays for %v of %v", name, stays, keep.MaxRedisTTL(p.TTL))
		}
		if r.Windows = &w; r.RedisTTL(keep) < r.FreshUntil.Since(r.Created) {
			t.Errorf("%s: with windows it stays for %v", name, r.RedisTTL(keep))
		}
	}
}
