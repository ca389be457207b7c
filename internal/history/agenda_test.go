package history_test

import "container/heap"

// event is something to be done at its time.
type event struct {
	at, seq int64
	do      func()
}

// agenda is a heap of events, those of one time in the order in which they were added.
type agenda struct {
	events []event
	seq    int64
}

func (a *agenda) Len() int      { return len(a.events) }
func (a *agenda) Swap(i, j int) { a.events[i], a.events[j] = a.events[j], a.events[i] }
func (a *agenda) Push(e any)    { a.events = append(a.events, e.(event)) }

func (a *agenda) Less(i, j int) bool {
	x, y := a.events[i], a.events[j]
	return x.at < y.at || x.at == y.at && x.seq < y.seq
}

func (a *agenda) Pop() any {
	last := a.events[len(a.events)-1]
	a.events = a.events[:len(a.events)-1]
	return last
}

// in does it after some time between the two, both included.
func (m *model) in(least, most int, do func()) {
	at := m.now + int64(least+m.rng.IntN(most-least+1))
	m.agenda.seq++
	heap.Push(&m.agenda, event{at, m.agenda.seq, do})
}
