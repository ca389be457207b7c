package redisconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// refusals are the commands of caches that Redis has lately replied to with an error: it is full, say, or can't write its
// snapshots. Unlike an outage such a state can last unnoticed, since the caches go on without what was refused. So Status and
// the log tell of it.
type refusals struct {
	logger *slog.Logger
	lasts  time.Duration // for how long one counts
	some   atomic.Bool   // there is a kind: what succeeds has to look

	mu    sync.Mutex
	kinds map[refusalKind]*refusedSteps
}

// refusalKind is what is told of once: a server that is full refuses many steps for one reason.
type refusalKind struct{ addr, code string }

// refusedSteps are one kind of refusals, which lasts until each of the steps was accepted again or is long ago.
type refusedSteps struct {
	steps map[string]mono.Instant // when it was last refused
	since mono.Instant
	err   error // the last
	limit LogThrottle
}

// Note takes in what became of a step that a server was asked to do for some keys.
func (rs *refusals) Note(addr func() string, step string, answers []Reply) {
	var err error
	for i := range answers {
		if e := answers[i].Err; e != nil && refuses(e) {
			err = e
			break
		}
	}
	if err == nil && !rs.some.Load() {
		return
	}
	if err != nil {
		rs.add(addr(), step, err)
		return
	}
	for i := range answers {
		if answers[i].Err == nil {
			rs.accepted(addr(), func(s string, byState bool) bool { return s == step && (!byState || step != StepWrite) })
			return
		}
	}
}

// StepWrite is that of Delete, too, which Redis carries out even without the memory for a Set.
const StepWrite = "write"

// refuses reports whether an error reply says that a command isn't carried out for reasons that don't lie with its key. That
// the server can't answer at all shows elsewhere, and so do a Cluster's change and the lack of a right.
func refuses(err error) bool {
	switch {
	case !isReply(err), Unanswered(err), Moved(err), isLack(err):
		return false
	}
	for _, prefix := range []string{"TRYAGAIN ", "CROSSSLOT ", "ERR string exceeds maximum allowed size"} {
		if redis.HasErrorPrefix(err, prefix) {
			return false
		}
	}
	return !strings.Contains(err.Error(), "WRONGTYPE ") // an older server's script has it within the error
}

// The codes of errors that are due to the server's state: it carries out no writes, or none that add data.
var stateCodes = []string{"OOM", "READONLY", "MISCONF", "NOREPLICAS"}

// codeOf is an error reply's code. An older server's script has that of its command within the error.
func codeOf(err error) string {
	reply, _ := errors.AsType[redis.Error](err)
	text := reply.Error()
	for _, code := range stateCodes {
		if strings.Contains(text, code+" ") {
			return code
		}
	}
	code, _, _ := strings.Cut(text, " ")
	return code
}

func (rs *refusals) add(addr, step string, err error) {
	at, kind := mono.Now(), refusalKind{addr, codeOf(err)}
	rs.mu.Lock()
	rs.expire(at)
	if rs.kinds == nil {
		rs.kinds = make(map[refusalKind]*refusedSteps)
	}
	k := rs.kinds[kind]
	if k == nil {
		k = &refusedSteps{}
		rs.kinds[kind] = k
	}
	if len(k.steps) == 0 {
		k.since, k.steps = at, make(map[string]mono.Instant)
	}
	cause := bare(err)
	k.steps[step], k.err = at, cause
	rs.some.Store(true)
	tell, suppressed := k.limit.Begins(at)
	rs.mu.Unlock()
	if !tell {
		return
	}
	attrs := []slog.Attr{slog.String("addr", addr), slog.String("step", step), slog.Any("cause", cause)}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	rs.logger.LogAttrs(context.Background(), slog.LevelWarn, "tiered: Redis refuses commands", attrs...)
}

// accepted takes it in that the server carried out what it had refused in some steps. byState: for the server's state.
func (rs *refusals) accepted(addr string, which func(step string, byState bool) bool) {
	if !rs.some.Load() {
		return
	}
	var lasted []time.Duration
	at := mono.Now()
	rs.mu.Lock()
	for kind, k := range rs.kinds {
		if kind.addr != addr || len(k.steps) == 0 {
			continue
		}
		byState := slices.Contains(stateCodes, kind.code)
		maps.DeleteFunc(k.steps, func(step string, _ mono.Instant) bool { return which(step, byState) })
		if len(k.steps) == 0 && k.limit.Ends() {
			lasted = append(lasted, at.Since(k.since))
		}
	}
	rs.expire(at)
	rs.mu.Unlock()
	for _, d := range lasted {
		rs.logger.LogAttrs(context.Background(), slog.LevelInfo, "tiered: Redis doesn't refuse commands any more",
			slog.String("addr", addr), slog.Duration("lasted", d))
	}
}

// Writable takes it in that the server carried out a write: it has left the states in which it refuses those.
func (rs *refusals) Writable(addr string) {
	rs.accepted(addr, func(_ string, byState bool) bool { return byState })
}

// expire forgets what was refused long ago and not tried since. It is called with the lock.
func (rs *refusals) expire(at mono.Instant) {
	lasting := false
	for kind, k := range rs.kinds {
		maps.DeleteFunc(k.steps, func(_ string, last mono.Instant) bool { return at.Since(last) > rs.lasts })
		if len(k.steps) == 0 {
			if k.limit.Ends(); at >= k.limit.next { // of an end that isn't known of, the log doesn't tell
				delete(rs.kinds, kind)
			}
			continue
		}
		lasting = true
	}
	rs.some.Store(lasting)
}

// Status returns what is refused, and since when.
func (rs *refusals) Status() error {
	if !rs.some.Load() {
		return nil
	}
	at := mono.Now()
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.expire(at)
	kinds := slices.SortedFunc(maps.Keys(rs.kinds), func(a, b refusalKind) int {
		return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(a.code, b.code))
	})
	var errs []error
	for _, kind := range kinds {
		if k := rs.kinds[kind]; len(k.steps) > 0 {
			errs = append(errs, fmt.Errorf("tiered: redis %s: refused for %v (%s): %w", kind.addr, at.Since(k.since).Round(time.Millisecond),
				strings.Join(slices.Sorted(maps.Keys(k.steps)), ", "), k.err))
		}
	}
	return errors.Join(errs...)
}
