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

// refusals are the commands of caches that Redis has lately answered with an error: its memory is full, say, or it can't
// write its snapshots. Unlike an outage such a state may last unnoticed, since the caches go on without these commands. So it
// is in Status and in the log.
//
// A refusal is known by its server and its code (refusalKind), such as OOM. Within it the steps that were refused are
// counted, by Request.Name, and it is over when each was accepted again. For the codes that are due to the server's
// state (stateCodes) an accepted StepWrite proves nothing, as it may be a Delete, which needs no memory. There a
// canary proves it, which is a write (NoteWritable). What no step tries again ends by its age, and isn't logged.
//
// Errors that lie with one key, with rights or with the place of a key aren't refusals, nor are those that count as
// silence: see traits.refused. While nothing is refused an accepted command costs one atomic read, of any.
type refusals struct {
	logger *slog.Logger
	maxAge time.Duration // how long a refusal counts
	any    atomic.Bool   // there is a kind: successes matter

	mu    sync.Mutex
	kinds map[refusalKind]*refusedSteps
}

// refusalKind is logged once: a server whose memory is full refuses many steps for one reason.
type refusalKind struct{ addr, code string }

// refusedSteps are the steps that were refused for one reason. The refusal ends when each was accepted again, or was refused
// long ago.
type refusedSteps struct {
	steps    map[string]mono.Instant // when each was last refused
	since    mono.Instant
	err      error // the last
	throttle LogThrottle
}

// StepWrite is the name of Set and Delete. Redis carries out a Delete even without the memory for a Set.
const StepWrite = "write"

// note takes the replies of a server to one step for some keys.
func (rs *refusals) note(addr func() string, step string, replies []Reply) {
	var err error
	accepted := false
	for i := range replies {
		if e := replies[i].Err; e == nil {
			accepted = true
		} else if classify(e).traits().refused {
			err = e
			break
		}
	}
	switch {
	case err != nil:
		rs.add(addr(), step, err)
	case accepted && rs.any.Load():
		rs.accepted(addr(), func(s string, byState bool) bool { return s == step && (!byState || step != StepWrite) })
	}
}

// NoteWritable notes that the server carried out a write: it has left the states in which it refuses writes.
func (rs *refusals) NoteWritable(addr string) {
	rs.accepted(addr, func(_ string, byState bool) bool { return byState })
}

// stateCodes are the codes of errors that are due to the server's state: it carries out no writes, or none that add data.
var stateCodes = []string{"OOM", "READONLY", "MISCONF", "NOREPLICAS"}

// codeOf returns an error reply's code. The error of an older server's script has that of its command within it.
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
	cause := unwrapOnce(err)
	if log, suppressed := rs.addStep(refusalKind{addr, codeOf(err)}, step, cause); log {
		attrs := WithSuppressed(suppressed, slog.String("addr", addr), slog.String("step", step), slog.Any("cause", cause))
		rs.logger.LogAttrs(context.Background(), slog.LevelWarn, "tiered: Redis refuses commands", attrs...)
	}
}

// addStep reports whether to log the refusal, and how many before it weren't.
func (rs *refusals) addStep(kind refusalKind, step string, cause error) (log bool, suppressed int) {
	at := mono.Now()
	rs.mu.Lock()
	defer rs.mu.Unlock()
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
	k.steps[step], k.err = at, cause
	rs.any.Store(true)
	return k.throttle.Begin(at)
}

// accepted removes the steps that a server has accepted. byState: the step was refused for the server's state.
func (rs *refusals) accepted(addr string, which func(step string, byState bool) bool) {
	if !rs.any.Load() {
		return
	}
	for _, lasted := range rs.removeSteps(addr, which) {
		rs.logger.LogAttrs(context.Background(), slog.LevelInfo, "tiered: Redis doesn't refuse commands any more",
			slog.String("addr", addr), slog.Duration("lasted", lasted))
	}
}

// removeSteps returns how long those refusals lasted whose end is to be logged.
func (rs *refusals) removeSteps(addr string, which func(step string, byState bool) bool) (lasted []time.Duration) {
	at := mono.Now()
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for kind, k := range rs.kinds {
		if kind.addr != addr || len(k.steps) == 0 {
			continue
		}
		byState := slices.Contains(stateCodes, kind.code)
		maps.DeleteFunc(k.steps, func(step string, _ mono.Instant) bool { return which(step, byState) })
		if len(k.steps) == 0 && k.throttle.End() {
			lasted = append(lasted, at.Since(k.since))
		}
	}
	rs.expire(at)
	return lasted
}

// expire removes what was refused long ago and not tried since. It is called with the lock.
func (rs *refusals) expire(at mono.Instant) {
	lasting := false
	for kind, k := range rs.kinds {
		maps.DeleteFunc(k.steps, func(_ string, last mono.Instant) bool { return at.Since(last) > rs.maxAge })
		if len(k.steps) > 0 {
			lasting = true
			continue
		}
		if k.throttle.End(); at >= k.throttle.next { // an end that nobody saw isn't logged
			delete(rs.kinds, kind)
		}
	}
	rs.any.Store(lasting)
}

// Status returns an error that says what is refused, and since when.
func (rs *refusals) Status() error {
	if !rs.any.Load() {
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
