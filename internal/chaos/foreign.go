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

// foreignProcess is the process number of writers without a cache.
const foreignProcess = -1

// foreignWriter writes to the masters as another program without a cache would.
type foreignWriter struct {
	identity
	keys   int
	client redis.UniversalClient
	rng    *rand.Rand

	mu  sync.Mutex
	ops []history.Op
}

func newForeignWriter(o Options, p plan) *foreignWriter {
	return &foreignWriter{keys: o.Keys, client: p.open(), rng: rand.New(rand.NewPCG(o.Seed, 2))}
}

// run writes until ctx ends.
func (w *foreignWriter) run(ctx context.Context) {
	for ctx.Err() == nil {
		key := keyName(w.rng.IntN(w.keys))
		switch p := w.rng.Float64(); {
		case p < 0.45:
			w.set(ctx, key)
		case p < 0.70:
			w.recordChange(ctx, history.Delete, key, w.remove)
		case p < 0.95:
			w.recordChange(ctx, history.Delete, key, w.expire)
		default:
			w.storeHash(ctx, key)
		}
		pause(ctx, time.Duration(w.rng.ExpFloat64()*float64(25*time.Millisecond)))
	}
}

// record adds an operation to the record.
func (w *foreignWriter) record(kind history.Kind, key string, start, end int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ops = append(w.ops, history.Op{
		ID: w.next(), Process: foreignProcess, Kind: kind, Key: key, Start: start, End: end, OK: ok,
	})
}

func (w *foreignWriter) set(ctx context.Context, key string) {
	op := history.Op{ID: w.next(), Process: foreignProcess, Kind: history.Set, Key: key, Start: history.Clock()}
	value, err := json.Marshal(newValue(op.ID))
	if err == nil {
		err = w.client.Set(ctx, redisKey(key), value, time.Second+time.Duration(w.rng.Int64N(int64(4*time.Second)))).Err()
	}
	op.End, op.OK = history.Clock(), err == nil
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ops = append(w.ops, op)
}

// recordChange calls do and records the operation, unless do found no key to change.
func (w *foreignWriter) recordChange(ctx context.Context, kind history.Kind, key string, do func(context.Context, string) (bool, error)) {
	start := history.Clock()
	changed, err := do(ctx, redisKey(key))
	if changed || err != nil {
		w.record(kind, key, start, history.Clock(), err == nil)
	}
}

func (w *foreignWriter) remove(ctx context.Context, redisKey string) (bool, error) {
	n, err := w.client.Del(ctx, redisKey).Result()
	return n > 0, err
}

var (
	errStillThere = errors.New("a key exists after its expiry")
	errRewritten  = errors.New("a key was written before its expiry")
)

// expire sets a key's TTL to a millisecond, and returns when the key is gone. A write of the key in that millisecond removes
// the TTL; whether the key had expired before is then unknown.
func (w *foreignWriter) expire(ctx context.Context, redisKey string) (bool, error) {
	there, err := w.client.PExpire(ctx, redisKey, time.Millisecond).Result()
	if err != nil || !there {
		return false, err
	}
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		left, err := w.client.PTTL(ctx, redisKey).Result()
		if err != nil {
			return true, err
		}
		switch {
		case left == -2: // no such key
			return true, nil
		case left < 0 || left > time.Millisecond:
			return true, errRewritten
		}
	}
	return true, errStillThere
}

// storeHash replaces a key's value by a hash for a moment.
func (w *foreignWriter) storeHash(ctx context.Context, key string) {
	w.recordChange(ctx, history.Delete, key, func(ctx context.Context, redisKey string) (bool, error) {
		_, err := w.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Del(ctx, redisKey)
			p.HSet(ctx, redisKey, "field", "another program's")
			return nil
		})
		return true, err
	})
	pause(ctx, time.Duration(w.rng.Int64N(int64(300*time.Millisecond))))
	w.recordChange(ctx, history.Delete, key, w.remove)
}

// flush sends FLUSHALL to the masters.
func (w *foreignWriter) flush(masters []node) {
	start := history.Clock()
	var failed error
	for _, master := range masters {
		_, err := master.do("FLUSHALL")
		failed = errors.Join(failed, err)
	}
	w.record(history.Clear, "", start, history.Clock(), failed == nil)
}

// swap sends SWAPDB with an empty database: all keys are gone, as after a flush.
func (w *foreignWriter) swap(master node) {
	start := history.Clock()
	_, err := master.do("SWAPDB", 0, 1)
	w.record(history.Clear, "", start, history.Clock(), err == nil)
}

func (w *foreignWriter) close() error { return w.client.Close() }
