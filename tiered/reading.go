package tiered

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// reading is the read of one key. Whoever asked for it may give it up, and leave the answer to nobody.
type reading struct {
	owner   any // the cache's
	key     string
	to      group
	caller  context.Context // its values are for the client's hooks
	at      instant
	follows bool          // another one that the same caller asked for
	state   atomic.Uint32 // reading...
	done    chan struct{} // has one element when the answer is there, and never a second
	answer  answer
	taken   bool // who waits has the answer
}

const (
	readingAsked uint32 = iota
	readingAnswered
	readingGivenUp
)

// read begins to read a key; nil: that takes a call of its own.
func (r *Redis) read(caller context.Context, key string, owner any) *reading {
	rd := r.newReading(caller, key, owner)
	if rd == nil || !r.pipelineOf(rd.to.breaker).ask(rd) {
		return nil
	}
	return rd
}

// readAll begins to read some keys, together as far as they are in one place; nil: that takes a call of its own.
func (r *Redis) readAll(caller context.Context, keys []string, owner any) []*reading {
	all := make([]*reading, len(keys))
	for i, key := range keys {
		if all[i] = r.newReading(caller, key, owner); all[i] == nil {
			return nil
		}
		all[i].follows = i > 0
	}
	_, cluster := r.client.(*redis.ClusterClient)
	if !cluster && len(all) > 0 {
		if !r.pipelineOf(all[0].to.breaker).ask(all...) {
			return nil
		}
		return all
	}
	together := make(map[*breaker][]*reading)
	for _, rd := range all {
		together[rd.to.breaker] = append(together[rd.to.breaker], rd)
	}
	for b, some := range together {
		if !r.pipelineOf(b).ask(some...) {
			return nil
		}
	}
	return all
}

func (r *Redis) newReading(caller context.Context, key string, owner any) *reading {
	g, ok := r.groupOf(caller, key)
	if !ok || g.breaker.isOpen() {
		return nil
	}
	bell, ok := r.pipelines.bells.Get().(chan struct{})
	if !ok {
		bell = make(chan struct{}, 1)
	}
	return &reading{owner: owner, key: key, to: g, caller: caller, at: now(), done: bell}
}

// give gives the answer to who waits for it, if anybody does.
func (rd *reading) give(a answer) {
	if rd.state.CompareAndSwap(readingAsked, readingAnswered) {
		rd.answer = a
		rd.done <- struct{}{}
	}
}

// await returns the answer, or an error when ctx ends.
func (rd *reading) await(ctx context.Context) answer {
	if rd.arrives(ctx, nil) {
		return rd.answer
	}
	if rd.state.CompareAndSwap(readingAsked, readingGivenUp) {
		return rd.failed(ctx.Err())
	}
	rd.arrives(context.Background(), nil)
	return rd.answer
}

// arrives waits for the answer until ctx ends or it is late.
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

func (rd *reading) failed(err error) answer {
	return answer{err: fmt.Errorf("tiered: redis: get: %w", err), stream: rd.to.stream, proof: unproven}
}

func (rd *reading) abandon(owner any) {
	if rd.owner == owner {
		rd.give(answer{err: ErrClosed, stream: rd.to.stream, proof: unproven})
	}
}

// goesWith answers whether both go to the same client of the server. Where there is one stream for all there is one client,
// which may be of a type that can't be compared.
func (rd *reading) goesWith(other *reading) bool {
	if rd.to.stream != other.to.stream {
		return false
	}
	return rd.to.stream == rd.to.breaker.redis.streams.only || rd.to.to == other.to.to
}
