package inspect

import (
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

const (
	maxSamples  = 120
	sampleEvery = time.Second // at most: a page that is asked for more often shows the samples there are
)

// observed is a cache with samples of its counters. One is taken when a page of the cache is asked for, so nothing is done while
// nobody looks, and the times between the samples differ.
type observed struct {
	Cache

	mu      sync.Mutex
	samples []sample // the newest last
}

// sample is what the counters were at a time.
type sample struct {
	at    time.Time
	stats tiered.Stats
}

// observe takes a sample, if the last one is old enough, and returns all samples. It also has the cache record misses and loads
// from now on, for the pages that show them.
func (o *observed) observe(now time.Time) []sample {
	o.Events()
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.samples); n == 0 || now.Sub(o.samples[n-1].at) >= sampleEvery {
		o.samples = append(o.samples, sample{now, o.TierStats()})
	}
	if n := len(o.samples); n > maxSamples {
		o.samples = o.samples[n-maxSamples:]
	}
	return append([]sample(nil), o.samples...)
}

// share is which tier answered the reads between two samples, as parts of 1.
type share struct {
	Local, Remote float64
	Reads         uint64
	Over          time.Duration
}

// shares returns those between each sample and the one before. Times without reads have none.
func shares(samples []sample) (all []share) {
	for i := 1; i < len(samples); i++ {
		a, b := &samples[i-1], &samples[i]
		if s, ok := between(&a.stats, &b.stats); ok {
			s.Over = b.at.Sub(a.at)
			all = append(all, s)
		}
	}
	return all
}

// between returns which tier answered the reads between two states of the counters, and whether there were any.
func between(a, b *tiered.Stats) (share, bool) {
	local, remote := b.LocalHits-a.LocalHits, b.RemoteHits-a.RemoteHits
	n := local + remote + b.Misses - a.Misses
	if n == 0 {
		return share{}, false
	}
	return share{Local: float64(local) / float64(n), Remote: float64(remote) / float64(n), Reads: n}, true
}
