//go:build !windows

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/history"
)

// foreignProcess is the one of writers that have no cache.
const foreignProcess = -1

// foreigner writes to Redis as another program would, straight to the masters.
type foreigner struct {
	identity
	keys   int
	client redis.UniversalClient
	rng    *rand.Rand

	mu  sync.Mutex
	ops []history.Op
}

func newForeigner(o Options, p plan) *foreigner {
	return &foreigner{keys: o.Keys, client: p.open(), rng: rand.New(rand.NewPCG(o.Seed, 2))}
}

// labour writes until ctx ends.
func (f *foreigner) labour(ctx context.Context) {
	for ctx.Err() == nil {
		key := keyName(f.rng.IntN(f.keys))
		switch p := f.rng.Float64(); {
		case p < 0.45:
			f.set(ctx, key)
		case p < 0.70:
			f.change(ctx, history.Delete, key, f.remove)
		case p < 0.95:
			f.change(ctx, history.Delete, key, f.expire)
		default:
			f.mistype(ctx, key)
		}
		pause(ctx, time.Duration(f.rng.ExpFloat64()*float64(25*time.Millisecond)))
	}
}

// note adds an operation to the record.
func (f *foreigner) note(kind history.Kind, key string, start, end int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops = append(f.ops, history.Op{
		ID: f.next(), Process: foreignProcess, Kind: kind, Key: key, Start: start, End: end, OK: ok,
	})
}

func (f *foreigner) set(ctx context.Context, key string) {
	op := history.Op{ID: f.next(), Process: foreignProcess, Kind: history.Set, Key: key, Start: history.Clock()}
	value, err := json.Marshal(newValue(op.ID))
	if err == nil {
		err = f.client.Set(ctx, redisKey(key), value, time.Second+time.Duration(f.rng.Int64N(int64(4*time.Second)))).Err()
	}
	op.End, op.OK = history.Clock(), err == nil
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops = append(f.ops, op)
}

// change notes what do has changed. What was not there to be changed is no operation.
func (f *foreigner) change(ctx context.Context, kind history.Kind, key string, do func(context.Context, string) (bool, error)) {
	start := history.Clock()
	changed, err := do(ctx, redisKey(key))
	if changed || err != nil {
		f.note(kind, key, start, history.Clock(), err == nil)
	}
}

func (f *foreigner) remove(ctx context.Context, redisKey string) (bool, error) {
	n, err := f.client.Del(ctx, redisKey).Result()
	return n > 0, err
}

var (
	errStillThere = errors.New("a key outlives its time")
	errRewritten  = errors.New("a key was written before its time was over")
)

// expire gives a key a millisecond to live, and returns when it is gone. Whoever writes the key in that millisecond takes
// the limit away, so that nobody knows whether it ever was.
func (f *foreigner) expire(ctx context.Context, redisKey string) (bool, error) {
	there, err := f.client.PExpire(ctx, redisKey, time.Millisecond).Result()
	if err != nil || !there {
		return false, err
	}
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		left, err := f.client.PTTL(ctx, redisKey).Result()
		if err != nil {
			return true, err
		}
		switch {
		case left == -2: // Redis's word for no such key
			return true, nil
		case left < 0 || left > time.Millisecond:
			return true, errRewritten
		}
	}
	return true, errStillThere
}

// mistype has a key hold a hash for a moment.
func (f *foreigner) mistype(ctx context.Context, key string) {
	f.change(ctx, history.Delete, key, func(ctx context.Context, redisKey string) (bool, error) {
		_, err := f.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Del(ctx, redisKey)
			p.HSet(ctx, redisKey, "field", "of no cache's")
			return nil
		})
		return true, err
	})
	pause(ctx, time.Duration(f.rng.Int64N(int64(300*time.Millisecond))))
	f.change(ctx, history.Delete, key, f.remove)
}

// flush is a FLUSHALL on the masters.
func (f *foreigner) flush(masters []node) {
	start := history.Clock()
	var failed error
	for _, master := range masters {
		_, err := master.do("FLUSHALL")
		failed = errors.Join(failed, err)
	}
	f.note(history.Clear, "", start, history.Clock(), failed == nil)
}

// swap is a SWAPDB for a database that is empty: all that there was is gone, as after a flush.
func (f *foreigner) swap(master node) {
	start := history.Clock()
	_, err := master.do("SWAPDB", 0, 1)
	f.note(history.Clear, "", start, history.Clock(), err == nil)
}

func (f *foreigner) close() error { return f.client.Close() }
