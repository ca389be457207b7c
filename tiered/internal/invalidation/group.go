package invalidation

import (
	"sync"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// Mode is how the changes of keys are reported.
type Mode uint8

// The modes, in the order of tiered.Invalidation.
const (
	Tracking     Mode = iota // each master reports the changes of keys itself
	PubSub                   // processes publish what they change
	None                     // nothing is reported
	TrackingKeys             // each master reports the changes of the keys that the process asked it about
)

// Hooks are functions that the streams call.
type Hooks struct {
	Names       func() []string       // the names of the caches there are
	Reported    func(names []string)  // changes of these caches' keys are reported from now on, and weren't before
	Changed     func(key string)      // a key of Redis was changed
	Shared      func(key string) bool // reports whether several caches of this process have the key: each needs the changes of the others
	Interrupted func()                // changes may have been missed
	Answered    func()                // Redis answers
}

// group is what the streams of one Redis have in common. The topology, each stream and each transport use it, and
// so needn't use Streams, which has them.
type group struct {
	*redisconn.Conn
	mode    Mode
	hooks   Hooks
	running sync.WaitGroup // the goroutines of all streams
	lost    atomic.Uint64  // how often a stream was lost
}

// tracks reports whether the servers themselves report changes.
func (g *group) tracks() bool { return g.mode == Tracking || g.mode == TrackingKeys }

// canaryPrefix is what begins the names of this Redis object's canaries.
func (g *group) canaryPrefix() string { return g.ControlPrefix() + g.ID + ":" }
