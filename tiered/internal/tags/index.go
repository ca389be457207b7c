package tags

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Index holds what this process knows of a cache's tag store, so that hits, and most loads, don't have to read it. In a
// cache without Redis, which has no tag store, it is the only place for tags.
//
// It forgets a state by marking it and dropping the pointer; a new read makes another. So a state never becomes valid again, and
// items needn't be found when their tag is invalidated. A reply of the store isn't kept if a change of what it says was reported
// since the request began: epochChanges, seqChanges and tagChanges count these. own counts this process's invalidations of tags,
// also those that Redis didn't take: a value that isn't in Redis has nothing else to be compared with.
type Index struct {
	Store   *Store                             // nil: in-process only
	strict  bool                               // never rely on the last known position
	epoch   atomic.Pointer[coherence.Epoch]    // nil: unknown
	current atomic.Pointer[coherence.Position] // nil: unknown
	last    atomic.Pointer[coherence.Position] // the last known
	own     atomic.Uint64                      // how often this process has invalidated tags

	asking singleflight.Group

	mu      sync.Mutex
	records map[string]*coherence.TagState
	// Changes that were reported: a reply to a read that began before one isn't kept.
	epochChanges, seqChanges, tagChanges uint64
}

// maxTags bounds the records of tags that a cache keeps, which take about 16 MB. A further record replaces another, and
// items of the local tier with that tag have to be read from Redis again.
const maxTags = 1 << 17

// New returns the index of a cache with the tag store s, or of one without Redis if s is nil. A strict index never relies on a
// position that may be outdated.
func New(s *Store, strict bool) *Index {
	t := &Index{Store: s, strict: strict, records: make(map[string]*coherence.TagState)}
	if s == nil {
		t.begin(0)
	}
	return t
}

// Invalidations returns how often this process has invalidated tags.
func (x *Index) Invalidations() uint64 { return x.own.Load() }

// kept puts the known records into records, if they are valid and Redis keeps them for ttl. It returns the other names, and
// the count of changes for keepReplies.
func (x *Index) kept(names []string, ttl time.Duration, records map[string]*coherence.TagState) (unknown []string, changes uint64) {
	at, current := mono.Now(), x.epoch.Load()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, tag := range names {
		if _, twice := records[tag]; twice {
			continue
		}
		r := x.records[tag]
		if r == nil || !r.Validity.Holds(at) || ttl > 0 && r.Until < at.Add(ttl) || current != nil && r.Epoch != current.ID {
			r = nil
			unknown = append(unknown, tag)
		}
		records[tag] = r
	}
	return unknown, x.tagChanges
}

// keepReplies makes records of the tag store's replies. It keeps them unless a change was reported since the read began.
func (x *Index) keepReplies(names []string, replies []tagReply, changes uint64, records map[string]*coherence.TagState) {
	at := mono.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, e := range replies {
		if !e.known {
			continue
		}
		r := &coherence.TagState{Epoch: e.epoch, Seq: e.seq, Expiry: e.expiry, Validity: x.Store.lasting(e.validity), Until: at.Add(e.ttl)}
		records[names[i]] = r
		if changes != x.tagChanges || !r.Validity.Holds(at) {
			r.Dead.Store(true)
			continue
		}
		older := x.records[names[i]]
		if older != nil && older.Epoch == r.Epoch && older.Seq == r.Seq && older.Expiry == r.Expiry && !older.Dead.Load() {
			older.Until = max(older.Until, r.Until)
			if e.validity == coherence.Always {
				older.Validity.Extend(r.Validity.Until())
			}
			if older.Validity.Holds(at) {
				records[names[i]] = older
				continue
			}
		}
		x.put(names[i], r)
	}
}

// put stores a tag's record in place of its older one, or of any other if there is no room. The caller holds t.mu.
func (x *Index) put(tag string, r *coherence.TagState) {
	if x.records[tag] != nil {
		x.drop(tag)
	} else if len(x.records) >= maxTags {
		for other := range x.records { // any
			x.drop(other)
			break
		}
	}
	x.records[tag] = r
}

// drop removes a tag's record and makes what depends on it invalid. The caller holds t.mu.
func (x *Index) drop(tag string) {
	if r := x.records[tag]; r != nil {
		if r.Latest != nil {
			r.Latest.Replace(nil)
		}
		r.Dead.Store(true)
		delete(x.records, tag)
	}
}

// Invalidated applies an invalidation of tags, or with expire an expiry, to this process's memory.
func (x *Index) Invalidated(names []string, expire bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.Store == nil {
		s := x.current.Load()
		x.current.Store(&coherence.Position{Epoch: s.Epoch, Seq: s.Seq + 1})
	} else {
		x.seqChanges++
		x.current.Store(nil)
	}
	x.tagChanges++
	for _, tag := range names {
		if expire && x.Store == nil {
			x.expire(tag, x.current.Load().Seq)
		} else {
			x.drop(tag)
		}
	}
	x.own.Add(1)
}

// SeqChanged handles a change of the tag store's count: the position is unknown then.
func (x *Index) SeqChanged() {
	if x.Store == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.seqChanges++
	x.current.Store(nil)
}

// TagChanged handles a change of a tag's record in the tag store.
func (x *Index) TagChanged(tag string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tagChanges++
	x.drop(tag)
}

// Interrupted keeps the replies to reads under way from being kept, because changes may have been missed.
func (x *Index) Interrupted() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.epochChanges++
	x.seqChanges++
	x.tagChanges++
	x.current.Store(nil)
}
