package invalidation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

var (
	errStarting = errors.New("not connected yet")
	errLapsed   = errors.New("no answer from Redis in time")
)

// status is what the log and Redis.Status say about whether invalidations arrive.
type status struct {
	mu    sync.Mutex
	name  string // of the server in the client's options
	peer  string // the address of the last connection
	well  bool
	since mono.Instant // of not being well
	cause error        // why that is so, or what may become the cause; nil: nothing known
	told  logged       // what the log says since then
	last  mono.Instant // when it said so

	suspected mono.Instant // the canary that the cause is of, if it is one's
	limit     redisconn.LogThrottle
}

// logged grows while a stream is down.
type logged int

const (
	loggedNothing logged = iota
	loggedDown
	loggedForGood // it won't heal by itself
)

// suspect notes what may be the cause, should the validity run out: what became of the canary of the instant.
func (h *status) suspect(at mono.Instant, cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cause, h.suspected = cause, at
}

// trust forgets what may have become the cause, if a later canary than that has come back.
func (h *status) trust(at mono.Instant) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.well && at > h.suspected {
		h.cause = nil
	}
}

func (h *status) connected(peer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peer = peer
}

// where returns the server's address: that of the connection if it is for others to say where the server is (Sentinel).
func (h *status) where() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, _, err := net.SplitHostPort(h.name); err != nil && h.peer != "" {
		return h.peer
	}
	return h.name
}

// downSince returns since when the stream is down, if it is down at the instant.
func (h *status) downSince(at mono.Instant) mono.Instant {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.well {
		return at
	}
	return h.since
}

// up tells that invalidations arrive.
func (s *stream) up() {
	h := &s.health
	h.mu.Lock()
	var lasted time.Duration
	if !h.well {
		lasted = mono.Now().Since(h.since)
	}
	if !h.well {
		h.cause = nil // else it may be that of a canary which a PONG doesn't speak for
	}
	h.well, h.told = true, loggedNothing
	told := h.limit.Ends()
	h.mu.Unlock()
	if told {
		s.log(slog.LevelInfo, "tiered: invalidations arrive again", slog.Duration("downtime", lasted))
	}
	s.firstOutcome(nil)
}

// down tells that since the instant no invalidations arrive. The log says so once, and once more if it turns out to be
// for good; not if it says already that Redis doesn't answer.
func (s *stream) down(since mono.Instant, cause error) {
	h := &s.health
	h.mu.Lock()
	if h.well {
		h.well, h.since = false, since
	}
	if cause != nil {
		h.cause = cause
	}
	if h.cause == nil {
		h.cause = errLapsed
	}
	var refused *redisconn.PermanentError
	now, news := mono.Now(), loggedDown
	if errors.As(h.cause, &refused) {
		news = loggedForGood
	}
	cause = h.cause
	returned := s.firstOutcome(cause) && news == loggedForGood // NewRedis says it
	tell, suppressed := !returned && news > h.told, 0
	if tell && h.told == loggedNothing {
		if tell = news == loggedForGood || !s.breaker.IsOpen(); tell {
			tell, suppressed = h.limit.Begins(now)
		}
	}
	if tell {
		h.told, h.last = news, now
	}
	h.mu.Unlock()
	level, message := slog.LevelWarn, "tiered: no invalidations"
	if news == loggedForGood {
		level, message = slog.LevelError, "tiered: invalidations can't arrive"
	}
	if tell {
		attrs := []slog.Attr{slog.Any("cause", cause)}
		if suppressed > 0 {
			attrs = append(attrs, slog.Int("suppressed", suppressed))
		}
		s.log(level, message, attrs...)
	}
}

// toldLately reports whether the log has said, in the present outage and no longer ago than that, that the stream is down.
func (h *status) toldLately(at mono.Instant, ago time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.told == loggedDown && at.Since(h.last) <= ago
}

// lapse notices that the validity has run out though the connection is there, or that there never was one.
func (s *stream) lapse() {
	p := s.Validity()
	if p.Holds(mono.Now()) {
		return
	}
	h := &s.health
	h.mu.Lock()
	well, since := h.well, h.since
	h.mu.Unlock()
	if well {
		s.down(max(p.Until(), since), nil)
	} else if mono.Now().Since(since) > s.redis.MaxAge() {
		s.down(since, nil)
	}
}

// firstOutcome makes the first outcome known, and reports whether this was it.
func (s *stream) firstOutcome(err error) (first bool) {
	s.once.Do(func() {
		errors.As(err, &s.refused)
		close(s.known)
		first = true
	})
	return first
}

func (s *stream) status() error {
	p := s.Validity()
	at := mono.Now()
	if s.NoEvents || p.Holds(at) {
		return nil
	}
	h := &s.health
	h.mu.Lock()
	since, cause := h.since, h.cause
	if h.well { // nobody has noticed yet
		since = max(p.Until(), since)
	}
	h.mu.Unlock()
	if cause == nil {
		cause = errLapsed
		if s.conn.Load() == nil {
			cause = errStarting
		}
	}
	return fmt.Errorf("tiered: redis %s: no invalidations for %v: %w", s.health.where(), at.Since(since).Round(time.Millisecond), cause)
}

func (s *stream) log(level slog.Level, message string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("addr", s.health.where())}, attrs...)
	s.redis.Logger.LogAttrs(context.Background(), level, message, attrs...)
}
