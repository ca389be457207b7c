package redisconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// missing is what one server doesn't do.
type missing struct {
	since mono.Instant
	err   *missingError // nil: nothing is missing any more
	seen  mono.Instant  // when a cache's own command was last refused; 0: not known
	limit LogThrottle
}

// missingError names all that a server doesn't do.
type missingError struct {
	addr string
	errs manyErrors
}

func (e *missingError) Error() string {
	return fmt.Sprintf("redis %s lacks what NewRedis's documentation lists: %v", e.addr, e.errs)
}

func (e *missingError) Unwrap() []error { return e.errs }

// ErrReplica says that a server isn't the one that the caches are to read and write.
var ErrReplica = errors.New("it is a replica, which may still have what was deleted: want its master")

// manyErrors are the errors of one call, in one line.
type manyErrors []error

func (e manyErrors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e manyErrors) Unwrap() []error { return e }

// Join is like errors.Join, but in one line.
func Join(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return manyErrors(errs)
}

// isLack reports whether the error is a reply to a command that the server doesn't have, or not for this user. Inside a
// script such replies have words of their own.
func isLack(err error) bool {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok || errors.Is(err, redis.Nil) {
		return false
	}
	if redis.IsPermissionError(err) {
		return true
	}
	for _, part := range []string{"nknown command", "nknown subcommand", "nknown Redis command", "can't run this command"} {
		if strings.Contains(reply.Error(), part) {
			return true
		}
	}
	return false
}

// refused takes in that a server refused a cache's command.
func (r *Conn) refused(s Target, name string, err error) {
	addr := s.Breaker.Addr()
	rs := &r.Capabilities
	defer rs.tell(r)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	l := rs.lacking[addr]
	if l == nil || l.err == nil {
		l = rs.lacks(addr, []error{fmt.Errorf("%s: %w", name, bareReply(err))})
		rs.hurry(r)
	}
	l.seen = mono.Now()
}

// NoteError takes in the error of a cache's own command.
func (r *Conn) NoteError(s Target, name string, err error) {
	switch {
	case isLack(err):
		r.refused(s, name, err)
	case redis.IsReadOnlyError(err):
		r.Capabilities.mu.Lock()
		defer r.Capabilities.mu.Unlock()
		r.Capabilities.hurry(r) // it may be a replica
	}
}

// hurry has the servers asked as soon as one answers, but not more than once in a heartbeat. It is called with the lock.
func (rs *capabilities) hurry(r *Conn) {
	next := mono.Instant(0)
	if rs.asked > 0 {
		next = rs.asked.Add(r.Heartbeat)
	}
	if int64(next) < rs.next.Load() {
		rs.next.Store(int64(next))
	}
}

// bareReply is the reply without what this package has put before it.
func bareReply(err error) error {
	if reply, ok := errors.AsType[redis.Error](err); ok {
		return reply
	}
	return err
}

// lacks is called with the lock.
func (rs *capabilities) lacks(addr string, errs []error) *missing {
	l := rs.lacking[addr]
	if l == nil {
		if rs.lacking == nil {
			rs.lacking = make(map[string]*missing)
		}
		l = new(missing)
		rs.lacking[addr] = l
	}
	if l.err == nil {
		l.since = mono.Now()
	}
	l.err = &missingError{addr, errs}
	if tell, suppressed := l.limit.Begins(mono.Now()); tell {
		attrs := []slog.Attr{slog.String("addr", addr), slog.Any("cause", l.err)}
		if suppressed > 0 {
			attrs = append(attrs, slog.Int("suppressed", suppressed))
		}
		rs.untold = append(rs.untold, logLine{slog.LevelError, "tiered: Redis lacks what the caches need", attrs})
	}
	return l
}

// ends is called with the lock.
func (rs *capabilities) ends(addr string) {
	l := rs.lacking[addr]
	if l.err == nil {
		return
	}
	l.err = nil
	if l.limit.Ends() {
		rs.untold = append(rs.untold, logLine{slog.LevelInfo, "tiered: Redis lacks nothing any more",
			[]slog.Attr{slog.String("addr", addr), slog.Duration("downtime", mono.Now().Since(l.since))}})
	}
}

// tell logs what is untold.
func (rs *capabilities) tell(r *Conn) {
	rs.mu.Lock()
	lines := rs.untold
	rs.untold = nil
	rs.mu.Unlock()
	for _, l := range lines {
		r.Logger.LogAttrs(context.Background(), l.level, l.message, l.attrs...)
	}
}

// Status returns what is missing, and since when.
func (rs *capabilities) Status() error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var errs []error
	for _, addr := range slices.Sorted(maps.Keys(rs.lacking)) {
		if l := rs.lacking[addr]; l.err != nil {
			errs = append(errs, fmt.Errorf("tiered: for %v: %w", mono.Now().Since(l.since).Round(time.Millisecond), l.err))
		}
	}
	return errors.Join(errs...)
}

// Replica returns an error if the server is known to be one.
func (rs *capabilities) Replica(addr string) error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if l := rs.lacking[addr]; l != nil && l.err != nil && slices.Contains(l.err.errs, ErrReplica) {
		return ErrReplica
	}
	return nil
}
