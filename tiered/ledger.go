package tiered

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// A ledger is where Redis keeps what orders a cache's loads and invalidations. For the cache "users":
//
//	tc:users!era{users}     8 random bytes, another for each Clear: what was loaded in an earlier era is not valid
//	tc:users!count{users}   how many invalidations by tag there were, in decimal digits
//	tc:users!tag:admins     the era, then in digits the count of the tag's last invalidation: what was loaded before it,
//	                        or in another era, is not valid. Or the era, '?' and a token while a process finds that out.
//
// A frame carries the era and the count that there were before its load began, and is valid in that era as long as none of
// its tags has a higher count, or none at all. So whatever is lost invalidates: a tag's record what has the tag, the era
// or the count all that the cache has (the one is never made without the other being new).
type ledger struct {
	redis *Redis
	stats *counters
	space string // what every key begins with
	era   string
	count string
}

// tagLife is for how long Redis keeps a tag's record at least; longer where a value with the tag is kept longer.
const tagLife = 24 * time.Hour

var errLedger = errors.New("tiered: redis: the cache's era is damaged")

func newLedger(r *Redis, name string, stats *counters) *ledger {
	space := r.prefix + name + "!"
	return &ledger{redis: r, stats: stats, space: space, era: space + "era{" + name + "}", count: space + "count{" + name + "}"}
}

func (l *ledger) do(ctx context.Context, q request) []answer {
	answers := l.redis.do(ctx, q)
	l.stats.countErrors(answers)
	return answers
}

// opening reads the era and the count, begins new ones where one is lost or damaged, and steps on by ARGV[2].
const opening = `local e,n=redis.pcall('GET',KEYS[1]),redis.pcall('GET',KEYS[2])
if type(e)~='string' or type(n)~='string' or #e~=8 or #n>15 or not string.match(n,'^%d+$') then
e,n=ARGV[1],'0' redis.call('SET',KEYS[1],e) redis.call('SET',KEYS[2],n) end
if ARGV[2]~='0' then n=tostring(redis.call('INCRBY',KEYS[2],ARGV[2])) end
return {e,n}`

// open returns the era and, after step more invalidations, the count.
func (l *ledger) open(ctx context.Context, step int) (era eraID, count uint64, p *proof, err error) {
	fresh := newEraBytes()
	a := l.do(ctx, request{
		name: "open",
		keys: []string{l.era},
		command: func(ctx context.Context, to redis.Cmdable, _ int) redis.Cmder {
			return to.Eval(ctx, opening, []string{l.era, l.count}, fresh, step)
		},
	})[0]
	if a.err != nil {
		return era, 0, nil, a.err
	}
	reply, err := a.reply.(*redis.Cmd).StringSlice()
	if err != nil || len(reply) != 2 || len(reply[0]) != len(era) {
		return era, 0, nil, errLedger
	}
	copy(era[:], reply[0])
	if count, err = strconv.ParseUint(reply[1], 10, 64); err != nil {
		return era, 0, nil, errLedger
	}
	if reply[0] == string(fresh) {
		err = l.redis.publish(ctx, []string{l.era})
	}
	return era, count, a.proof, err
}

// clear begins a new era.
func (l *ledger) clear(ctx context.Context) error {
	err := l.do(ctx, request{
		name: "clear",
		keys: []string{l.era},
		command: func(ctx context.Context, to redis.Cmdable, _ int) redis.Cmder {
			return to.Set(ctx, l.era, newEraBytes(), 0)
		},
	})[0].err
	if err != nil {
		return err
	}
	return l.redis.publish(ctx, []string{l.era})
}

func newEraBytes() []byte { return binary.BigEndian.AppendUint64(nil, rand.Uint64()) }

func (l *ledger) tagKeys(tags []string) []string {
	keys := make([]string, len(tags))
	for i, tag := range tags {
		keys[i] = l.space + "tag:" + tag
	}
	return keys
}

// tagEntry is a tag's record as it was read. known: it says the count of its last invalidation.
type tagEntry struct {
	value string
	era   eraID
	count uint64
	known bool
	life  time.Duration // of the record in Redis, as far as it was asked for
	proof *proof
	err   error
}

func (e *tagEntry) parse(value string) {
	e.value = value
	if len(value) <= len(e.era) {
		return
	}
	copy(e.era[:], value)
	count, err := strconv.ParseUint(value[len(e.era):], 10, 64)
	e.count, e.known = count, err == nil
}

// read returns the tags' records.
func (l *ledger) read(ctx context.Context, tags []string) []tagEntry {
	keys := l.tagKeys(tags)
	answers := l.do(ctx, request{
		name: "tags",
		keys: keys,
		command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
			return to.Get(ctx, keys[i])
		},
	})
	entries := make([]tagEntry, len(tags))
	for i, a := range answers {
		entries[i] = tagEntry{proof: a.proof, err: a.err}
		if redis.HasErrorPrefix(a.err, "WRONGTYPE ") {
			entries[i].err = nil // somebody else's key is no record
		} else if a.err == nil {
			entries[i].parse(a.reply.(*redis.StringCmd).Val())
		}
	}
	return entries
}

// entering returns a tag's record of the era ARGV[1] and its remaining life. Where there is none it makes one that nothing
// is valid under. ARGV[3] is its life, and ARGV[4] the least that may be left of it.
const entering = `local v=redis.pcall('GET',KEYS[1])
if type(v)=='string' and string.sub(v,1,8)==ARGV[1] then
local left=redis.call('PTTL',KEYS[1])
if left<tonumber(ARGV[4]) then redis.call('PEXPIRE',KEYS[1],ARGV[3]) left=tonumber(ARGV[3]) end
return {v,left} end
v=ARGV[1]..'?'..ARGV[2]
redis.call('SET',KEYS[1],v,'PX',ARGV[3])
return {v,tonumber(ARGV[3])}`

// enter returns the tags' records, and makes those that are missing. ttl is for how long they are needed.
func (l *ledger) enter(ctx context.Context, era eraID, tags []string, ttl time.Duration) ([]tagEntry, error) {
	keys := l.tagKeys(tags)
	life := max(tagLife, times(2, ttl))
	answers := l.do(ctx, request{
		name: "tags",
		keys: keys,
		command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
			return to.Eval(ctx, entering, keys[i:i+1], era[:], newEraBytes(), life.Milliseconds(), ttl.Milliseconds())
		},
	})
	entries := make([]tagEntry, len(tags))
	for i, a := range answers {
		if a.err != nil {
			return nil, a.err
		}
		reply, err := a.reply.(*redis.Cmd).Slice()
		if err != nil || len(reply) != 2 {
			return nil, errLedger
		}
		value, _ := reply[0].(string)
		left, _ := reply[1].(int64)
		entries[i] = tagEntry{proof: a.proof, life: millis(max(0, left))}
		entries[i].parse(value)
	}
	return entries, l.settle(ctx, era, tags, entries)
}

// settle gives the new records their count. It is read after they were there: an invalidation that had stepped on by then
// is counted in, and a later one finds the record, and replaces it before or after this does.
func (l *ledger) settle(ctx context.Context, era eraID, tags []string, entries []tagEntry) error {
	var open []int
	for i, e := range entries {
		if !e.known {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return nil
	}
	current, count, _, err := l.open(ctx, 0)
	if err != nil {
		return err
	}
	if current != era {
		return nil // they stay unknown
	}
	to := strconv.AppendUint(era[:len(era):len(era)], count, 10)
	keys := l.tagKeys(tags)
	settling := make([]string, len(open))
	for n, i := range open {
		settling[n] = keys[i]
	}
	answers := l.do(ctx, request{
		name: "tags",
		keys: settling,
		command: func(ctx context.Context, c redis.Cmdable, n int) redis.Cmder {
			e := entries[open[n]]
			return swap{seen: seen{there: true, bytes: e.value}, to: to, ttl: max(e.life, time.Millisecond)}.queue(ctx, c, settling[n])
		},
	})
	var lost []int // to another load's settling, or to an invalidation
	for n, a := range answers {
		switch {
		case a.err != nil:
			return a.err
		case a.swapped():
			entries[open[n]].parse(string(to))
		default:
			lost = append(lost, open[n])
		}
	}
	return l.reread(ctx, tags, entries, lost)
}

// reread reads the records at some places again.
func (l *ledger) reread(ctx context.Context, tags []string, entries []tagEntry, places []int) error {
	names := make([]string, len(places))
	for n, i := range places {
		names[n] = tags[i]
	}
	for n, e := range l.read(ctx, names) {
		if e.err != nil {
			return e.err
		}
		life := entries[places[n]].life
		entries[places[n]] = e
		entries[places[n]].life = life
	}
	return nil
}

// marking raises a tag's record of the era ARGV[1] to the count ARGV[2]. Where there is none, nothing has the tag.
const marking = `local v=redis.pcall('GET',KEYS[1])
if type(v)~='string' or string.sub(v,1,8)~=ARGV[1] then return 0 end
local n=tonumber(string.sub(v,9))
if n and n>=tonumber(ARGV[2]) then return 0 end
redis.call('SET',KEYS[1],ARGV[1]..ARGV[2],'KEEPTTL')
return 1`

// invalidate makes what has one of the tags invalid. It returns the tags for which that is done, and those for which it
// failed.
func (l *ledger) invalidate(ctx context.Context, tags []string) (done, failed []string, err error) {
	era, count, _, err := l.open(ctx, 1)
	if err != nil {
		return nil, tags, err
	}
	keys := l.tagKeys(tags)
	answers := l.do(ctx, request{
		name: "invalidate tags",
		keys: keys,
		command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
			return to.Eval(ctx, marking, keys[i:i+1], era[:], strconv.FormatUint(count, 10))
		},
	})
	for i, a := range answers {
		if a.err == nil {
			done = append(done, tags[i])
			continue
		}
		failed = append(failed, tags[i])
		err = cmp.Or(err, fmt.Errorf("%w (tag %q)", a.err, tags[i]))
	}
	if untold := l.redis.publish(ctx, append(keys, l.count)); untold != nil {
		return nil, tags, cmp.Or(err, untold)
	}
	return done, failed, err
}
