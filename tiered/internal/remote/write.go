package remote

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Write is a change of one key.
type Write struct {
	Key    string
	Frame  []byte             // nil: the key is deleted
	Others []byte             // the frames under the key, of which those of other codecs and schemas are kept behind it; nil: none are
	TTL    time.Duration      // of the frames
	Seen   redisconn.Expected // the content that Replace replaces
	Expire bool               // the key's frame is kept but made stale; for Tier.Write alone

	// Hold is for Tier.Write without a Frame: with a TTL the key is held instead of being deleted; else a hold with this token ends.
	Hold redisconn.Hold
}

// expireScript marks a frame as expired, with a new mark each time so that no refresh replaces it, and deletes anything else but a hold.
const expireScript = `if redis.pcall('GETRANGE',KEYS[1],0,#ARGV[1]-1)==ARGV[1] then
local n=string.byte(redis.call('GETRANGE',KEYS[1],ARGV[2],ARGV[2])) or 0
redis.call('SETRANGE',KEYS[1],ARGV[2],string.char(n%255+1))
else ` + redisconn.RemoveUnlessHeld + `end`

// Write makes the writes, whatever the keys hold, except that a key that others hold stays held unless it gets a Frame. It calls ended
// once no command of it can reach Redis any more.
func (t *Tier[T]) Write(ctx context.Context, writes []Write, ended func()) []redisconn.Reply {
	q := t.request(redisconn.StepWrite, keysOf(writes), func(ctx context.Context, to redis.Cmdable, i int, key string) redis.Cmder {
		switch w := &writes[i]; {
		case w.Expire:
			return to.Eval(ctx, expireScript, []string{key}, wire.FrameMagic+string(rune(wire.FrameVersion)), wire.ExpiredAt)
		case w.Hold.TTL > 0:
			return w.Hold.Queue(ctx, to, key, 0)
		case w.Frame == nil:
			return w.Hold.QueueRemoval(ctx, to, key)
		default:
			return to.Set(ctx, key, w.Frame, w.TTL)
		}
	})
	q.Ended, q.Size = ended, sizesOf(writes)
	return t.deleteWithoutScripts(ctx, writes, t.change(ctx, q))
}

// deleteWithoutScripts deletes the keys that a script couldn't delete because the user lost the right to run scripts. Such a user can't
// hold keys either.
func (t *Tier[T]) deleteWithoutScripts(ctx context.Context, writes []Write, replies []redisconn.Reply) []redisconn.Reply {
	var places []int
	for i, w := range writes {
		if w.Frame == nil && !w.Expire && w.Hold == (redisconn.Hold{}) && redis.IsPermissionError(replies[i].Err) {
			places = append(places, i)
		}
	}
	if len(places) == 0 {
		return replies
	}
	again := t.change(ctx, t.request(redisconn.StepWrite, pick(keysOf(writes), places), func(ctx context.Context, to redis.Cmdable, _ int, key string) redis.Cmder {
		return to.Del(ctx, key)
	}))
	for n, i := range places {
		replies[i] = again[n]
	}
	return replies
}

// Replace makes the writes of the keys that still hold the content seen there. [redisconn.Reply.Swapped] reports which.
func (t *Tier[T]) Replace(ctx context.Context, writes []Write) []redisconn.Reply {
	keys := make([]string, len(writes))
	for i := range writes {
		keys[i] = t.Keys.Value(writes[i].Key)
	}
	return t.change(ctx, redisconn.Request{Name: "store", Keys: keys, Size: sizesOf(writes), Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		w := &writes[i]
		return redisconn.CompareAndSet{Expected: w.Seen, To: w.Frame, TTL: w.TTL}.Queue(ctx, to, keys[i])
	}})
}

func keysOf(writes []Write) []string {
	keys := make([]string, len(writes))
	for i := range writes {
		keys[i] = writes[i].Key
	}
	return keys
}

// sizesOf returns a function that returns the size of a request's i-th write in bytes.
func sizesOf(writes []Write) func(i int) int {
	return func(i int) int { return len(writes[i].Frame) + len(writes[i].Seen.Bytes) }
}

// Release removes the holder from the keys. It leaves the holds of others, and any other content.
func (t *Tier[T]) Release(ctx context.Context, keys []string, h redisconn.Hold) error {
	return redisconn.FirstError(t.change(ctx, t.request("release", keys, func(ctx context.Context, to redis.Cmdable, _ int, key string) redis.Cmder {
		return h.QueueRelease(ctx, to, key)
	})))
}
