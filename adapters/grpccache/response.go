package grpccache

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// response is what a handler has said about its response.
type response struct {
	mu   sync.Mutex // a handler may have goroutines
	tags []string
	ttl  time.Duration
	set  bool // ttl was set
}

type responseKey struct{}

// AddTags adds tags to the response that is being loaded: at most 128, of 1 to 256 bytes each. More, or others, make the load fail. It
// does nothing if ctx isn't that of a handler, or of an invoker, whose response is to be stored.
func AddTags(ctx context.Context, tags ...string) {
	if r, ok := ctx.Value(responseKey{}).(*response); ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tags = append(r.tags, tags...)
	}
}

// SetTTL sets how long the response that is being loaded is fresh. 0 or less: it isn't stored. It does nothing if ctx isn't that of a
// handler, or of an invoker, whose response is to be stored.
func SetTTL(ctx context.Context, ttl time.Duration) {
	if r, ok := ctx.Value(responseKey{}).(*response); ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ttl, r.set = ttl, true
	}
}

// apply sets the entry's policy and tags to what the handler has said.
func (r *response) apply(e *tiered.Entry[[]byte]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Tags = slices.Clone(r.tags)
	if r.set {
		e.Policy.TTL = max(0, r.ttl)
	}
}
