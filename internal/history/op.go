package history

import "fmt"

// Kind is what an operation does.
type Kind uint8

const (
	Read   Kind = iota + 1 // any method that returns a value
	Load                   // a run of a loader, which makes a value
	Set                    // makes a value, and invalidates the previous one
	Delete                 // invalidates, like the following ones
	Expire
	InvalidateTags
	Clear // also a foreign FLUSHALL
)

var kindNames = [...]string{Read: "Read", Load: "Load", Set: "Set", Delete: "Delete", Expire: "Expire",
	InvalidateTags: "InvalidateTags", Clear: "Clear"}

func (k Kind) String() string {
	if k < Read || k > Clear {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// Tier is where a Read found its value.
type Tier uint8

const (
	Unknown Tier = iota // GetOrLoad and GetOrLoadMany don't return the tier
	Local
	Remote
)

var tierNames = [...]string{Unknown: "Unknown", Local: "Local", Remote: "Remote"}

func (t Tier) String() string {
	if t > Remote {
		return fmt.Sprintf("Tier(%d)", uint8(t))
	}
	return tierNames[t]
}

// Op is one call, as the process recorded it that made it. Times are those of [Clock].
type Op struct {
	ID         int64 // unique in the run; for a Load and a Set also the identity of the value they made
	Process    int   // the process that made it, never reused after a restart; negative: a foreign writer, which has no cache
	Kind       Kind
	Key        string   // not for InvalidateTags, Clear
	Tags       []string // InvalidateTags: which; Load, Set: the value's
	Start, End int64    // taken before it is called and after it returned; End 0: it never did, its process was killed
	Called     int64    // Load for a batch: when the batch was called; the load may wait for its turn when it has its lease. Else 0
	OK         bool     // it returned no error; a Load and a Read: it returned a value
	Value      int64    // Read: the ID of the Load or Set whose value was returned
	Tier       Tier     // Read
	Strict     bool     // Read: by a cache that never serves unverified values
}

// invalidates reports whether the operation certainly hides older values: it is a write and returned no error.
func (op *Op) invalidates() bool {
	return op.Kind >= Set && op.Kind <= Clear && op.OK && op.End != 0
}

// leasedFrom returns the time from which a load may have had its lease.
func (op *Op) leasedFrom() int64 {
	if op.Called != 0 {
		return op.Called
	}
	return op.Start
}

// makes reports whether the operation may have made a value. A Set that failed may still take effect later.
func (op *Op) makes() bool {
	return op.Kind == Set || op.Kind == Load && (op.OK || op.End == 0)
}

// supersededAfter returns the time after which an invalidation must have been called to hide the value that op made.
// ok is false if it isn't known when the value took effect.
func (op *Op) supersededAfter() (after int64, ok bool) {
	switch {
	case op.Kind == Load:
		return op.Start, true // its value may have been read from the source at once
	case op.Kind == Set && op.OK && op.End != 0:
		return op.End, true
	}
	return 0, false
}
