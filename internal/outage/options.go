//go:build !windows

package outage

import "time"

// Options configures a run.
type Options struct {
	Time time.Duration // of the fault
	Seed uint64        // of calls, faults and the source
}

// calm returns how long the workload runs before the fault, and after it.
func (o Options) calm() time.Duration { return min(max(400*time.Millisecond, o.Time/5), 3*time.Second) }

// cold returns how long a cold start is watched.
func (o Options) cold() time.Duration { return min(max(4*time.Second, o.Time), 10*time.Second) }

const (
	processes = 3
	readers   = 6 // of each process
	think     = 8 * time.Millisecond
	timeout   = 100 * time.Millisecond // RedisOptions.Timeout
	heartbeat = 400 * time.Millisecond
	delta     = heartbeat + timeout
	prefix    = "tc:"
)

// patience is how long a run waits for a state that must come.
const patience = 20 * time.Second
