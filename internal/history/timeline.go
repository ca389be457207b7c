package history

import (
	"cmp"
	"slices"
	"sort"
)

// A timeline has the invalidations of one subject. Of those that were called after a given time it finds the one that
// ended first: a read that began later must not return the value.
type timeline struct {
	kind      Kind   // of the subject
	byStart   []mark // sorted by start
	byProcess []mark // sorted by process, then start
}

// mark is an invalidation, with a summary of all that start no earlier; in byProcess, of those of the same process.
type mark struct {
	process int
	start   int64
	first   *Op // the one that ended first
	other   *Op // the first to end in a process other than first's; only in byStart
}

func (t *timeline) add(op *Op) {
	t.byStart = append(t.byStart, mark{process: op.Process, start: op.Start, first: op})
}

// finish sorts the timeline and computes the marks. It must be called before the earliest methods.
func (t *timeline) finish() {
	slices.SortFunc(t.byStart, func(a, b mark) int { return cmp.Compare(a.start, b.start) })
	t.byProcess = slices.Clone(t.byStart)
	slices.SortFunc(t.byProcess, func(a, b mark) int {
		return cmp.Or(cmp.Compare(a.process, b.process), cmp.Compare(a.start, b.start))
	})
	for i := len(t.byStart) - 2; i >= 0; i-- {
		t.byStart[i].merge(t.byStart[i+1])
		if t.byProcess[i].process == t.byProcess[i+1].process {
			t.byProcess[i].merge(t.byProcess[i+1])
		}
	}
}

// merge adds the summary of the next mark.
func (m *mark) merge(next mark) {
	own := m.first
	m.first = endedFirst(own, next.first)
	for _, op := range [...]*Op{own, next.first, next.other} {
		if op != nil && op.Process != m.first.Process {
			m.other = endedFirst(m.other, op)
		}
	}
}

// endedFirst returns the operation that ended first. nil stands for one that never ended.
func endedFirst(a, b *Op) *Op {
	if a == nil || b != nil && b.End < a.End {
		return b
	}
	return a
}

// earliest returns the first invalidation to end of those that were called after the given time, in any process.
func (t *timeline) earliest(after int64, _ int) *Op {
	i := sort.Search(len(t.byStart), func(i int) bool { return t.byStart[i].start > after })
	if i == len(t.byStart) {
		return nil
	}
	return t.byStart[i].first
}

// ofKey reports whether the invalidation changes the value's own key in Redis. Tags and epochs have keys of their own.
func (t *timeline) ofKey() bool { return t.kind != InvalidateTags && t.kind != Clear }

// earliestOfKey is earliest for invalidations of the value's own key.
func (t *timeline) earliestOfKey(after int64, process int) *Op {
	if !t.ofKey() {
		return nil
	}
	return t.earliest(after, process)
}

// earliestOtherOfMany is earliestOther for invalidations of many keys.
func (t *timeline) earliestOtherOfMany(after int64, process int) *Op {
	if t.ofKey() {
		return nil
	}
	return t.earliestOther(after, process)
}

// earliestOther is earliest for other processes.
func (t *timeline) earliestOther(after int64, process int) *Op {
	i := sort.Search(len(t.byStart), func(i int) bool { return t.byStart[i].start > after })
	if i == len(t.byStart) {
		return nil
	}
	if m := t.byStart[i]; m.first.Process == process {
		return m.other
	}
	return t.byStart[i].first
}

// earliestOwn is earliest for the given process.
func (t *timeline) earliestOwn(after int64, process int) *Op {
	i := sort.Search(len(t.byProcess), func(i int) bool {
		m := t.byProcess[i]
		return m.process > process || m.process == process && m.start > after
	})
	if i == len(t.byProcess) || t.byProcess[i].process != process {
		return nil
	}
	return t.byProcess[i].first
}
