package redisconn

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// capabilities is whether the servers do for the client's user everything that the caches need. All masters are asked by
// NewRedis; when one first answers, if it didn't then; and after a server refused a command, until none is refused any more.
// Between these they are asked now and then: a server that became a replica may not refuse anything.
type capabilities struct {
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

// recheckIfDue asks the servers in the background, if it is time.
func (c *Conn) recheckIfDue(at mono.Instant) {
	cs := &c.Capabilities
	if int64(at) < cs.checkAt.Load() {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.checking || int64(at) < cs.checkAt.Load() || !c.Started.Load() {
		return
	}
	cs.checking = c.Calls.Go(func() {
		asked := mono.Now()
		c.noteReports(asked, c.checkServers(c.Context))
	})
	if cs.checking {
		cs.checkedAt = mono.Now()
	}
}

// checkSoon has the servers checked as soon as one answers, but not more than once in a heartbeat.
func (cs *capabilities) checkSoon(c *Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.checkSoonLocked(c)
}

// checkSoonLocked is checkSoon with the lock.
func (cs *capabilities) checkSoonLocked(c *Conn) {
	next := mono.Instant(0)
	if cs.checkedAt > 0 {
		next = cs.checkedAt.Add(c.Heartbeat)
	}
	if int64(next) < cs.checkAt.Load() {
		cs.checkAt.Store(int64(next))
	}
}

// noteReports takes the reports of the servers that were asked at the instant.
func (c *Conn) noteReports(asked mono.Instant, got reports) {
	cs, beat := &c.Capabilities, min(c.Heartbeat, time.Hour)
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
			cs.markMissing(c, v.addr, v.errs)
			wait = min(wait, soon)
		case m == nil || m.err == nil:
		case m.refusedAt > 0 && m.refusedAt.Add(soon) > asked: // queueAll doesn't have the one that was refused
			wait = min(wait, soon)
		default:
			cs.markComplete(c, v.addr)
		}
	}
	for addr := range cs.missing {
		if got.complete && !slices.ContainsFunc(got.servers, func(v serverReport) bool { return v.addr == addr }) {
			cs.markComplete(c, addr) // it isn't a master any more
			delete(cs.missing, addr)
		}
	}
	cs.checkAt.Store(int64(mono.Now().Add(wait)))
}
