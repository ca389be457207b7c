package history

import (
	"fmt"
	"slices"
)

// checkLimit checks that no process runs more than MaxLoads loaders at a time. The loads of a batch begin at the same time, and
// are one. A load whose end wasn't recorded proves nothing: its process was killed.
func (c *checker) checkLimit() {
	if c.record.MaxLoads == 0 {
		return
	}
	loads := map[int][]*Op{}
	for i := range c.record.Ops {
		if op := &c.record.Ops[i]; op.Kind == Load && op.End != 0 {
			loads[op.Process] = append(loads[op.Process], op)
		}
	}
	for _, l := range loads {
		slices.SortFunc(l, byStart)
		l = slices.CompactFunc(l, func(a, b *Op) bool { return a.Start == b.Start })
		c.checkProcessLimit(l)
	}
}

// checkProcessLimit checks the loads of one process, which are in the order in which they began.
func (c *checker) checkProcessLimit(loads []*Op) {
	var running []*Op
	for _, load := range loads {
		running = slices.DeleteFunc(running, func(op *Op) bool { return op.End <= load.Start })
		running = append(running, load)
		switch n := len(running); {
		case n > c.record.MaxLoads:
			c.violated(Violation{Guarantee: limitedLoads, Read: *load, Write: *running[0], Detail: fmt.Sprintf(
				"%d loads at a time, at most %d are allowed", n, c.record.MaxLoads)})
		case n == c.record.MaxLoads:
			c.summary.Checks[limitedLoads]++ // one more would have been too many
		}
	}
}
