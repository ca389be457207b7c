package redisconn

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Session is one cache's reads, which end when the cache is closed.
type Session struct{ _ byte } // so that no two have one address

// Read is the read of one caller's keys, as far as one server has them. Whoever asked for it may give it up, and leave the
// answers to nobody.
type Read struct {
	owner    *Session
	Keys     []string
	only     [1]string // the keys, if there is but one
	to       Target
	caller   context.Context // its values are for the client's hooks
	at       mono.Instant
	state    atomic.Uint32 // reading...
	Received bool          // who waits has the answers
	done     chan struct{} // has one element when the answers are there, and never a second
	answers  []Reply       // one for each key
}

// Pending is a key's place in a reading; with none, the key takes a call of its own.
type Pending struct {
	*Read
	place int
}

const (
	readingAsked uint32 = iota
	readingAnswered
	readingGivenUp
)

// Read begins to read a key; none: that takes a call of its own.
func (r *Conn) Read(caller context.Context, key string, owner *Session, at mono.Instant) Pending {
	place, ok := r.placeOf(caller, key)
	if !ok {
		return Pending{}
	}
	rd := r.newRead(caller, place, owner, at)
	rd.Keys = append(rd.Keys, key)
	if !r.batcherOf(place.Breaker).ask(rd) {
		return Pending{}
	}
	return Pending{rd, 0}
}

// ReadAll begins to read some keys, together as far as they are in one place; nil: that takes a call of its own.
func (r *Conn) ReadAll(caller context.Context, keys []string, owner *Session, at mono.Instant) []Pending {
	shares := make([]Pending, len(keys))
	var all []*Read
	_, cluster := r.Client.(*redis.ClusterClient)
	for i, key := range keys {
		if i > 0 && !cluster {
			shares[i] = Pending{all[0], i}
			continue
		}
		place, ok := r.placeOf(caller, key)
		if !ok {
			return nil
		}
		n := slices.IndexFunc(all, func(rd *Read) bool { return rd.to.sameAs(place) })
		if n < 0 {
			n, all = len(all), append(all, r.newRead(caller, place, owner, at))
		}
		rd := all[n]
		shares[i] = Pending{rd, len(rd.Keys)}
		rd.Keys = append(rd.Keys, key)
	}
	if !cluster && len(all) > 0 {
		all[0].Keys = keys
	}
	for _, rd := range all {
		if !r.batcherOf(rd.to.Breaker).ask(rd) {
			return nil
		}
	}
	return shares
}

// placeOf is where a key is read; false: that takes a call of its own.
func (r *Conn) placeOf(caller context.Context, key string) (Target, bool) {
	s, ok := r.serverOf(caller, key)
	return s, ok && !s.Breaker.IsOpen()
}

// newRead is a reading at one place, without its keys yet.
func (r *Conn) newRead(caller context.Context, place Target, owner *Session, at mono.Instant) *Read {
	bell, ok := r.batchers.bells.Get().(chan struct{})
	if !ok {
		bell = make(chan struct{}, 1)
	}
	rd := &Read{owner: owner, to: place, caller: caller, at: at, done: bell}
	rd.Keys = rd.only[:0]
	return rd
}

// give gives the answers to who waits for them, if anybody does.
func (rd *Read) give(answers []Reply) {
	if rd.state.CompareAndSwap(readingAsked, readingAnswered) {
		rd.answers = answers
		rd.done <- struct{}{}
	}
}

// Wait returns the key's answer, or an error when ctx ends.
func (s Pending) Wait(ctx context.Context) Reply {
	if !s.Await(ctx, nil) {
		if s.state.CompareAndSwap(readingAsked, readingGivenUp) {
			s.answers, s.Received = s.failed(ctx.Err()), true
		} else {
			s.Await(context.Background(), nil)
		}
	}
	return s.Reply()
}

// Reply is the key's, once it has arrived.
func (s Pending) Reply() Reply { return s.answers[s.place] }

// Await waits for the answers until ctx ends or they are late.
func (rd *Read) Await(ctx context.Context, late <-chan time.Time) bool {
	if rd.Received {
		return true
	}
	select {
	case <-rd.done:
		rd.Received = true
		rd.to.Breaker.redis.batchers.bells.Put(rd.done)
	case <-ctx.Done():
	case <-late:
	}
	return rd.Received
}

func (rd *Read) failed(err error) []Reply {
	return Failed(len(rd.Keys), fmt.Errorf("tiered: redis: get: %w", err), rd.to.Feed)
}

func (rd *Read) abandon(owner *Session) {
	if rd.owner == owner {
		rd.give(Failed(len(rd.Keys), ErrClosed, rd.to.Feed))
	}
}

// sameAs answers whether both are for the same client of the server. Where there is one stream for all there is one client,
// which may be of a type that can't be compared.
func (s *Target) sameAs(other Target) bool {
	return s.Node == other.Node && (s.Breaker.redis.Nodes.Find == nil || s.to == other.to)
}
