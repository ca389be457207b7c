package tags

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Store is the part of Redis that orders a cache's loads and invalidations. Its keys for the cache "users" are:
//
//	tc:users!era{users}     8 random bytes, new ones for each Clear: values loaded in an earlier epoch are invalid. Then, if
//	                        there was an ExpireAll since, its count in decimal digits: values loaded before it are stale
//	tc:users!count{users}   how many invalidations and expiries of tags, and ExpireAlls, there were, in decimal digits
//	tc:users!tag:admins     the epoch, then in digits the count of the tag's last invalidation: values with the tag that were
//	                        loaded before it, or in another epoch, are invalid. Then, if there was an ExpireTags since, '~' and
//	                        its count in digits, which is higher: values loaded before it are stale. While a process
//	                        determines the count: the epoch, '?' and a token. While the tag is held: see redisconn.Hold
//
// A frame carries the epoch and the count from before its load began. It is valid in that epoch if each of its tags has a record
// and none has a higher count. So lost data only invalidates: the loss of a tag's record the values with the tag, the loss of
// the epoch or the count all values of the cache (if one is created anew, so is the other). A record or an epoch that a reader
// can't parse counts as lost: a reader that doesn't know of expiries must never take values for valid because of that.
type Store struct {
	redis       *redisconn.Conn
	countErrors func([]redisconn.Reply) // counts the errors
	names       wire.Keys

	Trace *redisconn.Trace // gets the calls; nil: none does
}

// minTTL is the minimum time for which Redis keeps a tag's record. It is longer if a value with the tag is kept longer.
const minTTL = 24 * time.Hour

var errDamaged = redisconn.NewAnsweredError("tiered: redis: the cache's epoch is damaged")

// NewStore returns the tag store of the cache of that name. It gives all its replies to countErrors.
func NewStore(conn *redisconn.Conn, name string, count func([]redisconn.Reply)) *Store {
	return &Store{redis: conn, countErrors: count, names: wire.NewKeys(conn.Prefix, name)}
}

// do makes a request and counts its errors.
func (s *Store) do(ctx context.Context, q redisconn.Request) []redisconn.Reply {
	q.Trace = s.Trace
	answers := s.redis.Do(ctx, q)
	s.countErrors(answers)
	return answers
}

// openScript reads the epoch and the count, begins new ones if either is lost or damaged, and increments the count by ARGV[3]. Unless
// ARGV[2] is 0, it records the new count as the epoch's last expiry.
const openScript = `local e,n=redis.pcall('GET',KEYS[1]),redis.pcall('GET',KEYS[2])
if type(e)~='string' or type(n)~='string' or not(#e==8 or #e<24 and string.match(string.sub(e,9),'^%d+$')) or #n>15 or not string.match(n,'^%d+$') then
e,n=ARGV[1],'0' redis.call('SET',KEYS[1],e) redis.call('SET',KEYS[2],n) end
if ARGV[3]~='0' then n=tostring(redis.call('INCRBY',KEYS[2],ARGV[3])) end
if ARGV[2]~='0' then e=string.sub(e,1,8)..n redis.call('SET',KEYS[1],e) end
return {e,n}`

// epochState is the state of a cache in the tag store.
type epochState struct {
	epoch    coherence.EpochID
	expiry   uint64 // the count of the epoch's last expiry; 0: none
	seq      uint64
	validity *coherence.Validity
}

// parse parses the values of the epoch's key and of the count's.
func (o *epochState) parse(epoch, seq string) error {
	if len(epoch) < len(o.epoch) {
		return errDamaged
	}
	copy(o.epoch[:], epoch)
	var err error
	if digits := epoch[len(o.epoch):]; digits != "" {
		o.expiry, err = strconv.ParseUint(digits, 10, 64)
	}
	if err == nil {
		o.seq, err = strconv.ParseUint(seq, 10, 64)
	}
	if err != nil {
		return errDamaged
	}
	return nil
}

// is reports whether known is the epoch with its last expiry. It may be nil.
func (o *epochState) is(known *coherence.Epoch) bool {
	return known != nil && known.ID == o.epoch && known.Expiry == o.expiry
}

// open adds step to the count and returns the epoch and the new count. With expire it makes everything stale.
func (s *Store) open(ctx context.Context, step int, expire bool) (o epochState, err error) {
	fresh := randomID()
	a := s.do(ctx, redisconn.Request{
		Name: "epoch",
		Keys: []string{s.names.Epoch},
		Kept: func(int) []string { return []string{s.names.Epoch, s.names.Seq} },
		Command: func(ctx context.Context, to redis.Cmdable, _ int) redis.Cmder {
			return to.Eval(ctx, openScript, []string{s.names.Epoch, s.names.Seq}, fresh, expire, step)
		},
	})[0]
	if a.Err != nil {
		return o, a.Err
	}
	reply, err := a.Value.(*redis.Cmd).StringSlice()
	if err != nil || len(reply) != 2 {
		return o, errDamaged
	}
	o.validity = a.Validity
	if err := o.parse(reply[0], reply[1]); err != nil {
		return o, err
	}
	if expire || string(o.epoch[:]) == string(fresh) {
		err = s.redis.PublishChanges(ctx, []string{s.names.Epoch})
	}
	return o, err
}

// Clear begins a new epoch, or with expire makes all of this one stale.
func (s *Store) Clear(ctx context.Context, expire bool) error {
	if expire {
		_, err := s.open(ctx, 1, true)
		return err
	}
	err := s.do(ctx, redisconn.Request{
		Name: "clear",
		Keys: []string{s.names.Epoch},
		Command: func(ctx context.Context, to redis.Cmdable, _ int) redis.Cmder {
			return to.Set(ctx, s.names.Epoch, randomID(), 0)
		},
	})[0].Err
	if err != nil {
		return err
	}
	return s.redis.PublishChanges(ctx, []string{s.names.Epoch})
}

// randomID returns a random epoch ID, or a token.
func randomID() []byte { return binary.BigEndian.AppendUint64(nil, rand.Uint64()) }

// tagKeys returns Redis's keys of the tags' records.
func (s *Store) tagKeys(tags []string) []string {
	keys := make([]string, len(tags))
	for i, tag := range tags {
		keys[i] = s.names.Tag(tag)
	}
	return keys
}

// tagReply is a tag's record in Redis.
type tagReply struct {
	value    string
	epoch    coherence.EpochID
	seq      uint64
	expiry   uint64        // the count of the last expiry, if that came later; otherwise 0
	known    bool          // the record says the count of the tag's last invalidation
	hold     holdState     // whether there is a hold instead of a record, if register asked
	ttl      time.Duration // the record's TTL, if it was asked for
	validity *coherence.Validity
	err      error
}

// parse parses a record's value.
func (e *tagReply) parse(value string) {
	e.value, e.seq, e.expiry, e.known = value, 0, 0, false
	if len(value) <= len(e.epoch) {
		return
	}
	copy(e.epoch[:], value)
	digits, more, expires := strings.Cut(value[len(e.epoch):], "~")
	count, err := strconv.ParseUint(digits, 10, 64)
	var expiry uint64
	if err == nil && expires {
		expiry, err = strconv.ParseUint(more, 10, 64)
	}
	if err == nil {
		e.seq, e.expiry, e.known = count, expiry, true
	}
}

// read returns the tags' records.
func (s *Store) read(ctx context.Context, tags []string) []tagReply {
	keys := s.tagKeys(tags)
	answers := s.do(ctx, redisconn.Request{
		Name: "tags",
		Keys: keys,
		Kept: func(i int) []string { return keys[i : i+1] },
		Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
			return to.Get(ctx, keys[i])
		},
	})
	replies := make([]tagReply, len(tags))
	for i, a := range answers {
		replies[i] = tagReply{validity: a.Validity, err: a.Err}
		if redis.HasErrorPrefix(a.Err, "WRONGTYPE ") {
			replies[i].err = nil // another program's key, so there is no record
		} else if a.Err == nil {
			replies[i].parse(a.Value.(*redis.StringCmd).Val())
		}
	}
	return replies
}

// registerScript returns a tag's record of the epoch ARGV[1] and its TTL. If there is none it creates one without a count, under which
// no value is valid. ARGV[3] is the TTL it sets, and ARGV[4] the least TTL that needs no extension. If there is a hold, it returns the
// hold's state.
const registerScript = `local v=redis.pcall('GET',KEYS[1])
if type(v)=='table' then
local t=redis.call('TIME')
local n=redis.pcall('ZCOUNT',KEYS[1],t[1]*1000+math.floor(t[2]/1000),'+inf')
if type(n)=='number' then return {n>0 and '` + string(held) + `' or '` + string(left) + `',0} end
end
if type(v)=='string' and string.sub(v,1,8)==ARGV[1] then
local left=redis.call('PTTL',KEYS[1])
if left<tonumber(ARGV[4]) then redis.call('PEXPIRE',KEYS[1],ARGV[3]) left=tonumber(ARGV[3]) end
return {v,left} end
v=ARGV[1]..'?'..ARGV[2]
redis.call('SET',KEYS[1],v,'PX',ARGV[3])
return {v,tonumber(ARGV[3])}`

// register returns the tags' records, and creates the missing ones. The records are needed for ttl.
func (s *Store) register(ctx context.Context, epoch coherence.EpochID, tags []string, ttl time.Duration) ([]tagReply, error) {
	keys := s.tagKeys(tags)
	life := max(minTTL, mono.Times(2, ttl))
	answers := s.do(ctx, redisconn.Request{
		Name: "tags",
		Keys: keys,
		Kept: func(i int) []string { return keys[i : i+1] },
		Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
			return to.Eval(ctx, registerScript, keys[i:i+1], epoch[:], randomID(), life.Milliseconds(), ttl.Milliseconds())
		},
	})
	replies := make([]tagReply, len(tags))
	for i, a := range answers {
		if a.Err != nil {
			return nil, a.Err
		}
		reply, err := a.Value.(*redis.Cmd).Slice()
		if err != nil || len(reply) != 2 {
			return nil, errDamaged
		}
		value, _ := reply[0].(string)
		remaining, _ := reply[1].(int64)
		replies[i] = tagReply{validity: a.Validity, ttl: mono.Millis(max(0, remaining)), hold: holdStateOf(value)}
		replies[i].parse(value)
	}
	return replies, s.assignCounts(ctx, epoch, tags, replies)
}

// assignCounts sets the count of new records. It reads the count after the records were created: an invalidation that incremented it
// before is included, and a later one finds the record and raises it before or after assignCounts does.
func (s *Store) assignCounts(ctx context.Context, epoch coherence.EpochID, tags []string, replies []tagReply) error {
	var open []int
	for i, e := range replies {
		if !e.known && e.hold == noHold {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return nil
	}
	current, err := s.open(ctx, 0, false)
	if err != nil {
		return err
	}
	if current.epoch != epoch {
		return nil // the records stay without a count
	}
	to := strconv.AppendUint(epoch[:len(epoch):len(epoch)], current.seq, 10)
	keys := s.tagKeys(tags)
	keysOf := make([]string, len(open))
	for n, i := range open {
		keysOf[n] = keys[i]
	}
	answers := s.do(ctx, redisconn.Request{
		Name: "tags",
		Keys: keysOf,
		Command: func(ctx context.Context, c redis.Cmdable, n int) redis.Cmder {
			e := replies[open[n]]
			return redisconn.CompareAndSet{Expected: redisconn.Expected{Exists: true, Bytes: e.value}, To: to, TTL: max(e.ttl, time.Millisecond)}.Queue(ctx, c, keysOf[n])
		},
	})
	var lost []int // another load or an invalidation has set their count
	for n, a := range answers {
		switch {
		case a.Err != nil:
			return a.Err
		case a.Swapped():
			replies[open[n]].parse(string(to))
		default:
			lost = append(lost, open[n])
		}
	}
	return s.reread(ctx, tags, replies, lost)
}

// reread reads the records at the places again.
func (s *Store) reread(ctx context.Context, tags []string, replies []tagReply, places []int) error {
	names := make([]string, len(places))
	for n, i := range places {
		names[n] = tags[i]
	}
	for n, e := range s.read(ctx, names) {
		if e.err != nil {
			return e.err
		}
		life := replies[places[n]].ttl
		replies[places[n]] = e
		replies[places[n]].ttl = life
	}
	return nil
}

// invalidateScript raises the count of a tag's record of the epoch ARGV[1] to ARGV[2], or its expiry unless ARGV[3] is 0. Without a record
// no value has the tag. A record without a count can't have an expiry: it gets the count instead.
const invalidateScript = `local v=redis.pcall('GET',KEYS[1])
if type(v)~='string' or string.sub(v,1,8)~=ARGV[1] then return 0 end
v=string.sub(v,9)
local to,at=tonumber(ARGV[2]),string.match(v,'^%d+$')
local expiry
if not at then at,expiry=string.match(v,'^(%d+)~(%d+)$') end
if at and tonumber(at)>=to then return 0 end
v=ARGV[2]
if at and ARGV[3]~='0' then
if expiry and tonumber(expiry)>=to then return 0 end
v=at..'~'..ARGV[2]
elseif expiry and tonumber(expiry)>to then v=v..'~'..expiry end
redis.call('SET',KEYS[1],ARGV[1]..v,'KEEPTTL')
return 1`

// invalidate makes the values of the epoch that have one of the tags invalid, or with expire stale, if they were loaded before its
// count. It returns the tags for which it succeeded, and those for which it failed.
func (s *Store) invalidate(ctx context.Context, at epochState, tags []string, expire bool) (done, failed []string, err error) {
	keys := s.tagKeys(tags)
	answers := s.do(ctx, redisconn.Request{
		Name: "invalidate tags",
		Keys: keys,
		Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
			return to.Eval(ctx, invalidateScript, keys[i:i+1], at.epoch[:], strconv.FormatUint(at.seq, 10), expire)
		},
	})
	for i, a := range answers {
		if a.Err == nil {
			done = append(done, tags[i])
			continue
		}
		failed = append(failed, tags[i])
		err = cmp.Or(err, fmt.Errorf("%w (tag %q)", a.Err, tags[i]))
	}
	if unpublished := s.redis.PublishChanges(ctx, append(keys, s.names.Seq)); unpublished != nil {
		return nil, tags, cmp.Or(err, unpublished)
	}
	return done, failed, err
}

// lasting returns the validity of a reply with the validity p. If no change of the tag store is reported, it is limited, so that
// the store is asked again.
func (s *Store) lasting(p *coherence.Validity) *coherence.Validity {
	if p == coherence.Always {
		return coherence.NewValidity(mono.Now().Add(s.redis.MaxAge()))
	}
	return p
}
