package local

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const (
	maxSamples  = 4096
	sampleEvery = time.Second // of each stripe, about
)

// sampler takes samples of the hits, from which HotKeys estimates how often each key is read. It is off until it is asked for.
//
// A hit only compares the count of its stripe, which it has just incremented, with that of the stripe's next sample. While the sampler
// is off there is no next sample. The gaps between samples are random, and their mean adapts to the traffic, so that each stripe takes
// about one sample in sampleEvery. A sample stands for all hits of its stripe since the one before, so keys of busy and of idle stripes
// compare. A stripe whose keys are read less often than that has each hit sampled.
type sampler struct {
	mu      sync.Mutex
	until   mono.Instant // when it goes off
	stripes [len(stripes{})]sampling
	samples []sample // a ring of maxSamples; nil: it is off
	taken   uint64   // into samples
}

// sampling is the state of one stripe.
type sampling struct {
	gap  uint64 // the mean of the gaps between two samples, in hits
	last uint64 // the stripe's hits at its last sample
	at   mono.Instant
}

// sample is one hit that stands for several.
type sample struct {
	key    string
	stripe uint8
	hits   uint64
	at     mono.Instant
}

// due reports whether the stripe's hit with the number is to be sampled.
func (s *stripe) due(hit uint64) bool { return hit > s.sampleAt.Load()-1 } // never, if sampleAt is 0

// sample takes a sample of a hit of the key.
func (l *Tier[T]) sample(hash uint64, key string) {
	p, s, at := &l.sampler, l.stripes.of(hash), mono.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	hits := s.hits.Load()
	if !s.due(hits) { // another hit was faster
		return
	}
	if at >= p.until {
		l.sampling.Store(false)
		p.stop(&l.stripes)
		return
	}
	state := &p.stripes[hash>>58]
	p.samples[p.taken%maxSamples] = sample{key, uint8(hash >> 58), hits - state.last, at}
	p.taken++
	switch took := at.Since(state.at); {
	case took < sampleEvery/2:
		state.gap *= 2
	case took > 2*sampleEvery:
		state.gap = max(1, state.gap/2)
	}
	state.last, state.at = hits, at
	s.sampleAt.Store(hits + 1 + rand.Uint64N(2*state.gap-1))
}

// stop ends the sampling. The caller holds the lock.
func (p *sampler) stop(all *stripes) {
	for i := range all {
		all[i].sampleAt.Store(0)
	}
	p.samples = nil
}

// Hot is a key that is read often.
type Hot struct {
	Key       string
	Share     float64 // of the hits
	PerSecond float64
}

// Sample has samples taken for the given time, and returns what the samples so far say of each key, in no order.
func (l *Tier[T]) Sample(lasting time.Duration) []Hot {
	p, at := &l.sampler, mono.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.current.Load() == nil {
		return nil
	}
	if p.samples == nil || at >= p.until {
		p.start(&l.stripes, at)
		l.sampling.Store(true)
	}
	p.until = at.Add(lasting)
	return p.estimate(&l.stripes, at)
}

// start begins the sampling. The caller holds the lock.
func (p *sampler) start(all *stripes, at mono.Instant) {
	for i := range all {
		hits := all[i].hits.Load()
		p.stripes[i] = sampling{gap: 1, last: hits, at: at}
		all[i].sampleAt.Store(hits + 1)
	}
	p.samples = make([]sample, maxSamples)
	p.samples[0], p.taken = sample{at: at}, 1 // marks the beginning
}

// estimate sums up the samples. The hits of a stripe since its last sample are spread over its samples. The caller holds the lock.
func (p *sampler) estimate(all *stripes, at mono.Instant) []Hot {
	from := uint64(0)
	if p.taken > maxSamples {
		from = p.taken - maxSamples
	}
	began := p.samples[from%maxSamples].at
	kept := make([]sample, 0, maxSamples)
	for i := from + 1; i < p.taken; i++ { // the first only says when the others begin
		kept = append(kept, p.samples[i%maxSamples])
	}
	var sampled [len(stripes{})]float64
	for _, s := range kept {
		sampled[s.stripe] += float64(s.hits)
	}
	hits, sum := make(map[string]float64), 0.0
	for _, s := range kept {
		since := float64(all[s.stripe].hits.Load() - p.stripes[s.stripe].last)
		n := float64(s.hits) * (1 + since/sampled[s.stripe])
		hits[s.key] += n
		sum += n
	}
	seconds := max(at.Since(began).Seconds(), 1e-3)
	hot := make([]Hot, 0, len(hits))
	for key, n := range hits {
		hot = append(hot, Hot{key, n / sum, n / seconds})
	}
	return hot
}
