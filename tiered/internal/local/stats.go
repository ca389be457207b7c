package local

import "sync/atomic"

// Stats counts what the tier has done since New. Entries and Cost are of now.
type Stats struct {
	Hits       uint64
	Bypassed   uint64 // items that were asked for, and not served since their validity had run out
	Unverified uint64 // items that were served though their validity had run out
	Evicted    uint64 // items that left for lack of room
	Rejected   uint64 // items that ristretto valued less than those it had
	Dropped    uint64 // items that ristretto's queue had no room for, and that were handed over again
	Entries    int64
	Cost       int64
}

type counters struct {
	bypassed, unverified, evicted, rejected, dropped atomic.Uint64
}
