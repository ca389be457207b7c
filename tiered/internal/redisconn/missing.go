package redisconn

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// missing is what one server doesn't do.
type missing struct {
	since     mono.Instant
	err       *missingError // nil: nothing is missing any more
	refusedAt mono.Instant  // when it last refused a cache's own command; 0: not known
	throttle  LogThrottle
}

// missingError names everything that a server doesn't do.
type missingError struct {
	addr string
	errs manyErrors
}

func (e *missingError) Error() string {
	return fmt.Sprintf("redis %s lacks what NewRedis's documentation lists: %v", e.addr, e.errs)
}

func (e *missingError) Unwrap() []error { return e.errs }

// noteError takes the error of a cache's own command.
func (c *Conn) noteError(t target, name string, err error) {
	switch {
	case classify(err).isMissing():
		c.Capabilities.noteMissing(c, t.Breaker.Addr(), name, err)
	case redis.IsReadOnlyError(err):
		c.Capabilities.checkSoon(c) // it may be a replica
	}
}

// noteMissing notes that a server doesn't have a cache's command, or not for this user.
func (cs *capabilities) noteMissing(c *Conn, addr, name string, err error) {
	defer cs.deferred.run()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	m := cs.missing[addr]
	if m == nil || m.err == nil {
		if reply, ok := errors.AsType[redis.Error](err); ok {
			err = reply // without the text that this package has put before it
		}
		m = cs.markMissing(c, addr, []error{fmt.Errorf("%s: %w", name, err)})
		cs.checkSoonLocked(c)
	}
	m.refusedAt = mono.Now()
}

// markMissing notes what a server lacks. It is called with the lock.
func (cs *capabilities) markMissing(c *Conn, addr string, errs []error) *missing {
	m := cs.missing[addr]
	if m == nil {
		if cs.missing == nil {
			cs.missing = make(map[string]*missing)
		}
		m = new(missing)
		cs.missing[addr] = m
	}
	if m.err == nil {
		m.since = mono.Now()
	}
	m.err = &missingError{addr, errs}
	if log, suppressed := m.throttle.Begin(mono.Now()); log {
		attrs := WithSuppressed(suppressed, slog.String("addr", addr), slog.Any("cause", m.err))
		cs.deferred.add(func() { c.log(slog.LevelError, "tiered: Redis lacks what the caches need", attrs...) })
	}
	return m
}

// markComplete notes that a server lacks nothing any more. It is called with the lock.
func (cs *capabilities) markComplete(c *Conn, addr string) {
	m := cs.missing[addr]
	if m.err == nil {
		return
	}
	m.err = nil
	if m.throttle.End() {
		lasted := mono.Now().Since(m.since)
		cs.deferred.add(func() {
			c.log(slog.LevelInfo, "tiered: Redis lacks nothing any more", slog.String("addr", addr), slog.Duration("downtime", lasted))
		})
	}
}

// Status returns an error that says what is missing, and since when.
func (cs *capabilities) Status() error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var errs []error
	for _, addr := range slices.Sorted(maps.Keys(cs.missing)) {
		if m := cs.missing[addr]; m.err != nil {
			errs = append(errs, fmt.Errorf("tiered: for %v: %w", mono.Now().Since(m.since).Round(time.Millisecond), m.err))
		}
	}
	return errors.Join(errs...)
}

// Replica returns an error if the server is known to be one.
func (cs *capabilities) Replica(addr string) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if m := cs.missing[addr]; m != nil && m.err != nil && slices.Contains(m.err.errs, errReplica) {
		return errReplica
	}
	return nil
}
