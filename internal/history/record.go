package history

import "time"

// Window is a time in which a process could not reach Redis or a part of it, so that a cache that isn't Strict was
// allowed to serve its local tier unverified.
type Window struct {
	Process    int // -1: all processes
	Start, End int64
}

// Record is what is known of a run.
type Record struct {
	Delta time.Duration // Heartbeat + Timeout of the caches
	// Slack is how exact the times are: between taking one and acting on it a goroutine may have to wait for its turn.
	// It counts in the caches' favour where times are compared with Delta, with windows and with leases.
	Slack   time.Duration
	Lease   time.Duration // the lease time
	Ops     []Op          // in any order
	Outages []Window
	// Lost has the IDs of acknowledged writes that a failover is known to have lost. The text is the evidence.
	Lost map[int64]string
	// Disturbed are times with any fault, up to the replay of the last write that was queued. G4 holds outside them.
	Disturbed []Window
}
