//go:build !windows

package outage

import (
	"time"

	"github.com/tiercache/tiercache/internal/faultproxy"
)

// Scenarios returns all of them.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "killed", inject: (*injector).kill, sourceFails: true, warm: true},
		{Name: "killed-data-kept", inject: (*injector).killKeepingData, sourceFails: true, warm: true,
			redis: []string{"--appendonly", "yes", "--appendfsync", "no"}},
		{Name: "frozen", inject: (*injector).freeze, sourceFails: true, warm: true},
		{Name: "flapping", inject: (*injector).flap, intermittent: true, warm: true},
		{Name: "latency", inject: (*injector).delay, late: 2 * delayed, sourceFails: true, warm: true},
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
