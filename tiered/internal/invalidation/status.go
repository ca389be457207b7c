package invalidation

import (
	"cmp"
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

// status is what is logged, and what Redis.Status says, about whether invalidations arrive.
//
// A stream is up when its validity holds and Redis answers on its connection (recovered). It is down when the
// connection ended, when the validity ran out (checkLapsed, with each heartbeat), or when Redis refuses its canaries
// for good. Whether a value is valid doesn't depend on it, but on the feed alone. So status may notice late, and
// statusError asks the validity itself.
//
// The cause of an outage is often known before the outage: a canary fails, and some time later the validity runs out.
// noteCause keeps the error for then, and forgetCause drops it when a later canary is reported.
//
// One outage is to be one line of the log, though stream and breaker both notice it: see toLog, and the breaker's
// OutageLogged. The breaker calls that, and where, with its own lock. So what is called with the lock of status must
// not take the breaker's.
type status struct {
	mu       sync.Mutex
	name     string // of the server in the client's options
	peer     string // the address of the last connection
	up       bool
	since    mono.Instant // of not being well
	cause    error        // why it isn't up, or what may become the cause; nil: not known
	logged   logState     // what the log has since then
	loggedAt mono.Instant // when that was logged

	causeAt  mono.Instant // the canary that the cause is of, if it is one's
	throttle redisconn.LogThrottle

	lost     int          // how often the stream was lost since lostFrom, each time less than lately after the time before
	lostFrom mono.Instant // the first of these times
}

// logState grows while a stream is down.
type logState int

const (
	loggedNothing logState = iota
	loggedDown
	loggedForGood // it can't work until a configuration is changed
)

// lately is how long Status counts a loss for those that follow. The log may have no line for them.
const lately = 10 * time.Minute

// noteCause notes what may be the cause, should the validity run out: the error of the canary of the instant.
func (st *status) noteCause(at mono.Instant, cause error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.cause, st.causeAt = cause, at
}

// forgetCause forgets what noteCause noted, if the canary of the instant, which was reported, is a later one.
func (st *status) forgetCause(at mono.Instant) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.up && at > st.causeAt {
		st.cause = nil
	}
}

func (st *status) connected(peer string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.peer = peer
}

// where returns the server's address: that of the connection if the client's options have none (Sentinel).
func (st *status) where() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	if _, _, err := net.SplitHostPort(st.name); err != nil && st.peer != "" {
		return st.peer
	}
	return st.name
}

// downSince returns since when the stream is down, if it is down at the instant.
func (st *status) downSince(at mono.Instant) mono.Instant {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.up {
		return at
	}
	return st.since
}

// up notes that invalidations arrive.
func (s *stream) up() {
	st := &s.status
	st.mu.Lock()
	var lasted time.Duration
	if !st.up {
		lasted = mono.Now().Since(st.since)
		st.cause = nil // else it may be that of a canary, which a PONG doesn't disprove
	}
	st.up, st.logged = true, loggedNothing
	log := st.throttle.End()
	st.mu.Unlock()
	if log {
		s.log(slog.LevelInfo, "tiered: invalidations arrive again", slog.Duration("downtime", lasted))
	}
	s.firstOutcome(nil)
}

// down notes that since the instant no invalidations arrive. The cause may be nil.
func (s *stream) down(since mono.Instant, cause error) {
	st := &s.status
	st.mu.Lock()
	if st.up {
		if s.group.lost.Add(1); st.lost == 0 || since.Since(st.since) > lately {
			st.lost, st.lostFrom = 0, since
		}
		st.lost++
		st.up, st.since = false, since
	}
	st.cause = cmp.Or(cause, st.cause, errLapsed)
	cause = st.cause
	var refused *redisconn.PermanentError
	state := loggedDown
	if errors.As(cause, &refused) {
		state = loggedForGood
	}
	log, suppressed := false, 0
	if first := s.firstOutcome(cause); !first || state != loggedForGood { // else NewRedis returns it
		log, suppressed = st.toLog(state, s.breaker.IsOpen())
	}
	st.mu.Unlock()
	level, message := slog.LevelWarn, "tiered: no invalidations"
	if state == loggedForGood {
		level, message = slog.LevelError, "tiered: invalidations can't arrive"
	}
	if log {
		s.log(level, message, redisconn.WithSuppressed(suppressed, slog.Any("cause", cause))...)
	}
}

// toLog reports whether to log the state, and how many outages before it weren't logged: once, and once more if it turns out to
// be for good; not if the log says already that Redis doesn't answer. It is called with the lock.
func (st *status) toLog(state logState, breakerOpen bool) (log bool, suppressed int) {
	at := mono.Now()
	switch {
	case state <= st.logged:
		return false, 0
	case st.logged > loggedNothing:
	case breakerOpen && state == loggedDown:
		return false, 0
	default:
		if log, suppressed = st.throttle.Begin(at); !log {
			return false, 0
		}
	}
	st.logged, st.loggedAt = state, at
	return true, suppressed
}

// loggedRecently reports whether the present outage was logged, no longer ago than that.
func (st *status) loggedRecently(at mono.Instant, ago time.Duration) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.logged == loggedDown && at.Since(st.loggedAt) <= ago
}

// checkLapsed notes that the stream is down if the validity has run out though the connection is there, or if there never was one.
func (s *stream) checkLapsed() {
	v := s.Validity()
	if v.Holds(mono.Now()) {
		return
	}
	st := &s.status
	st.mu.Lock()
	well, since := st.up, st.since
	st.mu.Unlock()
	if well {
		s.down(max(v.Until(), since), nil)
	} else if mono.Now().Since(since) > s.group.MaxAge() {
		s.down(since, nil)
	}
}

// firstOutcome makes the first outcome known, and reports whether this was it.
func (s *stream) firstOutcome(err error) (first bool) {
	s.once.Do(func() {
		errors.As(err, &s.refused)
		close(s.outcomeKnown)
		first = true
	})
	return first
}

// endFirstOutcomes ends the wait for first outcomes: the streams log all errors from now on.
func endFirstOutcomes(all []*stream) {
	for _, s := range all {
		if !s.NoEvents {
			s.firstOutcome(errStarting)
		}
	}
}

func (s *stream) statusError() error {
	v := s.Validity()
	at := mono.Now()
	if s.NoEvents || v.Holds(at) {
		return nil
	}
	st := &s.status
	st.mu.Lock()
	since, cause, again := st.since, st.cause, ""
	if st.up { // nobody has noticed yet
		since = max(v.Until(), since)
	}
	if st.lost > 1 {
		again = fmt.Sprintf(", lost %d times in %v", st.lost, at.Since(st.lostFrom).Round(time.Second))
	}
	st.mu.Unlock()
	if cause == nil {
		cause = errLapsed
		if s.conn.Load() == nil {
			cause = errStarting
		}
	}
	return fmt.Errorf("tiered: redis %s: no invalidations for %v%s: %w", s.status.where(), at.Since(since).Round(time.Millisecond), again, cause)
}

func (s *stream) log(level slog.Level, message string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("addr", s.status.where())}, attrs...)
	s.group.Logger.LogAttrs(context.Background(), level, message, attrs...)
}
