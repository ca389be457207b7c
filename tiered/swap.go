package tiered

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// seen is what a read found under a key, by which a later write can tell whether it is still there.
type seen struct {
	there bool
	bytes string
	head  bool // bytes is only the beginning, which no other value of the key has
}

// swap is a write that is made only where a key still holds what was seen. It takes an empty value for the same as none.
type swap struct {
	seen seen
	to   []byte // nil: nothing
	ttl  time.Duration
}

// swapScript compares and sets, in Redis, where nothing can come in between. It is sent whole each time: it is short, and
// a pipeline can't react to a server that doesn't know it yet.
const swapScript = `if redis.call('GETRANGE',KEYS[1],0,ARGV[2])~=ARGV[1] then return 0 end
if ARGV[3]=='' then redis.call('DEL',KEYS[1]) else redis.call('SET',KEYS[1],ARGV[3],'PX',ARGV[4]) end
return 1`

func (s swap) queue(ctx context.Context, to redis.Cmdable, key string) redis.Cmder {
	return to.Eval(ctx, swapScript, []string{key}, s.seen.bytes, s.seen.end(), s.to, s.ttl.Milliseconds())
}

// end is where what was seen ends, for GETRANGE.
func (s seen) end() int {
	if s.head {
		return len(s.bytes) - 1
	}
	return -1
}

// swapped answers whether the write was made.
func (a answer) swapped() bool {
	cmd, ok := a.reply.(*redis.Cmd)
	return ok && a.err == nil && cmd.Val() == int64(1)
}
