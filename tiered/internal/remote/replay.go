package remote

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// replayBytes is how many bytes of a value are read: more than a frame's head, and all of most values. Reading a large value whole
// could exceed the timeout each time.
const replayBytes = 4 << 10

// Invalidation is an invalidation of a key that Redis didn't take when it was made.
//
// It is replayed in two steps. The process reads the key and decides whether its content is older than the invalidation, which takes
// the parser of frames. A script then removes that content, if the key still holds it. A replay thus never removes what was stored
// after it had looked, and needs no lock in Redis.
type Invalidation struct {
	Expire bool      // the key's frame is made stale, not deleted
	Until  time.Time // on Redis's clock: values whose making began later stay; zero: none does
}

// ErrChanged is the error of a key whose content changed while it was being retracted.
var ErrChanged = errors.New("tiered: redis: the key was changed at the same time")

// Probe sends a command for each key, to learn whether its server answers.
func (t *Tier[T]) Probe(ctx context.Context, keys []string) []redisconn.Reply {
	return t.do(ctx, t.request("replay", keys, func(ctx context.Context, to redis.Cmdable, _ int, key string) redis.Cmder {
		return to.PTTL(ctx, key)
	}))
}

// retractScript deletes the key if it still holds the content seen, or marks it as expired with ARGV[3]. A value of another type is
// another program's, and always deleted, unless it is a hold.
const retractScript = `local v=redis.pcall('GETRANGE',KEYS[1],0,ARGV[2])
if type(v)=='string' and v~=ARGV[1] then return 0 end
if ARGV[3]~='' then redis.call('SETRANGE',KEYS[1],ARGV[4],ARGV[3]) return 1 end
` + redisconn.RemoveUnlessHeld + `return 1`

// Retract reads the keys, and deletes their content or makes it stale if the invalidation applies to it. It returns an error for
// each key that must be tried again: ErrChanged if its content changed at the same time.
func (t *Tier[T]) Retract(ctx context.Context, keys []string, invalidations []Invalidation) (errs []error) {
	errs = make([]error, len(keys))
	var places []int
	var seen []redisconn.Expected
	for i, a := range t.do(ctx, t.request("replay", keys, func(ctx context.Context, to redis.Cmdable, _ int, key string) redis.Cmder {
		return to.GetRange(ctx, key, 0, replayBytes-1)
	})) {
		var old redisconn.Expected
		switch {
		case redis.HasErrorPrefix(a.Err, wrongType): // another program's value, which a Delete deletes too
			old.Exists = true
		case a.Err != nil:
			errs[i] = a.Err
			continue
		default:
			// A missing key is deleted too: a demoted server refuses that, and its master may have the key.
			b, _ := a.Value.(*redis.StringCmd).Bytes()
			old = invalidations[i].outdates(b)
		}
		if old.Exists {
			places, seen = append(places, i), append(seen, old)
		}
	}
	replies := t.do(ctx, t.request("replay", pick(keys, places), func(ctx context.Context, to redis.Cmdable, n int, key string) redis.Cmder {
		old, mark := seen[n], ""
		if invalidations[places[n]].Expire && old.Head && len(old.Bytes) == wire.FrameHead && wire.IsFrame([]byte(old.Bytes)) {
			mark = string([]byte{old.Bytes[wire.ExpiredAt]%255 + 1})
		}
		return to.Eval(ctx, retractScript, []string{key}, old.Bytes, old.End(), mark, wire.ExpiredAt)
	}))
	for n, a := range replies {
		if !a.Swapped() {
			errs[places[n]] = cmp.Or(a.Err, ErrChanged)
		}
	}
	return errs
}

// outdates returns the content to be removed from a key that holds b, or begins with b if that is replayBytes long. Exists is false
// if the content is newer than the invalidation. A lease may be of a load that began before the invalidation, and another program's
// value has no time, so these are always removed.
func (d Invalidation) outdates(b []byte) redisconn.Expected {
	if l, ok := wire.ParseLease(b); ok {
		return SeenLease(l)
	}
	part := len(b) >= replayBytes // readers check the rest of the frame, and its checksum
	f, err := wire.ParseFrame(b)
	if part {
		f, err = wire.ParseFrameTimes(b)
	}
	switch {
	case err != nil:
		return redisconn.Expected{Exists: true, Bytes: string(b), Head: part}
	case !d.Until.IsZero() && f.Began().After(d.Until):
		return redisconn.Expected{}
	}
	return redisconn.Expected{Exists: true, Bytes: string(b[:wire.FrameHead]), Head: true}
}
