package httpcache

import (
	"context"
	"sync"
)

// runKey is the key, in the context that a handler runs on, of its run.
type runKey struct{}

// run tells the caches that a run of a handler comes to what the run is for.
type run struct {
	cache   *Cache // it records the run
	primary string // under this key
	renewal *renewal
	outer   *run
}

// runOf returns the innermost run that the context is part of, or nil.
func runOf(ctx context.Context) *run {
	r, _ := ctx.Value(runKey{}).(*run)
	return r
}

// recorded reports whether the cache records the run, or one that it is part of, under the key.
func (r *run) recorded(c *Cache, primary string) bool {
	for ; r != nil; r = r.outer {
		if r.cache == c && r.primary == primary {
			return true
		}
	}
	return false
}

// borrowed is a request's context as a load may use it: without its values once the request has been answered. They
// may refer to memory that the server uses again for the next request, and a load may take longer than the request whose
// values it has.
type borrowed struct {
	context.Context
	mu       sync.RWMutex
	returned bool
}

func (b *borrowed) Value(key any) any {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.returned {
		return nil
	}
	return b.Context.Value(key)
}

// borrow returns a context for the loads of a request, which ends with the request's or when cancel is called. release is
// called before the request's context may be used again; it cancels too.
func borrow(request context.Context) (ctx context.Context, cancel, release func()) {
	b := &borrowed{Context: request}
	ctx, cancel = context.WithCancel(b)
	return ctx, cancel, func() {
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.returned = true
	}
}
