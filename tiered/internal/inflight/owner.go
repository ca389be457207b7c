package inflight

import (
	"context"
	"time"
)

// Owner identifies the call that began a flight, or all flights of a batch. It has no state, only an identity.
type Owner struct {
	_ byte // gives each Owner its own address
}

// ownedContext is a context of a load. It has the values of the load's caller, and ends with the cache.
//
// Value asks base first, so that package context finds base's own cancellation there and needs no goroutine to wait for its end.
// base has no other values; all those of a program come from the caller's context. The chain of ownedContexts that Within
// follows is one of loads: a loader's call begins a load, whose loader makes a call, and so on.
type ownedContext struct {
	context.Context // ends the load
	caller          context.Context
	owner           *Owner
	timed           context.Context // made from this one: it ends after the load's time, or with the load
}

// ownerKey is the key of the ownedContext among the values of a load's context.
type ownerKey struct{}

// NewContext returns the context of a load of o. It has the values of the caller that began the load and isn't cancelled with it. It
// ends after the timeout or with base; then overdue is called in a goroutine of its own, unless done was called before. done ends the
// context. base must have no values but what the standard library needs to derive a context from it without a goroutine.
func NewContext(base, caller context.Context, o *Owner, timeout time.Duration, overdue func()) (ctx context.Context, done func()) {
	owned := &ownedContext{Context: base, caller: caller, owner: o}
	ctx, cancel := context.WithTimeout(owned, timeout)
	owned.timed = ctx
	stop := context.AfterFunc(ctx, overdue)
	return ctx, func() {
		stop()
		cancel()
	}
}

// Value returns the value of the caller's context, or for an ownerKey the context itself.
func (c *ownedContext) Value(key any) any {
	if key == (ownerKey{}) {
		return c
	}
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.caller.Value(key)
}

// Within reports whether ctx belongs to a load of o, or to a load begun by such a load's loader, at any depth. A caller with that
// ctx must not wait for o's flights: it would wait for itself.
func (o *Owner) Within(ctx context.Context) bool {
	for {
		c, ok := ctx.Value(ownerKey{}).(*ownedContext)
		if !ok {
			return false
		}
		if c.owner == o {
			return true
		}
		ctx = c.caller
	}
}

// Loading reports whether ctx belongs to a load whose context was made with base, or to a load begun by such a load's loader, at any
// depth. It doesn't once ctx or one of those loads has ended, even if ctx was made by context.WithoutCancel: then no load waits for
// what is begun with it.
func Loading(ctx, base context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	for {
		c, ok := ctx.Value(ownerKey{}).(*ownedContext)
		if !ok || c.timed.Err() != nil {
			return false
		}
		if c.Context == base {
			return true
		}
		ctx = c.caller
	}
}
