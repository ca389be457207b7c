package tiers

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/tags"
	"github.com/tiercache/tiercache/tiered/internal/values"
	"github.com/tiercache/tiercache/tiered/internal/wire"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// Parts are what Tiers are made of. All fields but Remote must be set.
type Parts[T, S any] struct {
	Local     *local.Tier[T]
	Remote    *remote.Tier[T] // nil: in-process only
	Keys      *inflight.Table[T, S]
	Tags      *tags.Index
	Values    *values.Funcs[T]
	Retention *record.Retention
	Hash      func(key string) uint64
	Base      context.Context      // of extensions of leases and of replays; it ends with the cache
	Life      *redisconn.Lifecycle // of the cache's goroutines
	ErrQueued error                // wrapped by the errors of writes that were queued

	Report func(message, key string, err error) // of a loaded value that can't be stored
}

// Tiers are both tiers of a cache.
type Tiers[T, S any] struct {
	Parts[T, S]
	Queue   *writequeue.Queue // nil without Redis
	release func(key string)  // released
}

// New returns the tiers of a cache.
func New[T, S any](p Parts[T, S]) *Tiers[T, S] {
	t := &Tiers[T, S]{Parts: p}
	t.release = t.released
	if p.Remote == nil {
		return t
	}
	t.Queue = writequeue.New(writequeue.Options{
		Queued: p.ErrQueued,
		Closed: redisconn.ErrClosed,
		Now: func() time.Time {
			at, _ := t.Remote.Conn.LatestTime()
			return at
		},
		Tags: writequeue.Tags{
			Invalidate:    t.Tags.Invalidate,
			InvalidateAll: t.Tags.Store.Clear,
			Forget:        t.Tags.Invalidated,
			ForgetAll:     t.Tags.EpochChanged,
		},
		ReplayKeys: t.replayKeys,
		Go:         t.replayer,
		MaxPause:   t.Remote.Conn.Heartbeat,
		Timeout:    t.Remote.Conn.Timeout,
	})
	return t
}

// Close makes the last attempt to replay what is queued, once Life has ended, and returns how many changes are lost.
func (t *Tiers[T, S]) Close() (lost int) {
	if t.Remote == nil {
		return 0
	}
	// This is time enough for a full queue if Redis answers: that takes twenty requests of a few milliseconds.
	return t.Queue.Close(mono.Times(redisconn.MaxTimeouts, t.Remote.Conn.Timeout))
}

// Changed handles a change of a key that Redis reports. rest is the key without the cache's prefix.
func (t *Tiers[T, S]) Changed(rest string) {
	switch kind, of := wire.ParseRest(rest); kind {
	case wire.ValueKey:
		t.Keys.Changed(of, t.Hash(of))
	case wire.LeaseKey:
		t.Keys.Wake(of, t.Hash(of))
	case wire.TagKey:
		t.Tags.TagChanged(of)
	case wire.EpochKey:
		t.Tags.EpochChanged()
	case wire.SeqKey:
		t.Tags.SeqChanged()
	}
}

// Interrupted handles a gap in Redis's reports of changes. It wakes the jobs that wait for a change, and drops the results of reads
// in progress. Cached records need no action: their validities have ended.
func (t *Tiers[T, S]) Interrupted() {
	t.Tags.Interrupted()
	t.Keys.Interrupted()
}

// released handles the release of a key's lease by this process.
func (t *Tiers[T, S]) released(key string) { t.Keys.Released(key, t.Hash(key)) }
