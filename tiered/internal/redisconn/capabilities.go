package redisconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// capabilities is whether the servers do for the client's user everything that the caches need. All masters are asked by
// NewRedis; when one first answers, if it didn't then; and after a server refused a command, until none is refused any more.
// Between these they are asked now and then: a server that became a replica may not refuse anything.
//
// No timer starts a check. Each call that any server answers passes recheckIfDue, which until checkAt costs one
// atomic read. So a Redis that is down isn't asked, and one that is back is asked soon. The check runs in a goroutine
// of its own, one at a time. Errors of a cache's own commands move checkAt forward (checkSoon), but not to more than
// one check in a heartbeat.
//
// A check that finds nothing ends what an earlier check found. It doesn't end what a cache's own command has found
// until some heartbeats after the last refusal: the check may not have the key or the option that was refused.
type capabilities struct {
	checker
	checkAt atomic.Int64 // the Instant from which on an answer of a server is the occasion to ask

	mu        sync.Mutex
	checking  bool
	checkedAt mono.Instant        // the last time; 0: never in the background
	missing   map[string]*missing // by address
	deferred  deferredCalls
}

const ( // in heartbeats
	checkEvery  = 10
	recheckSoon = 5 // where something is missing, or a server hasn't answered
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

// Check asks until it is known of all masters whether anything is missing, or ctx ends. A replica may be one because a failover
// isn't over yet. The nodes of a real Cluster say themselves which of them are masters.
func (cs *capabilities) Check(ctx context.Context) error {
	cluster, is := cs.caller.Client.(*redis.ClusterClient)
	replicasSettle := is && cluster.Options().ClusterSlots == nil
	var errs []error
	for {
		asked := mono.Now()
		got := cs.checkServers(ctx)
		if len(got.servers) == 0 {
			return Join(errs) // of the last servers that answered
		}
		errs = nil
		replica := false
		for _, v := range got.servers {
			if replicasSettle {
				v.errs = slices.DeleteFunc(slices.Clone(v.errs), func(err error) bool { return errors.Is(err, errReplica) })
			}
			if len(v.errs) > 0 {
				errs = append(errs, &missingError{v.addr, v.errs})
				replica = replica || slices.Contains(v.errs, errReplica)
			}
		}
		if replica && mono.Sleep(ctx, 20*time.Millisecond, nil) {
			continue
		}
		if got.complete && len(errs) == 0 {
			cs.noteReports(asked, got)
		}
		return Join(errs)
	}
}

// recheckIfDue asks the servers in the background, if it is time.
func (cs *capabilities) recheckIfDue(at mono.Instant) {
	if int64(at) < cs.checkAt.Load() {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.checking || int64(at) < cs.checkAt.Load() || !cs.caller.Started.Load() {
		return
	}
	cs.checking = cs.caller.Calls.Go(func() {
		asked := mono.Now()
		cs.noteReports(asked, cs.checkServers(cs.caller.Context))
	})
	if cs.checking {
		cs.checkedAt = mono.Now()
	}
}

// checkSoon has the servers checked as soon as one answers, but not more than once in a heartbeat.
func (cs *capabilities) checkSoon() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.checkSoonLocked()
}

// checkSoonLocked is checkSoon with the lock.
func (cs *capabilities) checkSoonLocked() {
	next := mono.Instant(0)
	if cs.checkedAt > 0 {
		next = cs.checkedAt.Add(cs.caller.Heartbeat)
	}
	if int64(next) < cs.checkAt.Load() {
		cs.checkAt.Store(int64(next))
	}
}

// noteReports takes the reports of the servers that were asked at the instant.
func (cs *capabilities) noteReports(asked mono.Instant, got reports) {
	beat := min(cs.caller.Heartbeat, time.Hour)
	soon := recheckSoon * beat
	defer cs.deferred.run()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.checking = false
	wait := checkEvery * beat
	if !got.complete {
		wait = min(wait, soon)
	}
	for _, v := range got.servers {
		m := cs.missing[v.addr]
		switch {
		case len(v.errs) > 0:
			cs.markMissing(v.addr, v.errs)
			wait = min(wait, soon)
		case m == nil || m.err == nil:
		case m.refusedAt > 0 && m.refusedAt.Add(soon) > asked: // queueAll doesn't have the one that was refused
			wait = min(wait, soon)
		default:
			cs.markComplete(v.addr)
		}
	}
	for addr := range cs.missing {
		if got.complete && !slices.ContainsFunc(got.servers, func(v serverReport) bool { return v.addr == addr }) {
			cs.markComplete(addr) // it isn't a master any more
			delete(cs.missing, addr)
		}
	}
	cs.checkAt.Store(int64(mono.Now().Add(wait)))
}

// noteError takes the error of a cache's own command.
func (cs *capabilities) noteError(addr func() string, name string, err error) {
	switch {
	case classify(err).isMissing():
		cs.noteMissing(addr(), name, err)
	case redis.IsReadOnlyError(err):
		cs.checkSoon() // it may be a replica
	}
}

// noteMissing notes that a server doesn't have a cache's command, or not for this user.
func (cs *capabilities) noteMissing(addr, name string, err error) {
	defer cs.deferred.run()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	m := cs.missing[addr]
	if m == nil || m.err == nil {
		if reply, ok := errors.AsType[redis.Error](err); ok {
			err = reply // without the text that this package has put before it
		}
		m = cs.markMissing(addr, []error{fmt.Errorf("%s: %w", name, err)})
		cs.checkSoonLocked()
	}
	m.refusedAt = mono.Now()
}

// markMissing notes what a server lacks. It is called with the lock.
func (cs *capabilities) markMissing(addr string, errs []error) *missing {
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
		cs.deferred.add(func() { cs.caller.log(slog.LevelError, "tiered: Redis lacks what the caches need", attrs...) })
	}
	return m
}

// markComplete notes that a server lacks nothing any more. It is called with the lock.
func (cs *capabilities) markComplete(addr string) {
	m := cs.missing[addr]
	if m.err == nil {
		return
	}
	m.err = nil
	if m.throttle.End() {
		lasted := mono.Now().Since(m.since)
		cs.deferred.add(func() {
			cs.caller.log(slog.LevelInfo, "tiered: Redis lacks nothing any more", slog.String("addr", addr), slog.Duration("downtime", lasted))
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
