package redisconn

import (
	"cmp"
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Trace has the functions that a cache's calls are reported to. Neither is nil, and neither may panic. For each Start there is
// one Done. They are called without a lock.
type Trace struct {
	Start func(ctx context.Context, i CallInfo) context.Context // returns the call's context
	Done  func(ctx context.Context, i CallInfo)                 // ctx is what Start returned
}

// CallInfo describes a call of one server, or a Read's part in one.
type CallInfo struct {
	Step string // the request's name
	Addr string
	Keys int
	Sent int // about how many bytes of keys and values

	// Set for Done:
	Took     time.Duration
	Command  string // that all keys had, in small letters; "": there were several, or it isn't known
	Received int    // bytes of values
	Failed   int    // the commands that failed
	Err      error  // the first error
}

// callInfo returns what is known before the request's call for a batch.
func (q *Request) callInfo(nb nodeBatch) CallInfo {
	i := CallInfo{Step: q.Name, Addr: nb.Breaker.Addr(), Keys: len(nb.indexes)}
	for _, n := range nb.indexes {
		i.Sent += q.bytes(n)
	}
	return i
}

// done reports the end of a call. There are no replies if it panicked.
func (t *Trace) done(ctx context.Context, i CallInfo, began mono.Instant, replies []Reply) {
	i.Took = mono.Now().Since(began)
	if replies == nil {
		i.Failed, i.Err = i.Keys, errExited
	}
	for n := range replies {
		r := &replies[n]
		if n == 0 {
			i.Command = r.command()
		} else if i.Command != r.command() {
			i.Command = ""
		}
		if r.Err != nil {
			i.Failed, i.Err = i.Failed+1, cmp.Or(i.Err, r.Err)
			continue
		}
		value, _ := r.Bytes()
		i.Received += len(value)
	}
	t.Done(ctx, i)
}

// command returns the name of the command that has the reply; "": it isn't known.
func (r *Reply) command() string {
	if cmd, ok := r.Value.(redis.Cmder); ok {
		return cmd.Name()
	}
	if r.Err == nil {
		return "mget"
	}
	return ""
}

// traceStart reports the beginning of the Read.
func (rd *Read) traceStart() {
	if t := rd.session.trace(); t != nil {
		rd.ctx = t.Start(rd.ctx, rd.callInfo())
	}
}

// traceDone reports the end of the Read.
func (rd *Read) traceDone(replies []Reply) {
	if t := rd.session.trace(); t != nil {
		t.done(rd.ctx, rd.callInfo(), rd.at, replies)
	}
}

func (rd *Read) callInfo() CallInfo {
	i := CallInfo{Step: stepGet, Addr: rd.target.Breaker.Addr(), Keys: len(rd.Keys)}
	for _, key := range rd.Keys {
		i.Sent += len(key)
	}
	return i
}
