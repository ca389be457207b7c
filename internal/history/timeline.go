package history

import (
	"cmp"
	"slices"
	"sort"
)

// A timeline has the invalidations of one subject. Asked for those that were called after some time, it knows the one
// that ended first: a read that began later than that should not have seen the value.
type timeline struct {
	kind      Kind   // of the subject
	byStart   []mark // sorted by start
	byProcess []mark // sorted by process, then start
}

// mark is an invalidation and what is known of all that start no earlier: in byProcess, of the same process.
type mark struct {
	process int
	start   int64
	first   *Op // the one that ended first
	other   *Op // the one that ended first of a process other than that of first; only in byStart
}

func (t *timeline) add(op *Op) {
	t.byStart = append(t.byStart, mark{process: op.Process, start: op.Start, first: op})
}

// seal makes the timeline ready to be asked.
func (t *timeline) seal() {
	slices.SortFunc(t.byStart, func(a, b mark) int { return cmp.Compare(a.start, b.start) })
	t.byProcess = slices.Clone(t.byStart)
	slices.SortFunc(t.byProcess, func(a, b mark) int {
		return cmp.Or(cmp.Compare(a.process, b.process), cmp.Compare(a.start, b.start))
	})
	for i := len(t.byStart) - 2; i >= 0; i-- {
		t.byStart[i].gather(t.byStart[i+1])
		if t.byProcess[i].process == t.byProcess[i+1].process {
			t.byProcess[i].gather(t.byProcess[i+1])
		}
	}
}

// gather adds what the next mark knows.
func (m *mark) gather(next mark) {
	own := m.first
	m.first = sooner(own, next.first)
	for _, op := range [...]*Op{own, next.first, next.other} {
		if op != nil && op.Process != m.first.Process {
			m.other = sooner(m.other, op)
		}
	}
}

// sooner returns the one that ended first. A nil never did.
func sooner(a, b *Op) *Op {
	if a == nil || b != nil && b.End < a.End {
		return b
	}
	return a
}

// earliest returns the one of any process.
func (t *timeline) earliest(after int64, _ int) *Op {
	i := sort.Search(len(t.byStart), func(i int) bool { return t.byStart[i].start > after })
	if i == len(t.byStart) {
		return nil
	}
	return t.byStart[i].first
}

// ofKey reports whether Redis itself hides the value, at the value's own key. A tag or an era is a record elsewhere.
func (t *timeline) ofKey() bool { return t.kind != InvalidateTags && t.kind != Clear }

// earliestOfKey returns the one of any process at the value's own key.
func (t *timeline) earliestOfKey(after int64, process int) *Op {
	if !t.ofKey() {
		return nil
	}
	return t.earliest(after, process)
}

// earliestOtherOfMany returns the one of another process that is about many keys.
func (t *timeline) earliestOtherOfMany(after int64, process int) *Op {
	if t.ofKey() {
		return nil
	}
	return t.earliestOther(after, process)
}

// earliestOther returns the one of another process.
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

// earliestOwn returns the one of that process.
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
