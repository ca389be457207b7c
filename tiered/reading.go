package tiered

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// session is one cache's reads, which end when the cache is closed.
type session struct{ _ byte } // so that no two have one address

// reading is the read of one caller's keys, as far as one server has them. Whoever asked for it may give it up, and leave the
// answers to nobody.
type reading struct {
	owner   *session
	keys    []string
	only    [1]string // the keys, if there is but one
	to      server
	caller  context.Context // its values are for the client's hooks
	at      mono.Instant
	state   atomic.Uint32 // reading...
	taken   bool          // who waits has the answers
	done    chan struct{} // has one element when the answers are there, and never a second
	answers []answer      // one for each key
}

// share is a key's place in a reading; with none, the key takes a call of its own.
type share struct {
	*reading
	place int
}

const (
	readingAsked uint32 = iota
	readingAnswered
	readingGivenUp
)

// read begins to read a key; none: that takes a call of its own.
func (r *conn) read(caller context.Context, key string, owner *session, at mono.Instant) share {
	place, ok := r.placeOf(caller, key)
	if !ok {
		return share{}
	}
	rd := r.newReading(caller, place, owner, at)
	rd.keys = append(rd.keys, key)
	if !r.pipelineOf(place.breaker).ask(rd) {
		return share{}
	}
	return share{rd, 0}
}

// readAll begins to read some keys, together as far as they are in one place; nil: that takes a call of its own.
func (r *conn) readAll(caller context.Context, keys []string, owner *session, at mono.Instant) []share {
	shares := make([]share, len(keys))
	var all []*reading
	_, cluster := r.client.(*redis.ClusterClient)
	for i, key := range keys {
		if i > 0 && !cluster {
			shares[i] = share{all[0], i}
			continue
		}
		place, ok := r.placeOf(caller, key)
		if !ok {
			return nil
		}
		n := slices.IndexFunc(all, func(rd *reading) bool { return rd.to.isWith(place) })
		if n < 0 {
			n, all = len(all), append(all, r.newReading(caller, place, owner, at))
		}
		rd := all[n]
		shares[i] = share{rd, len(rd.keys)}
		rd.keys = append(rd.keys, key)
	}
	if !cluster && len(all) > 0 {
		all[0].keys = keys
	}
	for _, rd := range all {
		if !r.pipelineOf(rd.to.breaker).ask(rd) {
			return nil
		}
	}
	return shares
}

// placeOf is where a key is read; false: that takes a call of its own.
func (r *conn) placeOf(caller context.Context, key string) (server, bool) {
	s, ok := r.serverOf(caller, key)
	return s, ok && !s.breaker.isOpen()
}

// newReading is a reading at one place, without its keys yet.
func (r *conn) newReading(caller context.Context, place server, owner *session, at mono.Instant) *reading {
	bell, ok := r.pipelines.bells.Get().(chan struct{})
	if !ok {
		bell = make(chan struct{}, 1)
	}
	rd := &reading{owner: owner, to: place, caller: caller, at: at, done: bell}
	rd.keys = rd.only[:0]
	return rd
}

// give gives the answers to who waits for them, if anybody does.
func (rd *reading) give(answers []answer) {
	if rd.state.CompareAndSwap(readingAsked, readingAnswered) {
		rd.answers = answers
		rd.done <- struct{}{}
	}
}

// await returns the key's answer, or an error when ctx ends.
func (s share) await(ctx context.Context) answer {
	if !s.arrives(ctx, nil) {
		if s.state.CompareAndSwap(readingAsked, readingGivenUp) {
			s.answers, s.taken = s.failed(ctx.Err()), true
		} else {
			s.arrives(context.Background(), nil)
		}
	}
	return s.answer()
}

// answer is the key's, once it has arrived.
func (s share) answer() answer { return s.answers[s.place] }

// arrives waits for the answers until ctx ends or they are late.
func (rd *reading) arrives(ctx context.Context, late <-chan time.Time) bool {
	if rd.taken {
		return true
	}
	select {
	case <-rd.done:
		rd.taken = true
		rd.to.breaker.redis.pipelines.bells.Put(rd.done)
	case <-ctx.Done():
	case <-late:
	}
	return rd.taken
}

func (rd *reading) failed(err error) []answer {
	return failed(len(rd.keys), fmt.Errorf("tiered: redis: get: %w", err), rd.to.feed)
}

func (rd *reading) abandon(owner *session) {
	if rd.owner == owner {
		rd.give(failed(len(rd.keys), errClosed, rd.to.feed))
	}
}

// isWith answers whether both are for the same client of the server. Where there is one stream for all there is one client,
// which may be of a type that can't be compared.
func (s *server) isWith(other server) bool {
	return s.node == other.node && (s.breaker.redis.nodes.find == nil || s.to == other.to)
}
