//go:build !windows

package chaos

import "time"

// sourceFaults returns the faults of the source.
func sourceFaults() []fault {
	return []fault{{"slow source", origin, nil, (*injector).slowSource}}
}

// slowSource makes each load take so long that the caches' limits of loads are reached.
func (in *injector) slowSource() {
	in.source.delay.Store(int64(400 * time.Millisecond))
	in.hold(500*time.Millisecond, 1500*time.Millisecond)
	in.source.delay.Store(0)
}
