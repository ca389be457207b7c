//go:build !windows

package outage

import (
	"time"

	"github.com/tiercache/tiercache/internal/faultproxy"
)

// Scenario is one way in which Redis or the source fails.
type Scenario struct {
	Name   string
	inject func(*injector) // breaks something and returns when it is whole again
	redis  []string        // arguments of redis-server
	broken tier
	reads  bool // Redis is at fault, but answers reads
	patchy bool // Redis answers at times only
	both   bool // the source fails in the middle third of the fault, besides Redis
	warm   bool // what was cached for long isn't loaded during the fault
}

// tier is what is at fault.
type tier int

const (
	remote tier = iota
	source
)

// Scenarios returns all of them.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "killed", inject: (*injector).kill, both: true, warm: true},
		{Name: "killed-data-kept", inject: (*injector).killKeepingData, both: true, warm: true,
			redis: []string{"--appendonly", "yes", "--appendfsync", "no"}},
		{Name: "frozen", inject: (*injector).freeze, both: true, warm: true},
		{Name: "flapping", inject: (*injector).flap, patchy: true, warm: true},
		{Name: "latency", inject: (*injector).delay, both: true, warm: true},
		{Name: "stalls", inject: (*injector).stallSome, patchy: true, warm: true},
		{Name: "loading", inject: pretend(faultproxy.Loading), both: true, warm: true},
		// While an InvalidateTags that was refused is queued, nothing that isn't proved is served or read: it isn't warm.
		{Name: "oom", inject: pretend(faultproxy.OutOfMemory), both: true, reads: true},
		{Name: "readonly", inject: pretend(faultproxy.ReadOnly), both: true, reads: true},
		{Name: "moved", inject: pretend(faultproxy.Moved), both: true, patchy: true}, // an answer: what isn't proved isn't served
		{Name: "wrong-types", inject: (*injector).mistype, patchy: true},
		{Name: "source-fails", inject: weather{fails: 0.5}.inject, broken: source, warm: true},
		{Name: "source-hangs", inject: weather{hangs: true}.inject, broken: source, warm: true},
		{Name: "source-slow", inject: weather{takes: 600 * time.Millisecond}.inject, broken: source, warm: true},
	}
}

// Options says what a run is like.
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

// calm is how long there is load before the fault, and after it.
func (o Options) calm() time.Duration { return min(max(400*time.Millisecond, o.Time/5), 3*time.Second) }
