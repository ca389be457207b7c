package tiered

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// tags is what this process knows of a cache's ledger, so that neither a hit nor, as a rule, a load has to ask for it. A
// cache without Redis has no ledger: this then is all there is.
type tags struct {
	ledger  *ledger // nil: in-process only
	strict  bool    // never rely on what was last known
	backlog *backlog
	era     atomic.Pointer[era]   // nil: not known
	now     atomic.Pointer[stamp] // nil: not known
	last    atomic.Pointer[stamp] // the last that was known
	own     atomic.Uint64         // how often this process has invalidated tags

	opening singleflight.Group

	mu      sync.Mutex
	records map[string]*tagRecord
	// How often was heard of a change, so that what was read before isn't kept after it.
	erasHeard, countsHeard, tagsHeard uint64
}

// maxTagRecords bounds what a cache remembers of tags: about 16 MB. A record more takes the place of another, and what is
// in the local tier with that one's tag has to be read from Redis again.
const maxTagRecords = 1 << 17

func newTags(l *ledger) *tags {
	t := &tags{ledger: l, records: make(map[string]*tagRecord)}
	if l == nil {
		t.begin(0)
	}
	return t
}

// attach returns the bonds of a load's result that Redis doesn't have. Its proof is that nobody can have hidden it for
// longer than maxAge: its load began no longer ago. Tags are only known as far as this process invalidates them: began is
// how often it had when the load began. nil: the result may have been invalidated.
func (t *tags) attach(s stamp, names []string, p *proof, began uint64) *bonds {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(names) > 0 && began != t.own.Load() {
		return nil
	}
	b := &bonds{proof: p, era: &era{id: s.era.id, over: s.era.over}}
	b.era.proof.Store(p)
	for _, tag := range names {
		r := t.records[tag]
		if r == nil {
			r = &tagRecord{proof: unproven}
			t.keep(tag, r)
		}
		b.tags = append(b.tags, r)
	}
	return b
}

// bind returns the bonds of records that Redis holds: their era and tags. A record that was invalidated has none, nor has
// one with a tag of which that isn't known: then with an error. One that was expired becomes so.
func (t *tags) bind(ctx context.Context, all []*traits) (bound []*bonds, errs []error) {
	bound, errs = make([]*bonds, len(all)), make([]error, len(all))
	e, err := t.current(ctx)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return bound, errs
	}
	var names []string
	for _, m := range all {
		if m != nil && m.era == e.id {
			names = append(names, m.tags...)
		}
	}
	records, failed := t.known(ctx, names)
	for i, m := range all {
		if m == nil || m.era != e.id {
			continue
		}
		b := &bonds{era: e}
		for _, tag := range m.tags {
			b.tags = append(b.tags, records[tag])
			errs[i] = cmp.Or(errs[i], failed[tag])
		}
		v := m.validity(e, b.tags)
		m.expired = m.expired || v == isExpired
		if v != isInvalid {
			bound[i] = b
		}
	}
	return bound, errs
}

// bindKnown is bind for one record at an instant, where it takes no word to the ledger; false: it does, or the record was
// invalidated or expired.
func (t *tags) bindKnown(m *marks, at mono.Instant) (b bonds, ok bool) {
	e := t.era.Load()
	if e == nil || e.id != m.era || !e.proof.Load().holds(at) {
		return b, false
	}
	b.era = e
	if len(m.tags) > 0 {
		records := make(map[string]*tagRecord, len(m.tags))
		if unknown, _ := t.recall(m.tags, 0, records); len(unknown) > 0 {
			return b, false
		}
		for _, tag := range m.tags {
			b.tags = append(b.tags, records[tag])
		}
	}
	return b, m.validity(e, b.tags) == isValid
}

// known returns the records of the tags that have one, and the errors of those that couldn't be read.
func (t *tags) known(ctx context.Context, names []string) (records map[string]*tagRecord, failed map[string]error) {
	if len(names) == 0 {
		return nil, nil
	}
	records = make(map[string]*tagRecord, len(names))
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

// enroll returns the bonds of a load's result that is to be kept for ttl; nil: it was invalidated already. Its tags get
// records where they have none.
func (t *tags) enroll(ctx context.Context, s stamp, names []string, ttl time.Duration) (*bonds, error) {
	b := &bonds{era: s.era}
	if t.ledger == nil {
		b.proof = selfEvident
	}
	if len(names) == 0 {
		return b, nil
	}
	m := marks{s.era.id, s.count, names}
	records := make(map[string]*tagRecord, len(names))
	unknown, heard := t.recall(names, ttl, records)
	switch {
	case len(unknown) == 0:
	case t.ledger == nil:
		t.found(unknown, records)
	default:
		entries, err := t.ledger.enter(ctx, s.era.id, unknown, ttl)
		if err != nil {
			return nil, err
		}
		t.remember(unknown, entries, heard, records)
	}
	for _, tag := range names {
		b.tags = append(b.tags, records[tag])
	}
	if m.validity(s.era, b.tags) != isValid {
		return nil, nil
	}
	return b, nil
}

// recall puts the records that are known, proved and kept by Redis for ttl into records, and returns the other names.
func (t *tags) recall(names []string, ttl time.Duration, records map[string]*tagRecord) (unknown []string, heard uint64) {
	at, current := mono.Now(), t.era.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tag := range names {
		if _, twice := records[tag]; twice {
			continue
		}
		r := t.records[tag]
		if r == nil || !r.proof.holds(at) || ttl > 0 && r.until < at.Add(ttl) || current != nil && r.era != current.id {
			r = nil
			unknown = append(unknown, tag)
		}
		records[tag] = r
	}
	return unknown, t.tagsHeard
}

// remember turns what was read into records, which it keeps unless something was heard since.
func (t *tags) remember(names []string, entries []tagEntry, heard uint64, records map[string]*tagRecord) {
	at := mono.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, e := range entries {
		if !e.known {
			continue
		}
		r := &tagRecord{era: e.era, count: e.count, expiry: e.expiry, proof: t.ledger.redis.learned(e.proof), until: at.Add(e.life)}
		records[names[i]] = r
		if heard != t.tagsHeard || !r.proof.holds(at) {
			r.dead.Store(true)
			continue
		}
		older := t.records[names[i]]
		if older != nil && older.era == r.era && older.count == r.count && older.expiry == r.expiry && !older.dead.Load() {
			older.until = max(older.until, r.until)
			if e.proof == selfEvident {
				older.proof.extend(r.proof.ends())
			}
			if older.proof.holds(at) {
				records[names[i]] = older
				continue
			}
		}
		t.keep(names[i], r)
	}
}

// found makes the records of tags in a cache without a ledger: whatever was invalidated before now may have had them.
func (t *tags) found(names []string, records map[string]*tagRecord) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tag := range names {
		r := t.records[tag]
		if r == nil {
			r = &tagRecord{count: t.now.Load().count, proof: selfEvident, until: mono.Instant(0).Add(1<<63 - 1)}
			t.keep(tag, r)
		}
		records[tag] = r
	}
}

// keep is called with the lock.
func (t *tags) keep(tag string, r *tagRecord) {
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

func (t *tags) drop(tag string) {
	if r := t.records[tag]; r != nil {
		if r.latest != nil {
			r.latest.replace(nil)
		}
		r.dead.Store(true)
		delete(t.records, tag)
	}
}

// expire makes the record of a tag, in a cache without a ledger, one that says that what has it is stale since that count. It
// is called with the lock.
func (t *tags) expire(tag string, count uint64) {
	older := t.records[tag]
	if older == nil {
		return // nothing has it
	}
	r := &tagRecord{era: older.era, count: older.count, expiry: count, proof: older.proof, until: older.until}
	older.latest = older.latest.replace(r)
	r.latest = older.latest
	older.dead.Store(true)
	t.records[tag] = r
}

// invalidate makes all that has one of the tags invalid, or with expire stale, and whatever a load that began before may bring.
func (t *tags) invalidate(ctx context.Context, names []string, expire bool) (err error) {
	if t.ledger == nil {
		t.invalidated(names, expire)
		return nil
	}
	mark := t.backlog.mark()
	done, failed, err := t.ledger.invalidate(ctx, names, expire)
	if err != nil {
		err = t.backlog.queueTags(failed, expire, err) // before anything is forgotten here, see consult
	}
	t.invalidated(names, expire)
	t.backlog.pay(func() { t.backlog.payTags(done, mark, expire) }) // reads rely on Redis again
	return err
}

// invalidated is what an invalidation is in this process.
func (t *tags) invalidated(names []string, expire bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ledger == nil {
		s := t.now.Load()
		t.now.Store(&stamp{s.era, s.count + 1})
	} else {
		t.countsHeard++
		t.now.Store(nil)
	}
	t.tagsHeard++
	for _, tag := range names {
		if expire && t.ledger == nil {
			t.expire(tag, t.now.Load().count)
		} else {
			t.drop(tag)
		}
	}
	t.own.Add(1)
}

func (t *tags) heardCount() {
	if t.ledger == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.countsHeard++
	t.now.Store(nil)
}

func (t *tags) heardTag(tag string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tagsHeard++
	t.drop(tag)
}

// interrupted is called when changes may have gone unheard.
func (t *tags) interrupted() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erasHeard++
	t.countsHeard++
	t.tagsHeard++
	t.now.Store(nil)
}
