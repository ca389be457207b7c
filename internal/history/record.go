package history

import "time"

// Window is a time in which a process could not reach Redis or a part of it, so that a cache that isn't Strict may
// have served unverified values.
type Window struct {
	Process    int // -1: all processes
	Start, End int64
}

// Record is the record of a run.
type Record struct {
	Delta time.Duration // Heartbeat + Timeout of the caches
	// Slack is the precision of the times: a goroutine may be descheduled between reading the clock and the call.
	// Comparisons with Delta, windows and leases allow for it in the caches' favour.
	Slack   time.Duration
	Lease   time.Duration // the lease time
	Ops     []Op          // in any order
	Outages []Window
	// Lost has the acknowledged writes that a failover is known to have lost: their IDs, and the evidence.
	Lost map[int64]string
	// Disturbed has the times with any fault, up to the replay of the last queued write. G4 is checked outside them.
	Disturbed []Window
	// Releases has the releases of the processes, which differ in the type of the cache's values. A process that has none, like a
	// foreign writer, makes values that all can read.
	Releases map[int]int
	MaxLoads int // of each process; 0: no limit
}
