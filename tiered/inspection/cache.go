package inspection

import "time"

// Page is a part of a list of keys or tags.
type Page struct {
	Names    []string // each at most once, in no order; there may be fewer or more than were asked for
	Next     string   // the cursor of the next page; "": this is the last
	Examined int      // about how many of Redis's keys, or entries of the local tier, were looked at
}

// Tag is what is known of a tag.
type Tag struct {
	Tag           string
	Err           error         // Redis can't be read; then only Local is known
	Known         bool          // there is a record of the tag: values with it were stored
	Invalidations uint64        // the cache's count of invalidations at the tag's last one, or when its record was made
	Expiry        uint64        // that of its last ExpireTags, if no InvalidateTags came after it; 0: none
	Count         uint64        // the cache's count now
	TTL           time.Duration // until Redis drops the record; negative: never
	Local         []string      // keys of this process's entries that have the tag, 100 at most
	Examined      int           // how many of the entries were looked at for that, 150,000 at most
}

// Kind is what an Event is.
type Kind uint8

const (
	Missed Kind = iota // a read found no value to serve, and called the loader or returned ErrNotFound
	Loaded             // a loader returned
	Failed             // a load failed, or its result came too late
)

// String returns "missed", "loaded" or "failed".
func (k Kind) String() string {
	switch k {
	case Loaded:
		return "loaded"
	case Failed:
		return "failed"
	}
	return "missed"
}

// Event is something that has happened with a key.
type Event struct {
	At     time.Time
	Key    string
	Kind   Kind
	Reason string        // why it missed or failed
	Took   time.Duration // by the loader, if it was Loaded
}

// HotKey is a key that is read often in the local tier, by a sample of the hits.
type HotKey struct {
	Key       string
	Share     float64 // of the sampled hits
	PerSecond float64 // hits, about
}

// Server is a server of Redis, with this process's stream of invalidations from it.
type Server struct {
	Addr      string
	Watched   bool          // there is a stream; false: the mode of invalidation is None
	Proof     time.Duration // how long ago the last canary was sent that came back; meaningless unless Proved
	Proved    bool          // the invalidations provably arrive
	ProvedFor time.Duration // for how long that holds without another canary; negative: since when it doesn't
	Err       error         // why the server isn't asked, or why no invalidations arrive; nil: all is well
}
