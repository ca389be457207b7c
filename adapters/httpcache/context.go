package httpcache

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
)

// runKey is the context key of the innermost run that a handler belongs to: a *run, or a *backgroundRun that no cache records yet.
type runKey struct{}

// run tells the caches inside a handler's run which cache records it, and for which key.
type run struct {
	cache   *Cache // it records the run
	primary string // under this key
	outer   *run
}

// runOf returns the innermost run that the context is part of, or nil if no cache records that.
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

// requestContext is a request's context for use by a load. It has no values after the request has been answered, since they
// may refer to memory that the server reuses for the next request, and the load may take longer than the request. For the same
// reason it takes the Done channel once, and has an error of its own when that is closed: a reused context may have none, and
// package context panics then.
type requestContext struct {
	context.Context
	done     <-chan struct{}
	mu       sync.RWMutex
	returned bool
}

func (b *requestContext) Done() <-chan struct{} { return b.done }

func (b *requestContext) Err() error {
	select {
	case <-b.done:
	default:
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if !b.returned {
		if err := b.Context.Err(); err != nil {
			return err
		}
	}
	return context.Canceled
}

func (b *requestContext) Value(key any) any {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.returned {
		return nil
	}
	return b.Context.Value(key)
}

// borrowContext returns a context for the loads of a request, which ends with the request's or when cancel is called. release must be
// called before the request's context may be reused; it cancels, too.
func borrowContext(request context.Context) (ctx context.Context, cancel, release func()) {
	b := &requestContext{Context: request, done: request.Done()}
	ctx, cancel = context.WithCancel(b)
	return ctx, cancel, func() {
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.returned = true
	}
}

// watchedContext is the context of a recorded run. If the body that httputil.ReverseProxy copies breaks off, it looks for a server in
// its context, and at no other time. If there is one it panics with http.ErrAbortHandler, which a handler around it may
// recover (gin's Recovery does, and writes nothing); without one it returns as if the body were complete. So the context notes that
// the server was looked up. The result of the lookup is the same.
type watchedContext struct {
	context.Context
	looked *atomic.Bool
}

// unnoticedKey is the key for a watched context's http.ServerContextKey, as a found, without noting the lookup.
type unnoticedKey struct{}

type unnoticedServer struct{ server any }

func (w watchedContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		w.looked.Store(true)
	case unnoticedKey{}:
		return unnoticedServer{serverOf(w.Context)}
	}
	return w.Context.Value(key)
}

// serverOf returns a context's http.ServerContextKey without noting the lookup.
func serverOf(ctx context.Context) any {
	if f, ok := ctx.Value(unnoticedKey{}).(unnoticedServer); ok {
		return f.server
	}
	return ctx.Value(http.ServerContextKey)
}
