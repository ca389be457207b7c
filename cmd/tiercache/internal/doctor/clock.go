package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	trips     = 20
	tripsTake = 500 * time.Millisecond // at most, beside the last
	maxSkew   = time.Second
)

// examineClock asks the server for its time again and again, and reports how long that takes and how far the clocks are apart.
func (e *examination) examineClock(ctx context.Context, s *server) {
	var took []time.Duration
	var skew, best time.Duration
	for began := time.Now(); len(took) < trips && (len(took) == 0 || time.Since(began) < tripsTake); {
		asked := time.Now()
		at, err := s.Time(ctx).Result()
		if err != nil {
			e.found(s, roundTrip, Skipped, "TIME: "+reason(err), "")
			return
		}
		trip := time.Since(asked)
		if len(took) == 0 || trip < best {
			best, skew = trip, at.Sub(asked.Add(trip/2))
		}
		took = append(took, trip)
	}
	slices.Sort(took)
	s.trip = took[len(took)/2]
	text := fmt.Sprintf("median %s, longest %s, of %d", rounded(s.trip), rounded(took[len(took)-1]), len(took))
	switch {
	case s.trip >= e.Timeout:
		e.measured(s, roundTrip, Failure, fmt.Sprintf("%s: the Timeout of %v is shorter", text, e.Timeout), "see the options below, or use a Redis that is nearer")
	case s.trip*fastTrips > e.Timeout:
		e.measured(s, roundTrip, Warning, fmt.Sprintf("%s: that is near to the Timeout of %v", text, e.Timeout), "see the options below, or use a Redis that is nearer")
	default:
		e.measured(s, roundTrip, OK, text, "")
	}
	e.foundSkew(s, skew, best/2)
}

// foundSkew reports by how much the server's clock is ahead.
func (e *examination) foundSkew(s *server, skew, uncertainty time.Duration) {
	if apart := skew.Abs() - uncertainty; apart <= maxSkew {
		e.found(s, clock, OK, "within a second of this machine's", "")
		return
	}
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	text := fmt.Sprintf("Redis's clock is %v %s this machine's", rounded(skew.Abs()), direction)
	e.found(s, clock, Warning, text+": the caches use Redis's, but a process that can't reach it uses its own", "set both by NTP")
}

// rounded has three digits or so.
func rounded(d time.Duration) time.Duration {
	for unit := time.Hour; unit > time.Microsecond; unit /= 10 {
		if d >= 100*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Microsecond)
}
