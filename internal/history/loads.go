package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// checkLoads checks G4: of two loads of one key the second begins after the first has ended, or after its lease has if
// nobody saw it end. (A lease is extended while its load runs.) A write voids a lease, a fault may.
func (c *checker) checkLoads() {
	loads := map[string][]*Op{}
	for i := range c.record.Ops {
		if op := &c.record.Ops[i]; op.Kind == Load {
			loads[op.Key] = append(loads[op.Key], op)
		}
	}
	voids := newVoids(c.record)
	for key, l := range loads {
		slices.SortFunc(l, func(a, b *Op) int {
			return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.ID, b.ID))
		})
		c.checkKeyLoads(l, voids.of(key))
	}
}

// checkKeyLoads takes the loads of one key in the order in which they began. Of those that still run when another
// begins it looks at the latest only: what excuses that one excuses the others.
func (c *checker) checkKeyLoads(loads []*Op, v keyVoids) {
	var running []*Op // those below the top may have ended
	for i, second := range loads {
		for n := len(running); n > 0 && c.leaseEnd(running[n-1]) <= second.Start; n-- {
			running = running[:n-1]
		}
		if i > 0 && !v.excuse(loads[i-1], second) {
			c.summary.Checks[oneLoad]++
		}
		if n := len(running); n > 0 && !v.excuse(running[n-1], second) {
			first := running[n-1]
			c.violated(Violation{Guarantee: oneLoad, Read: *second, Write: *first, Detail: fmt.Sprintf(
				"a second load began %v before the first one's lease could end", time.Duration(c.leaseEnd(first)-second.Start))})
		}
		running = append(running, second)
	}
}

func (c *checker) leaseEnd(load *Op) int64 {
	if load.End == 0 {
		return load.Start + int64(c.record.Lease)
	}
	return load.End
}

// voids are the times in which a lease may have been lost.
type voids struct {
	record            *Record
	keys              map[string]spans
	clears, disturbed spans
}

func newVoids(r *Record) *voids {
	keys := map[string][]span{}
	var clears, disturbed []span
	for i := range r.Ops {
		op := &r.Ops[i]
		s := span{op.Start, op.End}
		if op.End == 0 {
			s.to = math.MaxInt64
		}
		switch op.Kind {
		case Set, Delete, Expire:
			keys[op.Key] = append(keys[op.Key], s)
		case Clear:
			clears = append(clears, s)
		}
	}
	for _, w := range r.Disturbed {
		disturbed = append(disturbed, span{w.Start, w.End})
	}
	v := &voids{record: r, keys: make(map[string]spans, len(keys)), clears: newSpans(clears), disturbed: newSpans(disturbed)}
	for key, s := range keys {
		v.keys[key] = newSpans(s)
	}
	return v
}

func (v *voids) of(key string) keyVoids { return keyVoids{v, v.keys[key]} }

// keyVoids are the voids of one key.
type keyVoids struct {
	*voids
	writes spans
}

// excuse answers whether the first load's lease may have been lost before the second load began.
func (v keyVoids) excuse(first, second *Op) bool {
	delta, slack := int64(v.record.Delta), int64(v.record.Slack)
	held := span{first.Start - slack, second.Start}
	return v.writes.overlap(held) || v.clears.overlap(held) ||
		v.disturbed.overlap(span{first.Start - delta - slack, second.Start + slack})
}
