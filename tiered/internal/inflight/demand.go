package inflight

// A flight that waits for a permit may be needed more, or less, than when it began: a running load may join it, which must not wait until
// loads end, and all its callers may give up. Demand tells the goroutine that waits.

// Demand is how much a flight that waits for a permit is needed.
type Demand uint8

const (
	Wanted    Demand = iota
	Urgent           // a running load waits for it
	Abandoned        // no call does any more
)

// Demand returns the demand for a flight that waits for the permit. Later changes of it are signalled on wake, and calls that
// join raise the permit's level. If the flight is abandoned, no new caller joins it.
func (t *Table[T, S]) Demand(f *Flight[T, S], p *Permit, wake chan struct{}) Demand {
	s := t.locked(f.Hash)
	defer s.mu.Unlock()
	f.waiter, f.permit = wake, p
	p.raise(f.callers)
	switch {
	case f.urgent:
		return Urgent
	case f.callers > 0, f.Reason == ForBackground:
		return Wanted
	}
	if f.state.flight == f {
		f.state.flight = nil
	}
	return Abandoned
}

// GiveUp says that a call no longer waits for the flight, and hasn't been served in another way either.
func (t *Table[T, S]) GiveUp(f *Flight[T, S]) {
	s := t.locked(f.Hash)
	defer s.mu.Unlock()
	if f.callers--; f.callers == 0 {
		f.notify()
	}
}
