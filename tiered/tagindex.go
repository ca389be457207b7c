package tiered

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// tagIndex holds what this process knows of a cache's tag store, so that hits, and most loads, don't have to read it. In a
// cache without Redis, which has no tag store, it is the only place for tags.
type tagIndex struct {
	ledger       *tagStore                          // nil: in-process only
	strict       bool                               // never rely on the last known position
	epoch        atomic.Pointer[coherence.Epoch]    // nil: unknown
	position     atomic.Pointer[coherence.Position] // nil: unknown
	lastPosition atomic.Pointer[coherence.Position] // the last known
	own          atomic.Uint64                      // how often this process has invalidated tags

	opening singleflight.Group

	mu      sync.Mutex
	records map[string]*coherence.TagState
	// Changes that were heard of: a reply to a read that began before one isn't kept.
	epochChanges, seqChanges, tagChanges uint64
}

// maxTagRecords bounds the records of tags that a cache keeps, which take about 16 MB. A further record replaces another, and
// items of the local tier with that tag have to be read from Redis again.
const maxTagRecords = 1 << 17

func newTagIndex(l *tagStore) *tagIndex {
	t := &tagIndex{ledger: l, records: make(map[string]*coherence.TagState)}
	if l == nil {
		t.begin(0)
	}
	return t
}

// attach returns the dependencies of a value that Redis doesn't have. Their validity is p, which the caller bounds by the time
// at which the value was made. Only this process's invalidations of the tags are known: began is how many there were when the
// load began. attach returns nil if the value may have been invalidated since.
func (t *tagIndex) attach(s coherence.Position, names []string, p *coherence.Validity, began uint64) *coherence.Deps {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(names) > 0 && began != t.own.Load() {
		return nil
	}
	b := &coherence.Deps{Validity: p, Epoch: &coherence.Epoch{ID: s.Epoch.ID, Over: s.Epoch.Over}}
	b.Epoch.Validity.Store(p)
	for _, tag := range names {
		r := t.records[tag]
		if r == nil {
			r = &coherence.TagState{Validity: coherence.Never}
			t.keep(tag, r)
		}
		b.Tags = append(b.Tags, r)
	}
	return b
}

// bind returns the dependencies of records read from Redis: their epoch and tags. They are nil for a record that was
// invalidated, and nil with an error if the state of one of its tags can't be read. bind marks expired records as such.
func (t *tagIndex) bind(ctx context.Context, all []*record.Meta) (bound []*coherence.Deps, errs []error) {
	bound, errs = make([]*coherence.Deps, len(all)), make([]error, len(all))
	e, err := t.currentEpoch(ctx)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return bound, errs
	}
	var names []string
	for _, m := range all {
		if m != nil && m.Epoch == e.ID {
			names = append(names, m.Tags...)
		}
	}
	records, failed := t.known(ctx, names)
	for i, m := range all {
		if m == nil || m.Epoch != e.ID {
			continue
		}
		b := &coherence.Deps{Epoch: e}
		for _, tag := range m.Tags {
			b.Tags = append(b.Tags, records[tag])
			errs[i] = cmp.Or(errs[i], failed[tag])
		}
		v := m.Status(e, b.Tags)
		m.Expired = m.Expired || v == coherence.Expired
		if v != coherence.Invalid {
			bound[i] = b
		}
	}
	return bound, errs
}

// bindKnown is bind for one record, without asking the tag store. It returns false if it would have to, or if the record was
// invalidated or expired.
func (t *tagIndex) bindKnown(m *coherence.Stamp, at mono.Instant) (b coherence.Deps, ok bool) {
	e := t.epoch.Load()
	if e == nil || e.ID != m.Epoch || !e.Validity.Load().Holds(at) {
		return b, false
	}
	b.Epoch = e
	if len(m.Tags) > 0 {
		records := make(map[string]*coherence.TagState, len(m.Tags))
		if unknown, _ := t.recall(m.Tags, 0, records); len(unknown) > 0 {
			return b, false
		}
		for _, tag := range m.Tags {
			b.Tags = append(b.Tags, records[tag])
		}
	}
	return b, m.Status(e, b.Tags) == coherence.Valid
}

// known returns the tags' records, which it reads from the tag store where necessary, and the errors of those reads.
func (t *tagIndex) known(ctx context.Context, names []string) (records map[string]*coherence.TagState, failed map[string]error) {
	if len(names) == 0 {
		return nil, nil
	}
	records = make(map[string]*coherence.TagState, len(names))
	unknown, heard := t.recall(names, 0, records)
	if len(unknown) == 0 {
		return records, nil
	}
	entries := t.ledger.read(ctx, unknown)
	failed = make(map[string]error)
	for i, e := range entries {
		if e.err != nil {
			failed[unknown[i]] = e.err
		}
	}
	t.remember(unknown, entries, heard, records)
	return records, failed
}

// register returns the dependencies of a value that is to be stored for ttl, or nil if it was already invalidated. It creates
// the missing records of the value's tags.
func (t *tagIndex) register(ctx context.Context, s coherence.Position, names []string, ttl time.Duration) (*coherence.Deps, error) {
	b := &coherence.Deps{Epoch: s.Epoch}
	if t.ledger == nil {
		b.Validity = coherence.Always
	}
	if len(names) == 0 {
		return b, nil
	}
	m := coherence.Stamp{Epoch: s.Epoch.ID, Seq: s.Seq, Tags: names}
	records := make(map[string]*coherence.TagState, len(names))
	unknown, heard := t.recall(names, ttl, records)
	switch {
	case len(unknown) == 0:
	case t.ledger == nil:
		t.found(unknown, records)
	default:
		entries, err := t.ledger.enter(ctx, s.Epoch.ID, unknown, ttl)
		if err != nil {
			return nil, err
		}
		t.remember(unknown, entries, heard, records)
	}
	for _, tag := range names {
		b.Tags = append(b.Tags, records[tag])
	}
	if m.Status(s.Epoch, b.Tags) != coherence.Valid {
		return nil, nil
	}
	return b, nil
}

// recall puts the known records into records, if they are valid and Redis keeps them for ttl. It returns the other names, and
// the count of changes for remember.
func (t *tagIndex) recall(names []string, ttl time.Duration, records map[string]*coherence.TagState) (unknown []string, heard uint64) {
	at, current := mono.Now(), t.epoch.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tag := range names {
		if _, twice := records[tag]; twice {
			continue
		}
		r := t.records[tag]
		if r == nil || !r.Validity.Holds(at) || ttl > 0 && r.Until < at.Add(ttl) || current != nil && r.Epoch != current.ID {
			r = nil
			unknown = append(unknown, tag)
		}
		records[tag] = r
	}
	return unknown, t.tagChanges
}

// remember makes records of the tag store's replies. It keeps them unless a change was heard of since the read began.
func (t *tagIndex) remember(names []string, entries []tagReply, heard uint64, records map[string]*coherence.TagState) {
	at := mono.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, e := range entries {
		if !e.known {
			continue
		}
		r := &coherence.TagState{Epoch: e.era, Seq: e.count, Expiry: e.expiry, Validity: t.ledger.learned(e.proof), Until: at.Add(e.life)}
		records[names[i]] = r
		if heard != t.tagChanges || !r.Validity.Holds(at) {
			r.Dead.Store(true)
			continue
		}
		older := t.records[names[i]]
		if older != nil && older.Epoch == r.Epoch && older.Seq == r.Seq && older.Expiry == r.Expiry && !older.Dead.Load() {
			older.Until = max(older.Until, r.Until)
			if e.proof == coherence.Always {
				older.Validity.Extend(r.Validity.Until())
			}
			if older.Validity.Holds(at) {
				records[names[i]] = older
				continue
			}
		}
		t.keep(names[i], r)
	}
}

// found creates the missing records of tags in a cache without a tag store. They count as invalidated now, because an evicted
// record may have been.
func (t *tagIndex) found(names []string, records map[string]*coherence.TagState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tag := range names {
		r := t.records[tag]
		if r == nil {
			r = &coherence.TagState{Seq: t.position.Load().Seq, Validity: coherence.Always, Until: mono.Instant(0).Add(1<<63 - 1)}
			t.keep(tag, r)
		}
		records[tag] = r
	}
}

// keep stores a tag's record in place of its older one, or of any other if there is no room. The caller holds t.mu.
func (t *tagIndex) keep(tag string, r *coherence.TagState) {
	if t.records[tag] != nil {
		t.drop(tag)
	} else if len(t.records) >= maxTagRecords {
		for other := range t.records { // any
			t.drop(other)
			break
		}
	}
	t.records[tag] = r
}

// drop removes a tag's record and makes what depends on it invalid. The caller holds t.mu.
func (t *tagIndex) drop(tag string) {
	if r := t.records[tag]; r != nil {
		if r.Latest != nil {
			r.Latest.Replace(nil)
		}
		r.Dead.Store(true)
		delete(t.records, tag)
	}
}

// expire replaces the record of a tag in a cache without a tag store, so that values from before count are stale. The caller
// holds t.mu.
func (t *tagIndex) expire(tag string, count uint64) {
	older := t.records[tag]
	if older == nil {
		return // no value has the tag
	}
	r := &coherence.TagState{Epoch: older.Epoch, Seq: older.Seq, Expiry: count, Validity: older.Validity, Until: older.Until}
	older.Latest = older.Latest.Replace(r)
	r.Latest = older.Latest
	older.Dead.Store(true)
	t.records[tag] = r
}

// invalidated applies an invalidation of tags, or with expire an expiry, to this process's memory.
func (t *tagIndex) invalidated(names []string, expire bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ledger == nil {
		s := t.position.Load()
		t.position.Store(&coherence.Position{Epoch: s.Epoch, Seq: s.Seq + 1})
	} else {
		t.seqChanges++
		t.position.Store(nil)
	}
	t.tagChanges++
	for _, tag := range names {
		if expire && t.ledger == nil {
			t.expire(tag, t.position.Load().Seq)
		} else {
			t.drop(tag)
		}
	}
	t.own.Add(1)
}

// seqChanged handles a change of the tag store's count: the position is unknown then.
func (t *tagIndex) seqChanged() {
	if t.ledger == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seqChanges++
	t.position.Store(nil)
}

// tagChanged handles a change of a tag's record in the tag store.
func (t *tagIndex) tagChanged(tag string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tagChanges++
	t.drop(tag)
}

// interrupted keeps reads under way from being remembered, because changes may have been missed.
func (t *tagIndex) interrupted() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epochChanges++
	t.seqChanges++
	t.tagChanges++
	t.position.Store(nil)
}
