package record

import (
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Use says how a record may be used.
type Use uint8

// In the order in which more may be done with the record.
const (
	Unusable        Use = iota
	IfError             // stale: served only if a load fails or takes too long
	WhileRevalidate     // stale: served while a load in the background replaces it
	RefreshDue          // fresh: served, and a load in the background replaces it
	Good                // fresh: served
)

// Use returns how the record may be used at the instant. Its own windows, if it has any, take precedence over those of the
// reader's policy. An absence is never stale and served: it has neither a fallback nor a refresh.
func (r *Record[T]) Use(policy *wire.Windows, at mono.Instant) Use {
	stale := r.Stale(at)
	switch {
	case r.Absent && !stale:
		return Good
	case r.Absent:
		return Unusable
	}
	w := r.windows(policy)
	past := at.Since(r.FreshUntil)
	switch {
	case !stale && w.RefreshAfter > 0 && at.Since(r.Created) >= max(w.RefreshAfter-r.Early, w.RefreshAfter/2):
		return RefreshDue
	case !stale:
		return Good
	case !r.Expired && past < w.WhileRevalidate:
		return WhileRevalidate
	case w.IfError > 0 && past < w.IfError: // past is negative if the record was expired before the end of its TTL
		return IfError
	}
	return Unusable
}
