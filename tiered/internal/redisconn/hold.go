package redisconn

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Hold keeps loads from being stored under a key, or values with a tag from being valid, while a transaction that changes their source
// is being committed. It is the key's own content: the lease of a load that runs is voided by it, and a later load finds it.
//
// The content is a sorted set. Its members are the holders' tokens, and their scores the times, by Redis's clock, at which their
// holds end by themselves. So each holder ends only its own hold, whatever the others do, and a command may be repeated. A program
// that doesn't know of holds finds a value of another type, which no load of a cache replaces.
type Hold struct {
	Token string        // no other holder has it
	TTL   time.Duration // when the hold ends by itself; 0: it is to end now
}

const onRedisClock = `local t=redis.call('TIME')
local now=t[1]*1000+math.floor(t[2]/1000)
`

// holdScript adds the holder ARGV[1] to the key, for ARGV[2] milliseconds, in place of any other content. Redis keeps the key for
// ARGV[3] milliseconds at least, and unless that is 0 for no less than it would have kept the other content.
const holdScript = onRedisClock + `local keep=tonumber(ARGV[2])
if ARGV[3]~='0' then keep=math.max(keep,tonumber(ARGV[3]),redis.call('PTTL',KEYS[1])) end
if type(redis.pcall('ZREMRANGEBYSCORE',KEYS[1],'-inf',now))=='table' then redis.call('DEL',KEYS[1]) end
redis.call('ZADD',KEYS[1],now+ARGV[2],ARGV[1])
if redis.call('PTTL',KEYS[1])<keep then redis.call('PEXPIRE',KEYS[1],keep) end
return 1`

// Queue makes the command that adds the holder to the key. With kept, Redis keeps the key for longer than the hold lasts: for kept at
// least, and for no less than it would have kept what the key had.
func (h Hold) Queue(ctx context.Context, to redis.Cmdable, key string, kept time.Duration) redis.Cmder {
	return to.Eval(ctx, holdScript, []string{key}, h.Token, h.TTL.Milliseconds(), kept.Milliseconds())
}

// releaseScript removes the holder ARGV[1] from the key, and those whose time is over. It leaves content that is no hold.
const releaseScript = onRedisClock + `if type(redis.pcall('ZREM',KEYS[1],ARGV[1]))=='table' then return 0 end
redis.call('ZREMRANGEBYSCORE',KEYS[1],'-inf',now)
return 1`

// QueueRelease makes the command that removes the holder from the key. Other holders stay, and content that is no hold.
func (h Hold) QueueRelease(ctx context.Context, to redis.Cmdable, key string) redis.Cmder {
	return to.Eval(ctx, releaseScript, []string{key}, h.Token)
}

// RemoveUnlessHeld is the end of a script that deletes the key, unless it is held. Then it sets the expiry anew: Redis reports that as
// a change, which ends what other processes have of the key. A string is deleted without the right to look for holders.
const RemoveUnlessHeld = `local n=redis.pcall('GETRANGE',KEYS[1],0,0)
if type(n)=='table' then n=redis.pcall('ZCARD',KEYS[1]) end
if type(n)=='number' and n>0 then redis.call('PEXPIRE',KEYS[1],redis.call('PTTL',KEYS[1]))
else redis.call('DEL',KEYS[1]) end
`

// removeScript removes the holder ARGV[1] from the key, and those whose time is over, and then the key if nobody holds it.
const removeScript = onRedisClock + `redis.pcall('ZREM',KEYS[1],ARGV[1])
redis.pcall('ZREMRANGEBYSCORE',KEYS[1],'-inf',now)
` + RemoveUnlessHeld

// QueueRemoval makes the command that removes the holder from the key, and then any content but the holds of others. Without a token
// only the latter.
func (h Hold) QueueRemoval(ctx context.Context, to redis.Cmdable, key string) redis.Cmder {
	if h.Token == "" {
		return to.Eval(ctx, RemoveUnlessHeld, []string{key})
	}
	return to.Eval(ctx, removeScript, []string{key}, h.Token)
}
