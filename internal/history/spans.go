package history

import (
	"cmp"
	"slices"
	"sort"
)

// span is an interval that includes both ends.
type span struct{ from, to int64 }

// spans is a set of intervals, for overlap. It is sorted by from, and each to is the latest end of all spans up to it.
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
