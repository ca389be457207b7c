package history

import (
	"cmp"
	"slices"
	"sort"
)

// span is a time with both its ends.
type span struct{ from, to int64 }

// spans is a set of times that can be asked whether one of them overlaps another. It is sorted by from, and to has the
// latest end of all up to it.
type spans []span

func newSpans(s []span) spans {
	slices.SortFunc(s, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(s); i++ {
		s[i].to = max(s[i].to, s[i-1].to)
	}
	return s
}

func (s spans) overlap(t span) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i].from > t.to })
	return i > 0 && s[i-1].to >= t.from
}
