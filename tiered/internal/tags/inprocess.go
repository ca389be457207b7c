package tags

import (
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// A cache without Redis has no tag store. Its index alone counts the invalidations, and its states of tags are valid until they
// are replaced.
//
// With Redis, a value that was expired is read from there again, with the tag's new state. Here the item is all there is. So the
// states of a tag that follow each other by expiries share a Latest, which points to the last one: an item finds there what its
// stale copy depends on, however many expiries there were. After an invalidation it points to nothing, and the item is of no use.
// The epochs of ExpireAll and Clear do the same.

// begin begins an epoch in a cache without a tag store.
func (x *Index) begin(count uint64) {
	e := coherence.NewEpoch(coherence.EpochID{}, 0, coherence.Always)
	x.epoch.Store(e)
	x.current.Store(&coherence.Position{Epoch: e, Seq: count})
}

// create creates the missing records of tags in a cache without a tag store. They count as invalidated now, because an evicted
// record may have been.
func (x *Index) create(names []string, records map[string]*coherence.TagState) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, tag := range names {
		r := x.records[tag]
		if r == nil {
			r = &coherence.TagState{Seq: x.current.Load().Seq, Validity: coherence.Always, Until: mono.Instant(0).Add(1<<63 - 1)}
			x.put(tag, r)
		}
		records[tag] = r
	}
}

// expire replaces the record of a tag in a cache without a tag store, so that values from before count are stale. The caller
// holds t.mu.
func (x *Index) expire(tag string, count uint64) {
	older := x.records[tag]
	if older == nil {
		return // no value has the tag
	}
	r := &coherence.TagState{Epoch: older.Epoch, Seq: older.Seq, Expiry: count, Validity: older.Validity, Until: older.Until}
	older.Latest = older.Latest.Replace(r)
	r.Latest = older.Latest
	older.Dead.Store(true)
	x.records[tag] = r
}

// Cleared applies a Clear, or with expire an ExpireAll, in a cache without a tag store.
func (x *Index) Cleared(expire bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	older, count := x.epoch.Load(), x.current.Load().Seq
	if !expire {
		if older.Latest != nil {
			older.Latest.Replace(nil)
		}
		older.Over.Store(true)
		x.begin(count)
		return
	}
	e := coherence.NewEpoch(coherence.EpochID{}, count+1, coherence.Always)
	older.Latest = older.Latest.Replace(e)
	e.Latest = older.Latest
	older.Over.Store(true)
	x.epoch.Store(e)
	x.current.Store(&coherence.Position{Epoch: e, Seq: count + 1})
}
