package inspection

import "time"

// Key is what the tiers of a cache have for a key.
type Key struct {
	Key     string
	Outcome Outcome       // of a GetOrLoad that began now, under the policy of the view that was asked
	Reason  string        // for the Outcome, in words
	Local   *Local        // nil: this process has no copy
	Remote  *Remote       // nil: the cache has no Redis
	Queued  bool          // a write of the key, of tags or of everything, which Redis didn't take, is queued
	Loading bool          // this process is loading the key, or waiting for another's load
	Failure error         // of the last load, if the next one has to wait; nil: none has to
	RetryIn time.Duration // for which it has to
	Events  []Event       // of the key, the newest first, if Events were recorded
}

// Outcome says what a read does.
type Outcome uint8

const (
	Miss  Outcome = iota // it calls the loader
	Hit                  // it returns a fresh value, or a remembered absence
	Stale                // it returns a value past its TTL
	Wait                 // it waits for a load that has begun
)

// String returns "miss", "hit", "stale" or "wait".
func (o Outcome) String() string {
	switch o {
	case Hit:
		return "hit"
	case Stale:
		return "stale"
	case Wait:
		return "wait"
	}
	return "miss"
}

// Copy is a value in one of the tiers.
type Copy struct {
	Value    any           // of the cache's type; shared with the cache, and must not be changed
	Absent   bool          // a remembered absence, without a Value
	Age      time.Duration // since the value was stored; 0 for one that another program wrote
	FreshFor time.Duration // until the end of its TTL; negative: past it
	Expired  bool          // an Expire has made it stale, whatever FreshFor says
	Tags     []string
	Problem  string // why it isn't served as a fresh value; "": it is
	Usable   bool   // it is served, or may be if a load fails
}

// Local is a copy in this process's memory.
type Local struct {
	Copy
	LeavesIn time.Duration // until it is no longer served as fresh from here: FreshFor, or less because of LocalTTL
	Cost     int64
}

// Frame is a value in Redis with its metadata.
type Frame struct {
	Copy
	Own     bool // of this cache's codec and version of the type; other frames belong to other releases
	Codec   string
	Schema  uint64        // the fingerprint of the type, or of Options.Version; 0: none
	Took    time.Duration // by its load; 0: it was Set
	Windows *Windows      // its own; nil: the policy's apply
	Payload int           // bytes
}

// Windows are the times of a policy that a loader may set for a value.
type Windows struct {
	RefreshAfter, StaleWhileRevalidate, StaleIfError time.Duration
}

// Remote is what Redis has under a key.
type Remote struct {
	Err     error         // Redis can't be read; then the rest is unknown
	Exists  bool          // there is something under the key
	Size    int           // in bytes, with the metadata
	TTL     time.Duration // until Redis drops it; negative: never
	Frames  []Frame       // the first was written last
	Foreign *Copy         // a value that another program wrote; nil: none
	Damaged bool          // bytes that look like a frame, and can't be read
	Lease   *Lease        // nil: no process loads the key
}

// Lease is held by the process that loads a key.
type Lease struct {
	Beside   bool          // under a key of its own, while the old value stays
	EndsIn   time.Duration // unless it is extended
	Extended uint64        // how often it was
}
