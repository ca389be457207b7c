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
)

// missesToOpen is how many calls in a row have to go unanswered for a breaker to open.
const missesToOpen = 3

// Breaker keeps calls from a server that doesn't answer: they fail at once, and cost their callers no Timeout. It opens
// when some calls in a row weren't answered, and neither was a small one in between, or when a canary wasn't. It closes when a
// canary was. It is our own since the
// libraries try a caller's call to see whether the server is back, where here the canaries show it anyway, and sooner.
type Breaker struct {
	redis     *Conn
	Addr      func() string
	feed      *coherence.Feed                 // that is silent while the breaker is open; nil: none
	ProbeWith func(ctx context.Context) error // asks the server whether it answers; nil: the stream's canaries do
	Hasten    func()                          // has a canary sent, where there is no probe
	Logged    func(at mono.Instant) bool      // nil, or reports whether the log has told of the outage already
	left      func()                          // nil, or called when the server is no more

	outage   atomic.Pointer[outage] // nil: closed
	batcher  atomic.Pointer[batcher]
	misses   atomic.Int32 // calls in a row that weren't answered
	answered atomic.Int64 // the instant at which the last call began that was
	asking   atomic.Bool  // something small is being asked
	doubted  atomic.Bool  // the last small call wasn't answered, nor was anything since

	mu      sync.Mutex // of what changes the breaker
	gone    bool       // the server is: the breaker stays closed
	limit   LogThrottle
	news    []stateChange
	telling bool // somebody tells the news
}

// outage is why and since when a breaker is open.
type outage struct {
	since  mono.Instant
	err    *NotSentError
	merged bool // the log has told of it as a loss of invalidations
}

// stateChange is a change of a breaker that is to be told.
type stateChange struct {
	cause      error // nil: the server is asked again
	lasted     time.Duration
	reminder   bool // for the log alone
	log        bool
	suppressed int
}

// errGone answers a probe of a server that isn't part of the Cluster any more.
var errGone = errors.New("the node isn't a master any more")

// NotSentError is the error of a call that wasn't made.
type NotSentError struct {
	addr  string
	cause error
}

func (e *NotSentError) Error() string {
	return fmt.Sprintf("redis %s isn't asked: %v", e.addr, e.cause)
}

func (e *NotSentError) Unwrap() error { return e.cause }

// NotSent reports whether Redis wasn't asked.
func NotSent(err error) bool {
	_, is := errors.AsType[*NotSentError](err)
	return is
}

// Err returns the error of a call that isn't to be made, if it isn't.
func (b *Breaker) Err(name string) error {
	if o := b.outage.Load(); o != nil && !b.redis.Calls.Over() { // else it is closed for good
		return fmt.Errorf("tiered: redis: %s: %w", name, o.err)
	}
	return nil
}

func (b *Breaker) IsOpen() bool { return b != nil && b.outage.Load() != nil }

// Report learns what became of a call to the server. See [breaker.heed].
func (s *Target) Report(ctx context.Context, began mono.Instant, err error) {
	s.Breaker.Report(ctx, s.to, began, err)
}

// Report learns what became of a call that the caller's ctx bounded, too. One that the caller itself gave up says nothing. to is
// the server, or nil if the breaker has a probe of its own.
func (b *Breaker) Report(ctx context.Context, to redis.Cmdable, began mono.Instant, err error) {
	had, timeout := mono.Now().Since(began), b.redis.Timeout
	switch {
	case !b.redis.Unanswered(err):
		b.Answered(began)
	case errors.Is(err, ErrClosed):
	case had < timeout-timeout/10 && isOver(ctx): // a write's context is a bit shorter than Timeout
	case began > mono.Instant(b.answered.Load()):
		b.missed(to, began, err)
	}
}

// missed counts a call that wasn't answered. Unless that was refused it may have been for a value that is too large for its
// time: with the first of them in a row the server is asked something small, and the breaker opens only if that isn't
// answered either.
func (b *Breaker) missed(to redis.Cmdable, began mono.Instant, err error) {
	misses := b.misses.Add(1)
	if isReply(err) {
		b.doubted.Store(true)
	} else if !b.doubted.Load() {
		b.askSmallSoon(to)
	}
	if misses >= missesToOpen && b.doubted.Load() {
		b.Open(began, err)
	}
}

// askSmallSoon asks the server something small in the background, unless that is under way.
func (b *Breaker) askSmallSoon(to redis.Cmdable) {
	if !b.asking.CompareAndSwap(false, true) {
		return
	}
	if !b.redis.Calls.Begin() {
		b.asking.Store(false)
		return
	}
	go func() {
		defer b.redis.Calls.End()
		defer b.asking.Store(false)
		asked := mono.Now()
		err := b.askSmall(to)
		switch {
		case errors.Is(err, ErrClosed):
		case errors.Is(err, errGone):
			b.Retire()
		case !b.redis.Unanswered(err):
			b.Answered(asked)
		case !b.answeredSince(asked):
			b.doubted.Store(true)
			if b.misses.Load() >= missesToOpen {
				b.Open(asked, err)
			}
		}
	}()
}

func (b *Breaker) askSmall(to redis.Cmdable) error {
	if b.ProbeWith != nil {
		return b.ProbeWith(b.redis.Life)
	}
	return b.redis.Probe(b.redis.Life, to)
}

// answeredSince reports whether the server has answered a call that began at the instant or later.
func (b *Breaker) answeredSince(at mono.Instant) bool { return b.answered.Load() >= int64(at) }

// isOver doesn't rely on ctx's timer, which may go off after a connection's deadline that was derived from it.
func isOver(ctx context.Context) bool {
	deadline, has := ctx.Deadline()
	return ctx.Err() != nil || has && !time.Now().Before(deadline)
}

// Answered notes that the server has answered a call that began at the instant.
func (b *Breaker) Answered(began mono.Instant) {
	if b.answered.Load() < int64(began) {
		b.answered.Store(int64(began))
	}
	if b.misses.Load() > 0 {
		b.misses.Store(0)
	}
	if b.doubted.Load() {
		b.doubted.Store(false)
	}
	b.redis.recheckCapabilities(began)
}

// Open opens the breaker, unless the server has answered what was asked after the instant. It answers whether it is open.
func (b *Breaker) Open(asked mono.Instant, cause error) bool {
	b.mu.Lock()
	if b.gone || int64(asked) < b.answered.Load() {
		b.mu.Unlock()
		return false
	}
	if b.outage.Load() != nil {
		b.remind()
		return true
	}
	at := mono.Now()
	o := &outage{since: at, err: &NotSentError{b.Addr(), bare(cause)}}
	b.outage.Store(o)
	n := stateChange{cause: o.err.cause}
	if b.feed != nil {
		b.feed.Unreachable.Store(true)
	}
	o.merged = b.Logged != nil && b.Logged(at)
	if !o.merged {
		n.log, n.suppressed = b.limit.Begins(at)
	}
	b.tell(n)
	if b.ProbeWith == nil {
		b.Hasten()
	} else if b.redis.Calls.Begin() {
		go func() {
			defer b.redis.Calls.End()
			b.probeLoop(b.redis.Life, o)
		}()
	}
	return true
}

// bare is the error without what this package has put before it.
func bare(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// Close has the server asked again.
func (b *Breaker) Close() {
	b.mu.Lock()
	if b.feed != nil && b.redis.Life.Err() == nil {
		b.feed.Unreachable.Store(false)
	}
	o := b.outage.Swap(nil)
	if o == nil {
		b.mu.Unlock()
		return
	}
	at := mono.Now()
	b.Answered(at) // a call that began before says nothing any more
	b.tell(stateChange{lasted: at.Since(o.since), log: b.limit.Ends()})
}

// Retire closes the breaker of a server that is no more, for good.
func (b *Breaker) Retire() {
	b.mu.Lock()
	b.gone = true
	b.mu.Unlock()
	b.Close()
	b.redis.dropBatcher(b)
	if b.left != nil {
		b.left()
	}
}

// MarkUnreachable has what isn't proved served, since the server doesn't answer: not if it is no more, and another one has its keys.
func (b *Breaker) MarkUnreachable() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.gone {
		b.feed.Unreachable.Store(true)
	}
}

// Mute is hush for good: the server's Redis is closed, and so is the breaker's chance to end that.
func (b *Breaker) Mute() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.feed.Unreachable.Store(true)
}

// probeLoop asks the server until it answers, for as long as the outage lasts.
func (b *Breaker) probeLoop(ctx context.Context, o *outage) {
	longest := b.redis.Heartbeat
	pause := longest / 10
	for b.outage.Load() == o {
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		}
		pause = min(mono.Times(2, pause), longest)
		asked := mono.Now()
		switch err := b.redis.Guard(func() error { return b.ProbeWith(ctx) }); {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errGone):
			b.Retire()
		case b.redis.Unanswered(err):
			b.Open(asked, err)
		default:
			b.Close()
		}
	}
}

// remind has the log tell of an outage that it was kept from telling of. It is called with the lock, and gives it up.
func (b *Breaker) remind() {
	n := stateChange{reminder: true}
	if o := b.outage.Load(); !o.merged {
		n.cause = o.err.cause
		n.log, n.suppressed = b.limit.Begins(mono.Now())
	}
	if !n.log {
		b.mu.Unlock()
		return
	}
	b.tell(n)
}

// tell tells the news in their order, without the lock: what is called may come back here. It is called with the lock, and
// gives it up.
func (b *Breaker) tell(n stateChange) {
	defer b.mu.Unlock()
	b.news = append(b.news, n)
	if b.telling {
		return
	}
	b.telling = true
	for len(b.news) > 0 {
		next := b.news[0]
		b.news = b.news[1:]
		b.mu.Unlock()
		b.announce(next)
		b.mu.Lock()
	}
	b.telling = false
}

func (b *Breaker) announce(n stateChange) {
	addr := b.Addr()
	if n.log {
		attrs := []slog.Attr{slog.String("addr", addr)}
		level, message := slog.LevelInfo, "tiered: Redis is asked again"
		if n.cause != nil {
			level, message = slog.LevelWarn, "tiered: Redis doesn't answer, and isn't asked"
			attrs = append(attrs, slog.Any("cause", n.cause))
		} else {
			attrs = append(attrs, slog.Duration("downtime", n.lasted))
		}
		if n.suppressed > 0 {
			attrs = append(attrs, slog.Int("suppressed", n.suppressed))
		}
		b.redis.Logger.LogAttrs(context.Background(), level, message, attrs...)
	}
	if !n.reminder {
		b.redis.Switched(addr, n.cause)
	}
}

// Status returns since when the server isn't asked, and why.
func (b *Breaker) Status() error {
	o := b.outage.Load()
	if o == nil {
		return nil
	}
	return fmt.Errorf("tiered: redis %s: not asked for %v: %w", o.err.addr, mono.Now().Since(o.since).Round(time.Millisecond), o.err.cause)
}
