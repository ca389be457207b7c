package redisconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// failuresToOpen is how many calls in a row have to go unanswered for a breaker to open.
const failuresToOpen = 3

// Breaker keeps calls from a server that doesn't answer: they fail at once instead of after Timeout. It opens when some calls in a
// row weren't answered, nor a probe between them, or when a canary wasn't answered. It closes when a canary or a probe was. Other
// libraries' breakers send a caller's request to find out whether the server is back; here the canaries show it anyway, and sooner.
//
// A failed call alone says little: its value may be too large for Timeout, or its caller may have given it up. So
// Report ignores calls that ended with their caller's context before Timeout, and those that began before the last
// one that was answered. And a probe must fail as well: it is as small as a call can be, so that three large values
// in a row don't open the breaker.
//
// All that a call needs is atomic: neither Err nor Report takes the lock while the server answers. BreakerChanged
// leads to code of the user, which may ask for the Status of Redis. So it is called after the lock is released, as is
// the Logger, and deferred keeps these calls in the order of the changes.
//
// answered is an Instant since results don't come in the order in which calls began. Close sets it to the present: a
// call that began during the outage then can't open the breaker again.
//
// A breaker finds out in one of two ways that its server is back. The stream of the server sends canaries: then
// SendCanary has one sent when the breaker opens, others follow with each heartbeat, and package invalidation calls
// Answered and Close. Or there is no such stream, and ProbeWith is set: then probeLoop calls it at growing intervals,
// from a tenth of Heartbeat to a whole one.
type Breaker struct {
	caller       *Caller
	hooks        *breakerHooks
	Addr         func() string
	feed         *coherence.Feed                 // unreachable while the breaker is open; nil: none
	ProbeWith    func(ctx context.Context) error // asks the server whether it answers; nil: canaries do
	SendCanary   func()                          // sends a canary at once, where there is no ProbeWith
	OutageLogged func(at mono.Instant) bool      // nil, or reports whether the log has the outage already
	onRetire     func()                          // nil, or called by Retire

	outage      atomic.Pointer[outage] // nil: closed
	failures    atomic.Int32           // calls in a row that weren't answered
	answered    atomic.Int64           // the Instant at which the last call began that was answered
	probing     atomic.Bool            // a probe is under way
	probeFailed atomic.Bool            // the last probe wasn't answered, nor any call since

	mu       sync.Mutex // held while the breaker changes
	retired  bool       // the server was removed: the breaker stays closed
	throttle LogThrottle
	deferred deferredCalls
}

// breakerHooks are functions that the breakers of one Redis call.
type breakerHooks struct {
	// BreakerChanged is called when a server isn't asked any more, and with a nil cause when it is again.
	BreakerChanged func(addr string, cause error)

	answered func(began mono.Instant) // a server has answered a call that began at the instant
	retired  func(*Breaker)           // a server was removed
}

// outage is why and since when a breaker is open.
type outage struct {
	since  mono.Instant
	err    *notSentError
	logged bool // as a loss of invalidations
}

// errNotMaster is the error of a probe of a server that isn't part of the Cluster any more.
var errNotMaster = errors.New("the node isn't a master any more")

// Err returns the error of a call that must not be made; nil: it may.
func (b *Breaker) Err(name string) error {
	if o := b.outage.Load(); o != nil && !b.caller.Calls.Closed() { // else it is closed for good
		return callError(name, o.err)
	}
	return nil
}

// IsOpen reports whether the server isn't asked.
func (b *Breaker) IsOpen() bool { return b != nil && b.outage.Load() != nil }

// Status returns an error that says since when the server isn't asked, and why.
func (b *Breaker) Status() error {
	o := b.outage.Load()
	if o == nil {
		return nil
	}
	return fmt.Errorf("tiered: redis %s: not asked for %v: %w", o.err.addr, mono.Now().Since(o.since).Round(time.Millisecond), o.err.cause)
}

// Report takes the result of a call that began at the instant. A call that ended because its caller's ctx did says nothing. to
// is the server, or nil if the breaker has a ProbeWith.
func (b *Breaker) Report(ctx context.Context, to redis.Cmdable, began mono.Instant, err error) {
	took, timeout := mono.Now().Since(began), b.caller.Timeout
	switch {
	case !b.caller.Unanswered(err):
		b.Answered(began)
	case errors.Is(err, ErrClosed):
	case took < timeout-timeout/10 && isOver(ctx): // a write's context is a bit shorter than Timeout
	case began > mono.Instant(b.answered.Load()):
		b.countFailure(to, began, err)
	}
}

// countFailure counts a call that wasn't answered. Unless Redis refused it, the reason may be a value that is too large for its
// time. So a probe follows the first such call in a row, and the breaker opens only if that isn't answered either.
func (b *Breaker) countFailure(to redis.Cmdable, began mono.Instant, err error) {
	failures := b.failures.Add(1)
	if classify(err).isReply() {
		b.probeFailed.Store(true)
	} else if !b.probeFailed.Load() {
		b.probeSoon(to)
	}
	if failures >= failuresToOpen && b.probeFailed.Load() {
		b.Open(began, err)
	}
}

// probeSoon sends a probe in the background, unless one is under way.
func (b *Breaker) probeSoon(to redis.Cmdable) {
	if !b.probing.CompareAndSwap(false, true) {
		return
	}
	begun := b.caller.Calls.Go(func() {
		defer b.probing.Store(false)
		asked := mono.Now()
		err := b.probe(to)
		switch {
		case errors.Is(err, ErrClosed):
		case errors.Is(err, errNotMaster):
			b.Retire()
		case !b.caller.Unanswered(err):
			b.Answered(asked)
		case !b.answeredSince(asked):
			b.probeFailed.Store(true)
			if b.failures.Load() >= failuresToOpen {
				b.Open(asked, err)
			}
		}
	})
	if !begun {
		b.probing.Store(false)
	}
}

func (b *Breaker) probe(to redis.Cmdable) error {
	if b.ProbeWith != nil {
		return b.ProbeWith(b.caller.Context)
	}
	return b.caller.Probe(b.caller.Context, to)
}

// Probe asks the server for a key that isn't there. Unlike a PING, that is answered only if reads are.
func (c *Caller) Probe(ctx context.Context, server redis.Cmdable) error {
	_, err := Call(ctx, c, "probe", nil, func(ctx context.Context) (string, error) {
		return server.Get(ctx, wire.ProbeKey(c.Prefix, c.ID)).Result()
	})
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// answeredSince reports whether the server has answered a call that began at the instant or later.
func (b *Breaker) answeredSince(at mono.Instant) bool { return b.answered.Load() >= int64(at) }

// isOver reports whether ctx has ended. It doesn't rely on ctx's timer, which may fire after a connection's deadline that
// was derived from it.
func isOver(ctx context.Context) bool {
	deadline, has := ctx.Deadline()
	return ctx.Err() != nil || has && !time.Now().Before(deadline)
}

// Answered notes that the server has answered a call that began at the instant.
func (b *Breaker) Answered(began mono.Instant) {
	if b.answered.Load() < int64(began) {
		b.answered.Store(int64(began))
	}
	if b.failures.Load() > 0 {
		b.failures.Store(0)
	}
	if b.probeFailed.Load() {
		b.probeFailed.Store(false)
	}
	b.hooks.answered(began)
}

// Open opens the breaker, unless the server has answered a call that began after the instant. It reports whether the breaker
// is open.
func (b *Breaker) Open(asked mono.Instant, cause error) bool {
	o, opened := b.open(asked, cause)
	b.deferred.run()
	switch {
	case !opened:
	case b.ProbeWith == nil:
		b.SendCanary()
	default:
		b.caller.Calls.Go(func() { b.probeLoop(b.caller.Context, o) })
	}
	return o != nil
}

// open returns the outage, if there is one now, and reports whether this call began it.
func (b *Breaker) open(asked mono.Instant, cause error) (o *outage, opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.retired || int64(asked) < b.answered.Load() {
		return nil, false
	}
	at := mono.Now()
	if o := b.outage.Load(); o != nil {
		b.logOpen(o, at) // which may have been held back
		return o, false
	}
	o = &outage{since: at, err: &notSentError{b.Addr(), unwrapOnce(cause)}}
	o.logged = b.OutageLogged != nil && b.OutageLogged(at)
	b.outage.Store(o)
	if b.feed != nil {
		b.feed.Unreachable.Store(true)
	}
	b.logOpen(o, at)
	b.deferred.add(func() { b.hooks.BreakerChanged(b.Addr(), o.err.cause) })
	return o, true
}

// logOpen logs that the server isn't asked, unless the log has that or is to be kept short. It is called with the lock.
func (b *Breaker) logOpen(o *outage, at mono.Instant) {
	if o.logged {
		return
	}
	if log, suppressed := b.throttle.Begin(at); log {
		b.deferred.add(func() {
			attrs := WithSuppressed(suppressed, slog.String("addr", b.Addr()), slog.Any("cause", o.err.cause))
			b.caller.log(slog.LevelWarn, "tiered: Redis doesn't answer, and isn't asked", attrs...)
		})
	}
}

// Close closes the breaker: the server is asked again.
func (b *Breaker) Close() {
	b.close()
	b.deferred.run()
}

func (b *Breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.feed != nil && b.caller.Context.Err() == nil {
		b.feed.Unreachable.Store(false)
	}
	o := b.outage.Swap(nil)
	if o == nil {
		return
	}
	at := mono.Now()
	b.Answered(at) // a call that began before says nothing any more
	log := b.throttle.End()
	b.deferred.add(func() {
		if log {
			b.caller.log(slog.LevelInfo, "tiered: Redis is asked again", slog.String("addr", b.Addr()), slog.Duration("downtime", at.Since(o.since)))
		}
		b.hooks.BreakerChanged(b.Addr(), nil)
	})
}

// Retire closes the breaker of a server that was removed, for good.
func (b *Breaker) Retire() {
	b.mu.Lock()
	b.retired = true
	b.mu.Unlock()
	b.Close()
	b.hooks.retired(b)
	if b.onRetire != nil {
		b.onRetire()
	}
}

// isRetired reports whether the server was removed.
func (b *Breaker) isRetired() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.retired
}

// MarkUnreachable lets values be served whose validity has run out, since the server doesn't answer. It does nothing if the
// server was removed: another one has its keys. Once the Conn is closed no server has them, and Close doesn't undo it.
func (b *Breaker) MarkUnreachable() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.retired || b.caller.Context.Err() != nil {
		b.feed.Unreachable.Store(true)
	}
}

// probeLoop asks the server until it answers, for as long as the outage lasts.
func (b *Breaker) probeLoop(ctx context.Context, o *outage) {
	longest := b.caller.Heartbeat
	for pause := longest / 10; b.outage.Load() == o && mono.Sleep(ctx, pause, nil); {
		pause = min(mono.Times(2, pause), longest)
		asked := mono.Now()
		switch err := b.caller.CatchPanics(func() error { return b.ProbeWith(ctx) }); {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errNotMaster):
			b.Retire()
		case b.caller.Unanswered(err):
			b.Open(asked, err)
		default:
			b.Close()
		}
	}
}
