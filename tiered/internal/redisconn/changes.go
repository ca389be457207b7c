package redisconn

import (
	"log/slog"
	"sync"
	"time"
)

// change is a change of a breaker, for the log and for [Conn.BreakerChanged].
type change struct {
	cause      error // nil: the server is asked again
	lasted     time.Duration
	reminder   bool // for the log alone: nothing changed
	log        bool
	suppressed int
}

// changes are the changes of one breaker that aren't announced yet. They are added under the breaker's lock, and announced in
// their order without it: the functions that are called may use the breaker.
type changes struct {
	mu         sync.Mutex
	queue      []change
	announcing bool // by one goroutine
}

func (cs *changes) add(c change) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.queue = append(cs.queue, c)
}

// announce announces what is queued, unless another goroutine does: then that one announces these, too.
func (cs *changes) announce(b *Breaker) {
	for c, ok := cs.next(false); ok; c, ok = cs.next(true) {
		b.announce(c)
	}
}

// next returns the next change for the goroutine that announces. mine: that is the caller already.
func (cs *changes) next(mine bool) (c change, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.announcing && !mine {
		return change{}, false
	}
	if cs.announcing = len(cs.queue) > 0; !cs.announcing {
		return change{}, false
	}
	c, cs.queue = cs.queue[0], cs.queue[1:]
	return c, true
}

func (b *Breaker) announce(c change) {
	addr := b.Addr()
	switch {
	case !c.log:
	case c.cause != nil:
		attrs := WithSuppressed(c.suppressed, slog.String("addr", addr), slog.Any("cause", c.cause))
		logLine{slog.LevelWarn, "tiered: Redis doesn't answer, and isn't asked", attrs}.write(b.conn.Logger)
	default:
		attrs := []slog.Attr{slog.String("addr", addr), slog.Duration("downtime", c.lasted)}
		logLine{slog.LevelInfo, "tiered: Redis is asked again", attrs}.write(b.conn.Logger)
	}
	if !c.reminder {
		b.conn.BreakerChanged(addr, c.cause)
	}
}
