//go:build !windows

package outage

import (
	"time"

	"github.com/tiercache/tiercache/internal/faultproxy"
)

// Scenario is one way in which Redis or the source fails.
type Scenario struct {
	Name         string
	inject       func(*injector) // breaks something, and returns when it works again
	redis        []string        // arguments of redis-server
	broken       tier
	reads        bool // Redis fails, but answers reads
	intermittent bool // Redis answers some requests only
	sourceFails  bool // the source fails, too, in the middle third of the fault
	warm         bool // long-lived values aren't loaded during the fault
}

// tier is the part that fails.
type tier int

const (
	remote tier = iota
	source
)

// Scenarios returns all of them.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "killed", inject: (*injector).kill, sourceFails: true, warm: true},
		{Name: "killed-data-kept", inject: (*injector).killKeepingData, sourceFails: true, warm: true,
			redis: []string{"--appendonly", "yes", "--appendfsync", "no"}},
		{Name: "frozen", inject: (*injector).freeze, sourceFails: true, warm: true},
		{Name: "flapping", inject: (*injector).flap, intermittent: true, warm: true},
		{Name: "latency", inject: (*injector).delay, sourceFails: true, warm: true},
		{Name: "stalls", inject: (*injector).stallSome, intermittent: true, warm: true},
		{Name: "loading", inject: pretend(faultproxy.Loading), sourceFails: true, warm: true},
		// While a refused InvalidateTags is queued, unverified values aren't served, and Redis isn't read: values are loaded.
		{Name: "oom", inject: pretend(faultproxy.OutOfMemory), sourceFails: true, reads: true},
		{Name: "readonly", inject: pretend(faultproxy.ReadOnly), sourceFails: true, reads: true},
		{Name: "moved", inject: pretend(faultproxy.Moved), sourceFails: true, intermittent: true}, // MOVED is an answer: unverified values aren't served
		{Name: "wrong-types", inject: (*injector).storeWrongTypes, intermittent: true},
		{Name: "source-fails", inject: sourceMode{fails: 0.5}.inject, broken: source, warm: true},
		{Name: "source-hangs", inject: sourceMode{hangs: true}.inject, broken: source, warm: true},
		{Name: "source-slow", inject: sourceMode{takes: 600 * time.Millisecond}.inject, broken: source, warm: true},
	}
}

// Options configures a run.
type Options struct {
	Time time.Duration // of the fault
	Seed uint64        // of calls, faults and the source
}

const (
	processes = 3
	readers   = 6 // of each process
	think     = 8 * time.Millisecond
	timeout   = 100 * time.Millisecond // RedisOptions.Timeout
	heartbeat = 400 * time.Millisecond
	delta     = heartbeat + timeout
	prefix    = "tc:"
)

// calm returns how long the workload runs before the fault, and after it.
func (o Options) calm() time.Duration { return min(max(400*time.Millisecond, o.Time/5), 3*time.Second) }
