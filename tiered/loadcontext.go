package tiered

import (
	"context"
	"time"
)

// loadParent is the parent of a load's context. It ends when the cache closes, and has the values of the load's caller.
type loadParent struct {
	context.Context // of the cache
	caller          context.Context
	owner           *owner
}

// ownerKey is the key of a load's loadParent among the values of its context.
type ownerKey struct{}

// Value returns the value of the caller's context, or the loadParent itself. The cache's context is asked first, since it has no
// values but what the standard library needs to derive a context from it without a goroutine.
func (p *loadParent) Value(key any) any {
	if key == (ownerKey{}) {
		return p
	}
	if v := p.Context.Value(key); v != nil {
		return v
	}
	return p.caller.Value(key)
}

// loadContext returns the context of a load. It has the values of the caller that began the load and isn't cancelled with it.
// It ends after the timeout or when the cache closes; then overdue is called in a goroutine of its own, unless done was called
// before. done ends the context.
func (t *core[T]) loadContext(caller context.Context, p *owner, timeout time.Duration, overdue func()) (timed context.Context, done func()) {
	timed, cancel := context.WithTimeout(&loadParent{Context: t.base, caller: caller, owner: p}, timeout)
	stop := context.AfterFunc(timed, overdue)
	return timed, func() {
		stop()
		cancel()
	}
}

// within reports whether ctx belongs to a load of p, or to a load begun by such a load's loader, at any depth. A caller with that
// ctx must not wait for p's flights: it would wait for itself.
func (p *owner) within(ctx context.Context) bool {
	for {
		parent, ok := ctx.Value(ownerKey{}).(*loadParent)
		if !ok {
			return false
		}
		if parent.owner == p {
			return true
		}
		ctx = parent.caller
	}
}
