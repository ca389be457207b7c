package history_test

import (
	"container/heap"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/tiercache/tiercache/internal/history"
)

// bug is a way in which the model is wrong.
type bug int

const (
	noBug           bug = iota
	servesDeleted       // a Delete doesn't remove the value from the process's own local tier, but waits for Redis's invalidation
	fillsLate           // a value is put into a local tier though it was invalidated since the flight began
	invalidatesLate     // invalidations take longer than Delta
	storesLate          // a load is stored in Redis though its lease is gone
	loadsTwice          // a lease doesn't keep another process from loading
	mixesKeys           // a value is sometimes stored under another key, too
)

const (
	modelDelta = 1000
	modelLease = 400
)

// model simulates a cache in several processes with one Redis, on a clock of its own.
type model struct {
	bug       bug
	rng       *rand.Rand
	now, last int64 // last is the last ID
	events    eventQueue
	redis     map[string]stored
	tagged    map[string]int64 // when the tag was last invalidated
	processes []*process
	record    history.Record
	left      int // operations that haven't begun
}

// stored is the value or the lease that Redis has under a key.
type stored struct {
	value *value
	lease int64 // of the Load with that ID, if there is no value
}

type value struct {
	id       int64
	tags     []string
	loadedAt int64 // when its load began
}

type process struct {
	id            int
	local         map[string]*value
	invalidations map[string]int // by key: how many invalidations have arrived
	flights       map[string]*flight
}

type flight struct {
	key           string
	invalidations int // when it began
	loading       bool
	waiting       []func(*value)
}

// runModel returns the record of a simulation with so many operations.
func runModel(b bug, seed uint64, operations int) *history.Record {
	m := &model{
		bug:    b,
		rng:    rand.New(rand.NewPCG(seed, 1)),
		now:    1,
		redis:  map[string]stored{},
		tagged: map[string]int64{},
		record: history.Record{Delta: modelDelta, Lease: modelLease},
		left:   operations,
	}
	for id := range 3 {
		p := &process{id: id, local: map[string]*value{}, invalidations: map[string]int{}, flights: map[string]*flight{}}
		m.processes = append(m.processes, p)
		for range 3 {
			m.next(p)
		}
	}
	m.next(nil)
	for m.events.Len() > 0 {
		e := heap.Pop(&m.events).(event)
		m.now = e.at
		e.do()
	}
	return &m.record
}

var modelKeys = []string{"k0", "k1", "k2", "k3"}

func (m *model) key() string { return modelKeys[m.rng.IntN(len(modelKeys))] }

func (m *model) tags() []string {
	tags := []string{"a", "b", "c", "d"}
	m.rng.Shuffle(len(tags), func(i, j int) { tags[i], tags[j] = tags[j], tags[i] })
	return tags[:m.rng.IntN(3)]
}

func (m *model) begin(p *process, kind history.Kind) history.Op {
	m.last++
	op := history.Op{ID: m.last, Process: -1, Kind: kind, Start: m.now}
	if p != nil {
		op.Process = p.id
	}
	return op
}

func (m *model) end(op history.Op) {
	op.End, op.OK = m.now, true
	m.record.Ops = append(m.record.Ops, op)
}

// next schedules the next operation of a client of p; p is nil for a foreign client.
func (m *model) next(p *process) {
	if m.left--; m.left < 0 {
		return
	}
	if p == nil {
		m.in(1, 1000, func() {
			if m.rng.IntN(2) == 0 {
				m.evict()
				m.next(p)
				return
			}
			m.write(p, []history.Kind{history.Set, history.Delete, history.Delete, history.Clear}[m.rng.IntN(4)])
		})
		return
	}
	m.in(1, 200, func() {
		switch n := m.rng.IntN(1000); {
		case n < 500:
			m.getOrLoad(p)
		case n < 900:
			m.get(p)
		case n < 930:
			m.write(p, history.Set)
		case n < 960:
			m.write(p, history.Delete)
		case n < 975:
			m.write(p, history.Expire)
		case n < 995:
			m.write(p, history.InvalidateTags)
		default:
			m.write(p, history.Clear)
		}
	})
}

// get reads the tiers, and records the tier in which the value is.
func (m *model) get(p *process) {
	op := m.begin(p, history.Read)
	op.Key = m.key()
	done := func(v *value, tier history.Tier) {
		m.in(1, 20, func() {
			if v != nil {
				op.Value, op.Tier = v.id, tier
				m.end(op)
			}
			m.next(p)
		})
	}
	m.in(0, 5, func() {
		if v := p.local[op.Key]; v != nil {
			done(v, history.Local)
			return
		}
		m.in(1, 30, func() { done(m.redis[op.Key].value, history.Remote) })
	})
}

func (m *model) getOrLoad(p *process) {
	op := m.begin(p, history.Read)
	op.Key = m.key()
	answer := func(v *value) {
		m.in(0, 20, func() {
			if v != nil {
				op.Value = v.id
				m.end(op)
			}
			m.next(p)
		})
	}
	m.in(0, 5, func() {
		if v := p.local[op.Key]; v != nil {
			answer(v)
			return
		}
		f := p.flights[op.Key]
		if f == nil {
			f = &flight{key: op.Key, invalidations: p.invalidations[op.Key]}
			p.flights[op.Key] = f
			m.in(1, 30, func() { m.lookup(p, f) })
		}
		f.waiting = append(f.waiting, answer)
	})
}

// lookup reads Redis for a flight.
func (m *model) lookup(p *process, f *flight) {
	s := m.redis[f.key]
	switch {
	case s.value != nil:
		m.in(1, 30, func() {
			m.fill(p, f, s.value)
			m.finishFlight(p, f, s.value)
		})
	case s.lease != 0 && m.bug != loadsTwice:
		m.in(10, 100, func() { m.lookup(p, f) })
	default:
		m.load(p, f)
	}
}

func (m *model) load(p *process, f *flight) {
	op := m.begin(p, history.Load)
	op.Key, op.Tags = f.key, m.tags()
	v := &value{op.ID, op.Tags, m.now}
	m.redis[f.key] = stored{lease: op.ID}
	f.loading = true
	longest := 300
	if m.rng.IntN(4) == 0 {
		longest = 3 * modelDelta
	}
	if m.rng.IntN(50) == 0 { // the load never ends, but its lease does
		m.record.Ops = append(m.record.Ops, op)
		m.in(modelLease, modelLease, func() {
			if m.redis[f.key].lease == op.ID {
				delete(m.redis, f.key)
			}
			m.finishFlight(p, f, nil)
		})
		return
	}
	m.in(20, longest, func() {
		m.store(p, f, v)
		m.end(op)
		m.finishFlight(p, f, v)
	})
}

// store puts a loaded value into Redis and then into the local tier, if the lease is still valid.
func (m *model) store(p *process, f *flight, v *value) {
	voided := slices.ContainsFunc(v.tags, func(tag string) bool { return m.tagged[tag] >= v.loadedAt })
	switch {
	case m.redis[f.key].lease != v.id:
		voided = true
		if m.bug == storesLate {
			m.redis[f.key] = stored{value: v}
		}
	case voided:
		delete(m.redis, f.key)
	default:
		m.redis[f.key] = stored{value: v}
		if m.bug == mixesKeys && m.rng.IntN(10) == 0 {
			m.redis[m.key()] = stored{value: v}
		}
	}
	if !voided || m.bug == fillsLate {
		m.fill(p, f, v)
	}
}

func (m *model) fill(p *process, f *flight, v *value) {
	if p.invalidations[f.key] == f.invalidations || m.bug == fillsLate {
		p.local[f.key] = v
	}
}

func (m *model) finishFlight(p *process, f *flight, v *value) {
	if p.flights[f.key] == f {
		delete(p.flights, f.key)
	}
	for _, answer := range f.waiting {
		answer(v)
	}
}

// write makes a write of the kind. Sometimes it fails or never returns, and may still take effect later.
func (m *model) write(p *process, kind history.Kind) {
	op := m.begin(p, kind)
	switch kind {
	case history.InvalidateTags:
		op.Tags = append(m.tags(), "a")
	case history.Clear:
	default:
		op.Key = m.key()
	}
	if kind == history.Set {
		op.Tags = m.tags()
	}
	if luck := m.rng.IntN(20); luck < 2 {
		m.in(1, 50, func() {
			if luck == 0 {
				op.End = m.now
			}
			m.record.Ops = append(m.record.Ops, op)
			m.next(p)
		})
		if m.rng.IntN(2) == 0 {
			m.in(1, 3000, func() {
				m.record.Disturbed = append(m.record.Disturbed, history.Window{Process: -1, Start: m.now, End: m.now})
				m.apply(p, &op)
			})
		}
		return
	}
	m.in(1, 30, func() {
		m.apply(p, &op)
		m.in(1, 30, func() {
			m.end(op)
			m.next(p)
		})
	})
}

// apply makes a write take effect: in Redis, then in this process, and later in the others.
func (m *model) apply(p *process, op *history.Op) {
	v := &value{op.ID, op.Tags, m.now}
	switch op.Kind {
	case history.Set:
		m.redis[op.Key] = stored{value: v}
	case history.Clear:
		m.redis = map[string]stored{}
	case history.InvalidateTags:
		for _, tag := range op.Tags {
			m.tagged[tag] = m.now
		}
		maps.DeleteFunc(m.redis, func(_ string, s stored) bool { return s.value != nil && share(s.value.tags, op.Tags) })
	default:
		delete(m.redis, op.Key)
	}
	for _, other := range m.processes {
		if other != p || m.bug == servesDeleted && op.Kind == history.Delete {
			latest := modelDelta
			if m.bug == invalidatesLate {
				latest *= 3
			}
			m.in(1, latest, func() { other.invalidate(op) })
		}
	}
	if p == nil || m.bug == servesDeleted && op.Kind == history.Delete {
		return
	}
	p.invalidate(op)
	maps.DeleteFunc(p.flights, func(key string, f *flight) bool {
		return key == op.Key && op.Kind != history.Expire || (key == op.Key || op.Key == "") && !f.loading
	})
	if op.Kind == history.Set {
		p.local[op.Key] = v
	}
}

// evict removes a value from Redis, which isn't recorded.
func (m *model) evict() {
	key := m.key()
	if m.redis[key].value == nil {
		return
	}
	delete(m.redis, key)
	for _, p := range m.processes {
		m.in(1, modelDelta, func() { p.invalidate(&history.Op{Kind: history.Delete, Key: key}) })
	}
}

// invalidate applies an invalidation to a process's local tier.
func (p *process) invalidate(op *history.Op) {
	for _, key := range modelKeys {
		if op.Key != "" && op.Key != key {
			continue
		}
		p.invalidations[key]++
		if v := p.local[key]; v != nil && (op.Kind != history.InvalidateTags || share(v.tags, op.Tags)) {
			delete(p.local, key)
		}
	}
}

func share(a, b []string) bool {
	return slices.ContainsFunc(a, func(tag string) bool { return slices.Contains(b, tag) })
}
