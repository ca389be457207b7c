package history

import (
	"fmt"
	"math"
	"time"
)

// guarantee is a guarantee about reads: no read returns a value that was hidden long enough before the read began.
type guarantee struct {
	name     string
	margin   int64                                           // how long after the invalidation's end the value may be read
	earliest func(t *timeline, after int64, process int) *Op // the first invalidation to end, of those that the guarantee covers
}

// observation is a value returned by a read.
type observation struct {
	read, made *Op
	after      int64 // an invalidation that is called later than this hides the value
	joined     int64 // the same, if the read may have waited for the load that made the value; else equal to after
}

// hiddenBy returns the invalidation that hid the value first, if that ended before the time given.
func (g *guarantee) hiddenBy(lines []*timeline, s *observation, before int64) *Op {
	var found *Op
	for _, t := range lines {
		after := s.joined
		if g.name == noResurrection || g.name == readYourWrites && t.kind == Delete {
			after = s.after // a read after the process's own Set or Delete never joins a load that began before it
		}
		found = endedFirst(found, g.earliest(t, after, s.read.Process))
	}
	if found == nil || found.End >= before {
		return nil
	}
	return found
}

// judge checks a guarantee on an observation.
func (c *checker) judge(g *guarantee, s *observation) {
	r := s.read
	latest := r.Start - g.margin
	// If no value at all is hidden from r, the check can't fail. That is so for most reads.
	anything := *s
	anything.after = math.MinInt64
	if s.joined == s.after {
		anything.joined = math.MinInt64
	}
	possible := g.hiddenBy(c.timelines, &anything, r.Start)
	if possible == nil && len(c.lostTimelines) == 0 {
		return
	}
	excused := g.name == boundedStaleness && c.outage(r)
	if possible != nil && possible.End < latest && !excused {
		c.summary.Checks[g.name]++
	}

	if w := g.hiddenBy(c.timelines, s, r.Start); w != nil {
		late := w.End < latest
		if excused {
			if late {
				c.summary.Excused[excuseOutage]++
			}
			return
		}
		c.noteStaleness(r, w)
		if late {
			c.violated(Violation{Guarantee: g.name, Read: *r, Write: *w, Made: *s.made, Detail: g.detail(r, w)})
			return
		}
	}
	if !excused && g.hiddenBy(c.lostTimelines, s, latest) != nil {
		c.summary.Excused[excuseLost]++
	}
}

// noteStaleness records how long after its invalidation a local tier served a value.
func (c *checker) noteStaleness(r, w *Op) {
	if r.Tier == Local {
		c.summary.MaxStaleness = max(c.summary.MaxStaleness, time.Duration(r.Start-w.End))
	}
}

func (g *guarantee) detail(r, w *Op) string {
	age := time.Duration(r.Start - w.End)
	if g.margin > 0 {
		return fmt.Sprintf("seen %v after it was invalidated, at most %v are allowed", age, time.Duration(g.margin))
	}
	return fmt.Sprintf("seen %v after it was invalidated", age)
}
