package budget_test

import (
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// part is a part of the path, and the functions that belong to it, by the beginnings of their names.
type part struct {
	name      string
	functions []string
}

const module = "github.com/tiercache/tiercache/"

// parts are the rows of the table. A sample belongs to the part of the innermost of its functions that is in any; so what the runtime does
// for a map or a copy counts for the function that uses it. The longest beginning decides.
var parts = []part{
	{"`tiered`: reads, flights, jobs", []string{module + "tiered.", module + "tiered/internal/inflight.", module + "tiered/internal/mono."}},
	{"local tier, without ristretto", []string{module + "tiered/internal/local.", module + "tiered/internal/record.", module + "tiered/internal/coherence."}},
	{"ristretto", []string{"github.com/dgraph-io/ristretto/"}},
	{"Redis tier: frames, leases, tags", []string{module + "tiered/internal/"}},
	{"batches and calls of Redis, invalidations", []string{module + "tiered/internal/redisconn.", module + "tiered/internal/invalidation."}},
	{"go-redis, without system calls", []string{"github.com/redis/go-redis/", "bufio.", "net.", "internal/poll."}},
	{"codec", []string{module + "codec.", "encoding/json.", "github.com/vmihailenco/"}},
	{"clock, contexts, timers", []string{"context.", "time.", "runtime.(*timer", "runtime.newTimer"}},
	{"system calls", []string{"syscall.", "internal/runtime/syscall"}},
	{"runtime: scheduler, channels, locks", []string{
		"runtime.schedule", "runtime.findRunnable", "runtime.mcall", "runtime.park_m", "runtime.gopark", "runtime.goexit0", "runtime.goready",
		"runtime.ready", "runtime.newproc", "runtime.selectgo", "runtime.chan", "runtime.closechan", "runtime.mstart", "runtime.mPark",
		"runtime.sysmon", "runtime.futex", "runtime.wakep", "runtime.netpoll", "runtime.sema", "runtime.morestack", "runtime.newstack", "sync.",
		"internal/sync.",
	}},
	{"runtime: allocation", []string{"runtime.mallocgc", "runtime.newobject", "runtime.makeslice", "runtime.growslice", "runtime.rawstring"}},
	{"runtime: garbage collection", []string{"runtime.gc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.wbBuf", "runtime.GC"}},
	{"the caller: this benchmark", []string{module + "benchmarks/budget"}},
}

const elsewhere = "the rest"

// divide returns the nanoseconds of the profile by part.
func divide(p *profile.Profile) map[string]int64 {
	last := len(p.SampleType) - 1 // of a CPU profile: nanoseconds
	spent := make(map[string]int64)
	for _, s := range p.Sample {
		spent[partOf(s)] += s.Value[last]
	}
	return spent
}

func partOf(s *profile.Sample) string {
	for _, l := range s.Location { // the innermost first
		for _, line := range l.Line { // an inlined function before the one that it is in
			if name := partOfFunction(line.Function.Name); name != "" {
				return name
			}
		}
	}
	return elsewhere
}

func partOfFunction(function string) (name string) {
	longest := 0
	for _, p := range parts {
		for _, begins := range p.functions {
			if len(begins) > longest && strings.HasPrefix(function, begins) {
				name, longest = p.name, len(begins)
			}
		}
	}
	return name
}

// What belongs to two parts belongs to that with the longer beginning.
func TestPartOfFunction(t *testing.T) {
	for function, want := range map[string]string{
		module + "tiered.(*Cache[...]).GetOrLoad":       "`tiered`: reads, flights, jobs",
		module + "tiered/internal/remote.(*Tier).Read":  "Redis tier: frames, leases, tags",
		module + "tiered/internal/local.(*Tier).find":   "local tier, without ristretto",
		module + "tiered/internal/redisconn.(*sender).": "batches and calls of Redis, invalidations",
		"runtime.gcAssistAlloc":                         "runtime: garbage collection",
		"runtime.memmove":                               "",
	} {
		if got := partOfFunction(function); got != want {
			t.Errorf("%s: got %q, want %q", function, got, want)
		}
	}
}
