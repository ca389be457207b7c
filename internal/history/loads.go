package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// checkLoads checks G4: of two loads of one key the second begins after the end of the first or, if that wasn't
// recorded, of its lease. (A lease is extended while its load runs.) A write voids a lease, and so does an invalidation of the
// value that the load is to replace; a fault may void it. Releases load a key each for themselves.
func (c *checker) checkLoads() {
	type owner struct {
		key     string
		release int
	}
	loads := map[owner][]*Op{}
	for i := range c.record.Ops {
		if op := &c.record.Ops[i]; op.Kind == Load {
			o := owner{op.Key, c.record.Releases[op.Process]}
			loads[o] = append(loads[o], op)
		}
	}
	voids := newVoids(c.record)
	for o, l := range loads {
		slices.SortFunc(l, byStart)
		c.checkKeyLoads(l, voids.of(o.key))
	}
}

func byStart(a, b *Op) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.ID, b.ID)) }

// checkKeyLoads checks the loads of one key, which are in the order in which they began.
func (c *checker) checkKeyLoads(loads []*Op, v keyVoids) {
	var running []*Op
	for i, second := range loads {
		running = slices.DeleteFunc(running, func(first *Op) bool { return c.leaseEnd(first) <= second.Start })
		if i > 0 && !v.excuse(loads[i-1], second) {
			c.summary.Checks[oneLoad]++
		}
		for _, first := range slices.Backward(running) {
			if !v.excuse(first, second) {
				c.violated(Violation{Guarantee: oneLoad, Read: *second, Write: *first, Detail: fmt.Sprintf(
					"a second load began %v before the first one's lease could end", time.Duration(c.leaseEnd(first)-second.Start))})
				break
			}
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
	tags              map[string]spans
	makes             map[string][]*Op // by key: the operations that made values with tags, in the order in which they began
	clears, disturbed spans
}

func newVoids(r *Record) *voids {
	v := &voids{record: r, makes: make(map[string][]*Op)}
	keys, tags := map[string][]span{}, map[string][]span{}
	var clears, disturbed []span
	for i := range r.Ops {
		op := &r.Ops[i]
		s := span{op.Start, op.End}
		if op.End == 0 {
			s.to = math.MaxInt64
		}
		if op.makes() && len(op.Tags) > 0 {
			v.makes[op.Key] = append(v.makes[op.Key], op)
		}
		switch op.Kind {
		case Set, Delete, Expire:
			keys[op.Key] = append(keys[op.Key], s)
		case InvalidateTags:
			for _, tag := range op.Tags {
				tags[tag] = append(tags[tag], s)
			}
		case Clear:
			clears = append(clears, s)
		}
	}
	for _, w := range r.Disturbed {
		disturbed = append(disturbed, span{w.Start, w.End})
	}
	v.clears, v.disturbed = newSpans(clears), newSpans(disturbed)
	v.keys, v.tags = spansOf(keys), spansOf(tags)
	for _, makes := range v.makes {
		slices.SortFunc(makes, byStart)
	}
	return v
}

func spansOf(lists map[string][]span) map[string]spans {
	m := make(map[string]spans, len(lists))
	for name, list := range lists {
		m[name] = newSpans(list)
	}
	return m
}

func (v *voids) of(key string) keyVoids { return keyVoids{v, v.keys[key], v.makes[key]} }

// keyVoids has the voids of one key.
type keyVoids struct {
	*voids
	writes spans
	makes  []*Op
}

// replaces is how many of the latest values with tags are considered as the one that a load is to replace: some were never
// stored.
const replaces = 6

// outdated reports whether the value that the first load was to replace may have been invalidated by its tags. A load that
// begins after that doesn't have to wait for the first.
func (v keyVoids) outdated(first *Op, held span) bool {
	if first.End != 0 {
		held.to = min(held.to, first.End)
	}
	n, _ := slices.BinarySearchFunc(v.makes, first, byStart)
	for _, op := range v.makes[max(0, n-replaces):n] {
		for _, tag := range op.Tags {
			if v.tags[tag].overlap(held) {
				return true
			}
		}
	}
	return false
}

// excuse reports whether one of the two leases may have been lost before the second load began: the first load's, or that of the second
// before the first was leased the key.
func (v keyVoids) excuse(first, second *Op) bool {
	delta, slack := int64(v.record.Delta), int64(v.record.Slack)
	held := span{min(first.leasedFrom(), second.leasedFrom()) - slack, second.Start}
	return v.writes.overlap(held) || v.clears.overlap(held) || v.outdated(first, held) ||
		v.disturbed.overlap(span{held.from - delta, second.Start + slack})
}
