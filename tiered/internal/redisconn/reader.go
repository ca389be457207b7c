package redisconn

import (
	"context"
	"slices"
	"sync"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// reader reads keys. Those that several callers read at the same time may share a command.
//
// Read and ReadAll only begin a read, and don't block: the caller does what else it has to do, and then waits for its
// Pending. They return no errors. Whatever isn't the usual case gets no Read, and the caller uses Do, which finds the
// nodes of the Cluster, returns the error of an open breaker, or reads several values of which one is large. If ReadAll finds
// that out after it has put the keys of one server into a queue, these are read for nobody.
//
// A batcher belongs to a breaker, and not to an address: a server that was removed and comes back has another
// breaker, and so another batcher. Breaker.Retire has the old batcher closed. Since batcherOf checks under the lock
// whether the breaker is retired, none is added after that.
type reader struct {
	requester *requester
	batchers  sync.Map   // *Breaker to *batcher: one for each server that was read
	mu        sync.Mutex // held while batchers are added or removed
	closed    bool
	// doneChans are reused once their element was received. A Read isn't: a sender that is late may still finish it.
	doneChans sync.Pool
}

// Read begins to read a key. The Pending has no Read if that takes a call of its own.
func (r *reader) Read(caller context.Context, key string, session *Session, at mono.Instant) Pending {
	to, ok := r.readTarget(caller, key)
	if !ok {
		return Pending{}
	}
	rd := r.newRead(caller, to, session, at)
	rd.Keys = append(rd.Keys, key)
	if !r.batcherOf(to.Breaker).begin(rd) {
		return Pending{}
	}
	return Pending{rd, 0}
}

// ReadAll begins to read some keys, those of one server together. It returns nil if that takes calls of their own.
func (r *reader) ReadAll(caller context.Context, keys []string, session *Session, at mono.Instant) []Pending {
	if !r.requester.Nodes.located() {
		return nil
	}
	batches, err := r.requester.Nodes.group(caller, keys)
	if err != nil || slices.ContainsFunc(batches, func(nb nodeBatch) bool { return nb.Breaker.IsOpen() }) {
		return nil
	}
	pending := make([]Pending, len(keys))
	for _, nb := range batches {
		rd := r.newRead(caller, nb.target, session, at)
		rd.Keys = nb.keys(keys)
		for n, i := range nb.indexes {
			pending[i] = Pending{rd, n}
		}
		if !r.batcherOf(nb.Breaker).begin(rd) {
			return nil
		}
	}
	return pending
}

// EndSession ends the reads of a session with ErrClosed.
func (r *reader) EndSession(session *Session) {
	r.batchers.Range(func(_, b any) bool {
		b.(*batcher).endSession(session)
		return true
	})
}

// readTarget returns the server of a key; false: reading it takes a call of its own.
func (r *reader) readTarget(caller context.Context, key string) (target, bool) {
	if !r.requester.Nodes.located() {
		return target{}, false
	}
	t, err := r.requester.Nodes.targetOf(caller, key)
	return t, err == nil && !t.Breaker.IsOpen()
}

// newRead returns a Read without its keys.
func (r *reader) newRead(caller context.Context, to target, session *Session, at mono.Instant) *Read {
	done, ok := r.doneChans.Get().(chan struct{})
	if !ok {
		done = make(chan struct{}, 1)
	}
	rd := &Read{session: session, target: to, ctx: caller, at: at, done: done, chans: &r.doneChans}
	rd.Keys = rd.only[:0]
	return rd
}

// batcherOf returns the batcher of the breaker's server. It is closed, and not kept, if the server was removed or the reader
// closed.
func (r *reader) batcherOf(b *Breaker) *batcher {
	if p, ok := r.batchers.Load(b); ok {
		return p.(*batcher)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.batchers.Load(b); ok {
		return p.(*batcher)
	}
	p := &batcher{requester: r.requester, closed: r.closed || b.isRetired()}
	p.sweepTimer.call, p.gatherTimer.call = p.sweep, p.sendGathered
	if !p.closed {
		r.batchers.Store(b, p)
	}
	return p
}

// CloseBatchers ends the reads that wait. Those under way end by themselves.
func (r *reader) CloseBatchers() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.batchers.Range(func(_, b any) bool {
		b.(*batcher).close()
		return true
	})
}

// removeBatcher closes the batcher of a server that was removed.
func (r *reader) removeBatcher(b *Breaker) {
	r.mu.Lock()
	p, ok := r.batchers.LoadAndDelete(b)
	r.mu.Unlock()
	if ok {
		p.(*batcher).close()
	}
}
