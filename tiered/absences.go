package tiered

import (
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// absences estimates from the latest reads of Redis whether the next one will find nothing. If it does, the read had better take the lease
// for the load, too: that saves a trip for each miss. A hit then costs more than a lookup, as it is read by a job, and without others. So
// reads are expected to find nothing only while more than three quarters of them did.
//
// Reads come from many goroutines. Some of them may be lost, which does no harm.
type absences struct{ score atomic.Int32 }

const (
	absencesExpected  = 8  // the score from which on an absence is expected
	absencesMost      = 16 // the highest score, so that hits soon end the expectation
	absencesPerRecord = 3  // what a hit takes from the score, to which an absence adds one
)

// note takes the result of a read of one key. found says that there was a record.
func (a *absences) note(found bool, reply *redisconn.Reply) {
	score := a.score.Load()
	_, exists := reply.Bytes()
	switch {
	case found && score > 0: // otherwise a hit writes nothing
		a.score.Store(max(0, score-absencesPerRecord))
	case !found && !exists && reply.Err == nil && score < absencesMost:
		a.score.Store(score + 1)
	}
}

// expected reports whether the next read will probably find nothing.
func (a *absences) expected() bool { return a.score.Load() >= absencesExpected }
