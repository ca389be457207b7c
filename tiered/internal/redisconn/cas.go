package redisconn

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Expected is the value that a read found under a key. A later write is made only if it is still there.
type Expected struct {
	Exists bool
	Bytes  string
	Head   bool // Bytes is only the beginning of the value, which no other value of the key has
}

// End is where the expected bytes end in the value, for GETRANGE.
func (e Expected) End() int {
	if e.Head {
		return len(e.Bytes) - 1
	}
	return -1
}

// CompareAndSet is a write that is made only if the key still holds what was read. An empty value counts as none.
type CompareAndSet struct {
	Expected Expected
	To       []byte // nil: the key is deleted
	TTL      time.Duration
}

// casScript compares and sets in Redis, where nothing can come in between. It is sent whole each time: it is short, and a
// pipeline can't react to a server that doesn't know it yet. A value that is no string differs from all that can be expected.
const casScript = `local v=redis.pcall('GETRANGE',KEYS[1],0,ARGV[2])
if type(v)=='table' and not string.find(v.err,'WRONGTYPE',1,true) then return v end
if v~=ARGV[1] then return 0 end
if ARGV[3]=='' then redis.call('DEL',KEYS[1]) else redis.call('SET',KEYS[1],ARGV[3],'PX',ARGV[4]) end
return 1`

// Queue makes the write's command.
func (w CompareAndSet) Queue(ctx context.Context, to redis.Cmdable, key string) redis.Cmder {
	cmd := redis.NewCmd(ctx, "eval", casScript, 1, key, w.Expected.Bytes, w.Expected.End(), w.To, w.TTL.Milliseconds()) // Eval copies slices
	cmd.SetFirstKeyPos(3)
	Process(ctx, to, cmd)
	return cmd
}

// Swapped reports whether the write of a CompareAndSet was made.
func (r Reply) Swapped() bool {
	cmd, ok := r.Value.(*redis.Cmd)
	return ok && r.Err == nil && cmd.Val() == int64(1)
}
