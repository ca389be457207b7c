package history_test

import "container/heap"

// event is a function to call at a time.
type event struct {
	at, seq int64
	do      func()
}

// eventQueue is a heap of events. Events of the same time are in the order in which they were added.
type eventQueue struct {
	events []event
	seq    int64
}

func (q *eventQueue) Len() int      { return len(q.events) }
func (q *eventQueue) Swap(i, j int) { q.events[i], q.events[j] = q.events[j], q.events[i] }
func (q *eventQueue) Push(e any)    { q.events = append(q.events, e.(event)) }

func (q *eventQueue) Less(i, j int) bool {
	x, y := q.events[i], q.events[j]
	return x.at < y.at || x.at == y.at && x.seq < y.seq
}

func (q *eventQueue) Pop() any {
	last := q.events[len(q.events)-1]
	q.events = q.events[:len(q.events)-1]
	return last
}

// in calls do after a random time from least to most.
func (m *model) in(least, most int, do func()) {
	at := m.now + int64(least+m.rng.IntN(most-least+1))
	m.events.seq++
	heap.Push(&m.events, event{at, m.events.seq, do})
}
