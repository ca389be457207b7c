package history

import (
	"fmt"
	"math"
	"time"
)

// promise is a guarantee about reads: none sees a value that was hidden long enough before the read began.
type promise struct {
	name     string
	margin   int64                                           // how long after the invalidation's end it may
	earliest func(t *timeline, after int64, process int) *Op // who hides it, of those that the promise is about
}

// observation is a value seen by a read.
type observation struct {
	read, made *Op
	after      int64 // an invalidation that is called later than this hides the value
	joined     int64 // the same, if the read may have waited for the load that made the value; else equal to after
}

// hider returns the invalidation that hid the value first, if that ended before the time given.
func (p *promise) hider(lines []*timeline, s *observation, before int64) *Op {
	var found *Op
	for _, t := range lines {
		after := s.joined
		if p.name == noResurrection || p.name == readYourWrites && t.kind == Delete {
			after = s.after // one's own Set or Delete is never answered by a load that began before it
		}
		found = sooner(found, p.earliest(t, after, s.read.Process))
	}
	if found == nil || found.End >= before {
		return nil
	}
	return found
}

// judge checks a promise on a observation.
func (c *checker) judge(p *promise, s *observation) {
	r := s.read
	latest := r.Start - p.margin
	// Whether any value at all is hidden from r tells whether r could have failed; mostly there is nothing else to see.
	anything := *s
	anything.after = math.MinInt64
	if s.joined == s.after {
		anything.joined = math.MinInt64
	}
	possible := p.hider(c.lines, &anything, r.Start)
	if possible == nil && len(c.lostLines) == 0 {
		return
	}
	excused := p.name == boundedStaleness && c.outage(r)
	if possible != nil && possible.End < latest && !excused {
		c.summary.Checks[p.name]++
	}

	if w := p.hider(c.lines, s, r.Start); w != nil {
		late := w.End < latest
		if excused {
			if late {
				c.summary.Excused[excuseOutage]++
			}
			return
		}
		c.stale(r, w)
		if late {
			c.violated(Violation{Guarantee: p.name, Read: *r, Write: *w, Made: *s.made, Detail: p.detail(r, w)})
			return
		}
	}
	if !excused && p.hider(c.lostLines, s, latest) != nil {
		c.summary.Excused[excuseLost]++
	}
}

// stale notes for how long a value has outlived its invalidation in a local tier.
func (c *checker) stale(r, w *Op) {
	if r.Tier == Local {
		c.summary.MaxStaleness = max(c.summary.MaxStaleness, time.Duration(r.Start-w.End))
	}
}

func (p *promise) detail(r, w *Op) string {
	age := time.Duration(r.Start - w.End)
	if p.margin > 0 {
		return fmt.Sprintf("seen %v after it was invalidated, at most %v are allowed", age, time.Duration(p.margin))
	}
	return fmt.Sprintf("seen %v after it was invalidated", age)
}
