//go:build !windows

package chaos

import (
	"sync/atomic"
	"time"
)

// Value is what the caches hold. Each is made once, by a Load or a Set, and is told apart by that operation's ID.
type Value struct {
	ID  int64  `json:"id"`
	Pad string `json:"pad"`
}

var padding = [...]string{"", "a short one", "one that is somewhat longer, so that frames differ in their sizes"}

func newValue(id int64) Value { return Value{ID: id, Pad: padding[id%int64(len(padding))]} }

// identity numbers the operations of one incarnation of a worker; 0 is the parent, who writes as a foreigner.
type identity struct {
	incarnation int
	last        atomic.Int64
}

func (n *identity) next() int64 { return int64(n.incarnation)<<40 | n.last.Add(1) }

// caches is how many each worker has; each is a process in the record, since each has a local tier of its own.
const caches = len(roster)

// roster has the caches of a worker: on which of its two Redises, and under which LocalTTL.
var roster = [...]struct {
	strict   bool
	localTTL time.Duration // 0: none of its own
}{
	{strict: false},
	{strict: false},
	{strict: true},
	{strict: true, localTTL: time.Millisecond}, // mostly reads Redis
}

func processID(incarnation, cache int) int { return incarnation*caches + cache }
