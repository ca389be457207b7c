package tiered

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/values"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// remote is a cache's Redis tier. It maps keys to Redis's keys, and records to frames and back.
type remote[T any] struct {
	redis       *redisconn.Conn
	reads       *redisconn.Session
	keys        wire.Keys
	values      *values.Funcs[T]
	countErrors func([]redisconn.Reply)
	report      func(message, key string, err error) // of a value that can't be decoded
}

// readResult is the result of reading a key from Redis.
type readResult[T any] struct {
	record          *record.Record[T]  // fresh or stale; nil: none that can be decoded
	seen            redisconn.Expected // the content that a store of a newer value replaces
	lease           []byte             // the lease under the key; nil: none
	vacant          bool               // the key holds nothing worth keeping, so a lease may replace it
	redisconn.Reply                    // with an Err the content is unknown
	bonds           *coherence.Deps    // the dependencies of a record that the local tier may keep
}

func newRemote[T any](r *redisconn.Conn, name string, v *values.Funcs[T],
	countErrors func([]redisconn.Reply), report func(message, key string, err error)) *remote[T] {
	return &remote[T]{redis: r, reads: new(redisconn.Session), keys: wire.NewKeys(r.Prefix, name), values: v, countErrors: countErrors, report: report}
}

func (m *remote[T]) key(h keyRef[T]) string { return m.keys.Value(h.key) }

func (m *remote[T]) besideKey(h keyRef[T]) string { return m.keys.Lease(h.key) }

func (m *remote[T]) redisKeys(holds []keyRef[T]) []string {
	keys := make([]string, len(holds))
	for i, h := range holds {
		keys[i] = m.key(h)
	}
	return keys
}

// request returns a request of one command per key.
func (m *remote[T]) request(name string, holds []keyRef[T], command func(ctx context.Context, to redis.Cmdable, i int, key string) redis.Cmder) redisconn.Request {
	keys := m.redisKeys(holds)
	return redisconn.Request{Name: name, Keys: keys, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		return command(ctx, to, i, keys[i])
	}}
}

// readOptions says how to read keys from Redis.
type readOptions struct {
	given []redisconn.Pending // reads already begun, one per key; unused if nil or if one has no Read
	exact bool                // tell a value of another type from no value; otherwise only replacing it shows the difference
}

// read reads the keys from Redis and counts errors.
func (m *remote[T]) read(ctx context.Context, holds []keyRef[T], p Policy, how readOptions) []readResult[T] {
	answers := m.answers(ctx, holds, how)
	m.countErrors(answers)
	findings := make([]readResult[T], len(holds))
	var foreign []int
	for i, a := range answers {
		f := &findings[i]
		f.Reply = a
		if a.Err != nil {
			continue
		}
		b, there := a.Bytes()
		if !there {
			f.vacant = true
			continue
		}
		if err := m.decode(ctx, f, b, p); err != nil {
			m.report("tiered: a value in Redis can't be decoded", holds[i].key, err)
		}
		if f.record != nil && !f.framed() {
			foreign = append(foreign, i)
		}
	}
	m.limit(ctx, holds, findings, foreign)
	return findings
}

// answers returns Redis's replies for the keys, from reads already begun where it can.
func (m *remote[T]) answers(ctx context.Context, holds []keyRef[T], how readOptions) []redisconn.Reply {
	if len(holds) == 1 && (how.given == nil || how.given[0].Read == nil) && !how.exact {
		if s := m.redis.Read(ctx, m.key(holds[0]), nil, mono.Now()); s.Read != nil {
			how.given = []redisconn.Pending{s}
		}
	}
	if how.given == nil || slices.ContainsFunc(how.given, func(s redisconn.Pending) bool { return s.Read == nil }) {
		q := m.redis.Gets(m.redisKeys(holds))
		q.Bulk = !how.exact
		return m.redis.Do(ctx, q)
	}
	answers := make([]redisconn.Reply, len(holds))
	var late []int
	for i, s := range how.given {
		answers[i] = s.Wait(ctx)
		if len(s.Keys) > 1 && errors.Is(answers[i].Err, context.DeadlineExceeded) && ctx.Err() == nil {
			late = append(late, i)
		}
	}
	// A command for many keys may have timed out because their values are large. A request is given more time.
	for n, a := range m.redis.Do(ctx, m.redis.Gets(m.redisKeys(pick(holds, late)))) {
		answers[late[n]] = a
	}
	return answers
}

// begin begins to read the flights' keys, with the values of ctx. A key that needs a call of its own gets no read.
func (m *remote[T]) begin(ctx context.Context, flights []*flight[T]) {
	at := flights[0].start // a moment ago
	if len(flights) == 1 {
		flights[0].given = m.redis.Read(ctx, m.key(flights[0].keyRef), m.reads, at)
		return
	}
	keys := make([]string, len(flights))
	n := 0
	for _, f := range flights {
		n += len(m.keys.Values) + len(f.key)
	}
	var all strings.Builder // each key is a substring of it
	all.Grow(n)
	for i, f := range flights {
		from := all.Len()
		all.WriteString(m.keys.Values)
		all.WriteString(f.key)
		keys[i] = all.String()[from:]
	}
	for i, s := range m.redis.ReadAll(ctx, keys, m.reads, at) {
		flights[i].given = s
	}
}

// abandon ends the reads that begin has begun, because the cache is closed.
func (m *remote[T]) abandon() { m.redis.EndSession(m.reads) }

// limit makes records that other programs wrote expire with their keys, which Redis may report up to a second late.
func (m *remote[T]) limit(ctx context.Context, holds []keyRef[T], findings []readResult[T], foreign []int) {
	theirs := make([]keyRef[T], len(foreign))
	for n, i := range foreign {
		theirs[n] = holds[i]
	}
	answers := m.redis.Do(ctx, m.request("pttl", theirs, func(ctx context.Context, to redis.Cmdable, _ int, key string) redis.Cmder {
		return pttl(ctx, to, key)
	}))
	m.countErrors(answers)
	for n, i := range foreign {
		r := findings[i].record
		if answers[n].Err != nil {
			findings[i].Err = answers[n].Err
		} else if left := answers[n].Value.(*redis.IntCmd).Val(); left != -1 { // -1: no expiry
			r.FreshUntil = min(r.FreshUntil, mono.Now().Add(mono.Millis(max(0, left))))
		}
	}
}

// pttl asks for a key's TTL in milliseconds. The client's own PTTL returns a Duration, which another program's TTL may overflow.
func pttl(ctx context.Context, to redis.Cmdable, key string) redis.Cmder {
	cmd := redis.NewIntCmd(ctx, "pttl", key)
	_ = to.(interface { // implemented by all clients and pipelines
		Process(context.Context, redis.Cmder) error
	}).Process(ctx, cmd) // the command has the error
	return cmd
}

// decode decodes a key's content into f.
func (m *remote[T]) decode(ctx context.Context, f *readResult[T], b []byte, p Policy) error {
	read := mono.Now()
	if l, ok := wire.ParseLease(b); ok {
		f.seen, f.lease = seenLease(l), b
		return nil
	}
	r := &record.Record[T]{Created: read, FreshUntil: read.Add(p.localTTL()), Meta: new(record.Meta)}
	payload := b
	f.vacant = len(b) == 0
	if wire.IsFrame(b) || wire.IsLease(b) {
		f.vacant = true
		fr, err := m.parse(b)
		if err != nil {
			f.seen = redisconn.Expected{Exists: true, Bytes: string(b)}
			return err
		}
		f.seen = redisconn.Expected{Exists: true, Bytes: unsafe.String(&b[0], wire.FrameHead), Head: true} // the head is never modified
		r.Created, r.FreshUntil = frameTimes(&fr, read, m.redis.TimeAt(ctx, read))
		windows := p.windows()
		*r.Meta = frameTraits(&fr, &windows, p.Jitter)
		payload = fr.Payload
	} else {
		f.seen = redisconn.Expected{Exists: true, Bytes: string(b)}
	}
	if !r.Absent {
		var err error
		if r.Cost, err = m.values.Decode(payload, &r.Value); err != nil {
			return err
		}
	}
	f.record, f.vacant = r, false
	return nil
}

// parse parses a frame. It returns an error if another codec encoded the payload.
func (m *remote[T]) parse(b []byte) (wire.Frame, error) {
	fr, err := wire.ParseFrame(b)
	if err == nil && fr.Codec != m.values.Name {
		err = errForeignCodec
	}
	return fr, err
}

// frameTimes returns when the frame's record was created and until when it is fresh. At the instant at, Redis's clock showed onRedis.
func frameTimes(f *wire.Frame, at mono.Instant, onRedis time.Time) (created, freshUntil mono.Instant) {
	age := max(0, onRedis.Sub(f.Created))
	return at.Add(-age), at.Add(f.FreshFor - age)
}

// frameTraits returns the metadata of the frame's record. It draws the time of an early refresh from w and jitter.
func frameTraits(f *wire.Frame, w *wire.Windows, jitter float64) record.Meta {
	t := record.Meta{
		Absent: f.NotFound, Expired: f.Expired, Took: f.Took, Windows: f.Windows,
		Stamp: coherence.Stamp{Epoch: f.Epoch, Seq: f.Seq, Tags: f.Tags},
	}
	t.DrawEarly(w, jitter)
	return t
}

var errForeignCodec = errors.New("the frame has another codec's value")

// framed reports whether the record came out of a frame. If not, another program wrote it.
func (f *readResult[T]) framed() bool { return f.seen.Head }

// encode encodes the record as a frame.
func (m *remote[T]) encode(ctx context.Context, r *record.Record[T]) ([]byte, error) {
	at := m.redis.Time(ctx) // may block
	f := wire.Frame{
		ID:       rand.Uint64(),
		NotFound: r.Absent,
		Codec:    m.values.Name,
		Created:  at.Add(-mono.Now().Since(r.Created)),
		FreshFor: r.FreshUntil.Since(r.Created),
		Took:     r.Took,
		Windows:  r.Windows,
		Epoch:    r.Epoch,
		Seq:      r.Seq,
		Tags:     r.Tags,
	}
	return m.values.Encode(&f, &r.Value)
}

// write makes the key writes, whatever the keys hold. It calls ended once no command of it can reach Redis any more.
func (m *remote[T]) write(ctx context.Context, changes []keyWrite[T], ended func()) []redisconn.Reply {
	q := m.request(redisconn.StepWrite, holdsOf(changes), func(ctx context.Context, to redis.Cmdable, i int, key string) redis.Cmder {
		switch ch := changes[i]; {
		case ch.expire:
			return to.Eval(ctx, expiring, []string{key}, wire.FrameMagic+string(rune(wire.FrameVersion)), wire.ExpiredAt)
		case ch.frame == nil:
			return to.Del(ctx, key)
		default:
			return to.Set(ctx, key, ch.frame, ch.ttl)
		}
	})
	q.Ended, q.Size = ended, sizesOf(changes)
	return m.settle(ctx, q)
}

// expiring marks a frame as expired, with a new mark each time so that no refresh replaces it, and deletes anything else.
const expiring = `if redis.pcall('GETRANGE',KEYS[1],0,#ARGV[1]-1)==ARGV[1] then
local n=string.byte(redis.call('GETRANGE',KEYS[1],ARGV[2],ARGV[2])) or 0
redis.call('SETRANGE',KEYS[1],ARGV[2],string.char(n%255+1))
else redis.call('DEL',KEYS[1]) end`

// replace makes the key writes for the keys that still hold the content seen there.
func (m *remote[T]) replace(ctx context.Context, changes []keyWrite[T]) []redisconn.Reply {
	q := m.request("store", holdsOf(changes), func(ctx context.Context, to redis.Cmdable, i int, key string) redis.Cmder {
		ch := changes[i]
		return redisconn.CompareAndSet{Expected: ch.seen, To: ch.frame, TTL: ch.ttl}.Queue(ctx, to, key)
	})
	q.Size = sizesOf(changes)
	return m.settle(ctx, q)
}

// sizesOf returns a function that returns the size of a request's i-th key write in bytes.
func sizesOf[T any](changes []keyWrite[T]) func(i int) int {
	return func(i int) int { return len(changes[i].frame) + len(changes[i].seen.Bytes) }
}

// settle makes a request that changes keys, and publishes the changes if the mode of invalidation needs that.
func (m *remote[T]) settle(ctx context.Context, q redisconn.Request) []redisconn.Reply {
	answers := m.redis.Do(ctx, q)
	m.countErrors(answers)
	if m.redis.Publish == nil {
		return answers
	}
	var changed []string
	telling := ctx
	for i, a := range answers {
		if !redisconn.NotSent(a.Err) {
			changed = append(changed, q.Keys[i])
		}
		if a.Err == nil {
			telling = context.WithoutCancel(ctx) // ctx may be done because another master of a Cluster didn't answer in time
		}
	}
	if err := m.redis.PublishChanges(telling, changed); err != nil {
		for i := range answers {
			answers[i].Err = errors.Join(answers[i].Err, err)
		}
	}
	return answers
}

func holdsOf[T any](changes []keyWrite[T]) []keyRef[T] {
	holds := make([]keyRef[T], len(changes))
	for i, ch := range changes {
		holds[i] = ch.hold
	}
	return holds
}
