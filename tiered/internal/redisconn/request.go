package redisconn

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
)

// Request is one command for each of some keys.
type Request struct {
	Name    string // in errors, and the step by which refusals are counted: two requests of one name clear each other's refusal
	Keys    []string
	Command func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder // nil: a GET
	Ended   func()                                                         // nil, or called when nothing more of the request can reach Redis from here
	Bulk    bool                                                           // the commands are GETs, and one MGET may replace them: a value of another type then counts as none
	Values  bool                                                           // the replies may be large
	Size    func(i int) int                                                // nil, or about how many bytes the command sends beside the key
	Trace   *Trace                                                         // nil, or gets the request's calls

	// Insert is set under the single key of a GET, for InsertTTL, if the key holds nothing. Where the server can't do both at a time, or
	// refuses it at present, the key is only read. nil: nothing is set.
	Insert    []byte
	InsertTTL time.Duration

	// Kept returns the keys of the i-th command's server of which the caller keeps what the command returns, if the reply has a
	// validity. nil: it keeps nothing that the server wasn't asked about otherwise.
	Kept func(i int) []string
}

// bytes returns about how much the request sends for a key.
func (q *Request) bytes(i int) int {
	n := len(q.Keys[i]) // the prefix is part of CommandBytes
	if q.Size != nil {
		n += q.Size(i)
	}
	return n
}

// Reply is the result of one command.
type Reply struct {
	Value    any                 // the command; after an MGET a string, or nil for no value; nil if the call failed
	Err      error               // of the call or the command; that there is no value is no error
	Feed     *coherence.Feed     // of the server that answered
	Validity *coherence.Validity // of what was read
}

// Bytes returns the value that was read; false: there is none. The bytes are the caller's own.
func (r *Reply) Bytes() ([]byte, bool) {
	switch cmd := r.Value.(type) {
	case *redis.StringCmd:
		b, err := cmd.Bytes()
		return b, err == nil // else it is redis.Nil
	case *redis.RawCmd:
		b, null, ok := parseBulk(cmd.Val())
		return b, ok && !null
	}
	s, ok := r.Value.(string)
	return unsafe.Slice(unsafe.StringData(s), len(s)), ok // go-redis makes the string of a buffer that it doesn't keep
}

// Failed returns the replies of a call that failed as a whole.
func Failed(n int, err error, f *coherence.Feed) []Reply {
	return slices.Repeat([]Reply{{Err: err, Feed: f, Validity: coherence.Never}}, n)
}

// FirstError returns the first error of a request.
func FirstError(replies []Reply) error {
	for _, r := range replies {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

// stepGet is the name of a read of values.
const stepGet = "get"

// Gets is the request for the values of the keys.
func Gets(keys []string) Request {
	return Request{Name: stepGet, Keys: keys, Bulk: true, Values: true}
}

// command makes the command for the i-th key.
func (q *Request) command(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
	if q.Command == nil {
		return to.Get(ctx, q.Keys[i])
	}
	return q.Command(ctx, to, i)
}

// reply returns the reply that a command got.
func (q *Request) reply(cmd redis.Cmder) Reply {
	r := Reply{Value: cmd}
	if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
		r.Err = callError(q.Name, err)
	}
	return r
}

// insert makes the command that also sets Insert. It mostly finds nothing, for which go-redis has an error, and only after 20
// allocations knows that it needn't try again. So the reply is taken as it came. If it is an error, nothing was set. Unless it
// will last, the command is then made once more as go-redis's own, which does what the error calls for.
func (q *Request) insert(ctx context.Context, to redis.Cmdable) (redis.Cmder, class) {
	args := []any{"set", q.Keys[0], q.Insert, "px", q.InsertTTL.Milliseconds(), "nx", "get"}
	raw := redis.NewRawCmd(ctx, args...)
	Process(ctx, to, raw)
	if _, _, ok := parseBulk(raw.Val()); ok || raw.Err() != nil {
		return raw, classify(raw.Err())
	}
	if text, ok := bytes.CutPrefix(raw.Val(), []byte("-")); ok {
		if cl := classifyReply(string(text)); cl.isRefusal() && !cl.traits().temporary {
			return raw, cl
		}
	}
	cmd := redis.NewStringCmd(ctx, args...)
	Process(ctx, to, cmd)
	return cmd, classify(cmd.Err())
}

// parseBulk takes a reply that is a string, or null, out of the protocol's form. The value is a part of the reply.
func parseBulk(reply []byte) (value []byte, null, ok bool) {
	header, rest, _ := bytes.Cut(reply, crlf)
	switch {
	case string(header) == "_", string(header) == "$-1": // of RESP3 and RESP2
		null = len(rest) == 0
		return nil, null, null
	case len(header) < 2 || header[0] != '$':
		return nil, false, false
	}
	n, err := strconv.Atoi(string(header[1:]))
	if value = bytes.TrimSuffix(rest, crlf); err != nil || len(value) != n || len(rest) != n+len(crlf) {
		return nil, false, false
	}
	return value[:n:n], false, true
}

var crlf = []byte("\r\n")

// GetOrSet is the request for the value of a key, which is set if there is none: see [Reply.HasSet]. A server without SET NX GET, such as
// Redis 6, sets nothing.
func GetOrSet(key string, value []byte, ttl time.Duration) Request {
	q := Gets([]string{key})
	q.Insert, q.InsertTTL = value, ttl
	return q
}

// HasSet reports whether a GetOrSet has set the value.
func (r *Reply) HasSet() bool {
	switch cmd := r.Value.(type) {
	case *redis.RawCmd:
		_, null, _ := parseBulk(cmd.Val())
		return null
	case *redis.StringCmd:
		return cmd.Name() == "set" && errors.Is(cmd.Err(), redis.Nil)
	}
	return false
}

// Process sends a command for which the client has no method, or one that won't do.
func Process(ctx context.Context, to redis.Cmdable, cmd redis.Cmder) {
	_ = to.(interface { // implemented by all clients and pipelines
		Process(context.Context, redis.Cmder) error
	}).Process(ctx, cmd) // the command has the error
}
