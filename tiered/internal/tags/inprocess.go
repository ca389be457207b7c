package tags

import (
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// A cache without Redis has no tag store. Its index alone counts the invalidations, and its states of tags are valid until they
// are replaced.

// begin begins an epoch in a cache without a tag store.
func (t *Index) begin(count uint64) {
	e := coherence.NewEpoch(coherence.EpochID{}, 0, coherence.Always)
	t.epoch.Store(e)
	t.current.Store(&coherence.Position{Epoch: e, Seq: count})
}

// create creates the missing records of tags in a cache without a tag store. They count as invalidated now, because an evicted
// record may have been.
func (t *Index) create(names []string, records map[string]*coherence.TagState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tag := range names {
		r := t.records[tag]
		if r == nil {
			r = &coherence.TagState{Seq: t.current.Load().Seq, Validity: coherence.Always, Until: mono.Instant(0).Add(1<<63 - 1)}
			t.put(tag, r)
		}
		records[tag] = r
	}
}

// expire replaces the record of a tag in a cache without a tag store, so that values from before count are stale. The caller
// holds t.mu.
func (t *Index) expire(tag string, count uint64) {
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

// Cleared applies a Clear, or with expire an ExpireAll, in a cache without a tag store.
func (t *Index) Cleared(expire bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	older, count := t.epoch.Load(), t.current.Load().Seq
	if !expire {
		if older.Latest != nil {
			older.Latest.Replace(nil)
		}
		older.Over.Store(true)
		t.begin(count)
		return
	}
	e := coherence.NewEpoch(coherence.EpochID{}, count+1, coherence.Always)
	older.Latest = older.Latest.Replace(e)
	e.Latest = older.Latest
	older.Over.Store(true)
	t.epoch.Store(e)
	t.current.Store(&coherence.Position{Epoch: e, Seq: count + 1})
}
