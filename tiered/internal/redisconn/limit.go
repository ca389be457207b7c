package redisconn

import (
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// LogEvery is how often the log tells of outages of one kind of a server that comes and goes.
const LogEvery = 10 * time.Second

// LogThrottle keeps the log short where a server comes and goes: of the outages that begin within tellEvery of one that was told
// of, none is, unless it outlasts that time. The end is told where the beginning was. Its owner's lock guards it.
type LogThrottle struct {
	told       bool         // of the present outage
	held       bool         // the present outage was held back
	next       mono.Instant // when the next may be told; 0: now
	suppressed int          // outages of which nothing was told since one was
}

// Begins answers whether to tell of the outage, and how many were left out before it. It may be asked again while the
// outage lasts.
func (l *LogThrottle) Begins(at mono.Instant) (tell bool, suppressed int) {
	if l.told {
		return false, 0
	}
	if l.next != 0 && at < l.next {
		l.held = true
		return false, 0
	}
	suppressed = l.suppressed
	*l = LogThrottle{told: true, next: at.Add(LogEvery)}
	return true, suppressed
}

// Ends answers whether to tell that the outage is over.
func (l *LogThrottle) Ends() (tell bool) {
	tell = l.told
	if l.held {
		l.suppressed++
	}
	l.told, l.held = false, false
	return tell
}
