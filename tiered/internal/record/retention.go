package record

import (
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Retention says for how long records are kept past their TTL. All views of a cache share its records, so a record is kept
// for as long as any of them may serve it stale.
type Retention struct {
	staleFor atomic.Int64 // the longest time past the TTL for which a view serves a record
	replaces atomic.Bool  // a view may load a value while an older one is there
}

// Add takes the windows of one more view into account.
func (k *Retention) Add(w *wire.Windows) {
	if *w != (wire.Windows{}) {
		k.replaces.Store(true)
	}
	staleFor := int64(w.Keep())
	for {
		current := k.staleFor.Load()
		if current >= staleFor || k.staleFor.CompareAndSwap(current, staleFor) {
			return
		}
	}
}

// StaleFor returns for how long past its TTL a record without windows of its own may be of use.
func (k *Retention) StaleFor() time.Duration { return time.Duration(k.staleFor.Load()) }

// StaleFor returns for how long past the end of its TTL the record may be of use.
func (r *Record[T]) StaleFor(k *Retention) time.Duration {
	return wire.StaleFor(r.Absent, r.Windows, k.StaleFor())
}

// RedisTTL returns for how long Redis keeps the record: for as long as it may be of use, and for a lease's time more if a
// load that replaces it may begin before that.
func (r *Record[T]) RedisTTL(k *Retention) time.Duration {
	until := r.FreshUntil.Add(r.StaleFor(k))
	if k.replaces.Load() || r.Windows != nil {
		until = until.Add(wire.MaxLease)
	}
	return until.Since(r.Created)
}

// MaxRedisTTL returns the longest time for which Redis keeps a record that is fresh for ttl, unless it has windows of its
// own.
func (k *Retention) MaxRedisTTL(ttl time.Duration) time.Duration {
	return mono.Sum(mono.Sum(ttl, k.StaleFor()), wire.MaxLease)
}
