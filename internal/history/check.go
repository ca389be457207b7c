package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

const (
	noResurrection   = "G1"
	boundedStaleness = "G2"
	readYourWrites   = "G3"
	oneLoad          = "G4"
	identity         = "identity"
	ownSchema        = "schema"
	limitedLoads     = "limit"
)

const (
	excuseLost   = "lost write"
	excuseOutage = "outage"
)

// allProcesses is the Process of a Window that applies to all processes.
const allProcesses = -1

// Check checks all guarantees over the record of a run. It doesn't change the record.
func Check(r *Record) Summary {
	c := &checker{
		record: r,
		made:   map[int64]*Op{},
		kept:   newIndex(r, false),
		lost:   newIndex(r, true),
		summary: Summary{
			Ops:     map[Kind]int{},
			Checks:  map[string]int{},
			Excused: map[string]int{},
			Delta:   r.Delta,
		},
	}
	c.prepare()
	for i := range r.Ops {
		if op := &r.Ops[i]; op.Kind == Read && op.OK {
			c.read(op)
		}
	}
	c.checkLoads()
	c.checkLimit()
	slices.SortFunc(c.summary.Violations, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Read.Start, b.Read.Start), cmp.Compare(a.Read.ID, b.Read.ID),
			cmp.Compare(a.Guarantee, b.Guarantee))
	})
	return c.summary
}

type checker struct {
	record     *Record
	made       map[int64]*Op // the Loads and Sets
	kept, lost index
	outages    map[int]spans // by process
	mixed      bool          // there are several releases
	summary    Summary

	// The timelines of the value being checked:
	timelines, lostTimelines []*timeline
}

// prepare counts the operations, and indexes the operations that made values, and the outages.
func (c *checker) prepare() {
	for i := range c.record.Ops {
		op := &c.record.Ops[i]
		c.summary.Ops[op.Kind]++
		if op.Kind != Load && op.Kind != Set {
			continue
		}
		if before := c.made[op.ID]; before != nil {
			c.violated(Violation{Guarantee: identity, Write: *op, Made: *before, Detail: "two values have one ID"})
		}
		c.made[op.ID] = op
	}
	releases := make(map[int]bool)
	for _, release := range c.record.Releases {
		releases[release] = true
	}
	c.mixed = len(releases) > 1
	outages := map[int][]span{}
	for _, w := range c.record.Outages {
		outages[w.Process] = append(outages[w.Process], span{w.Start, w.End})
	}
	c.outages = make(map[int]spans, len(outages))
	for process, s := range outages {
		c.outages[process] = newSpans(s)
	}
}

func (c *checker) violated(v Violation) { c.summary.Violations = append(c.summary.Violations, v) }

// read checks one read that returned a value.
func (c *checker) read(r *Op) {
	made := c.identify(r)
	if made == nil {
		return
	}
	c.checkSchema(r, made)
	after, ok := made.supersededAfter()
	if !ok {
		return
	}
	c.timelines = c.kept.appendTimelines(c.timelines[:0], made)
	c.lostTimelines = c.lost.appendTimelines(c.lostTimelines[:0], made)
	s := &observation{read: r, made: made, after: after, joined: after}
	if ended, ok := c.joinedLoad(r, made); ok {
		s.joined = max(after, ended)
	}
	if r.Tier == Remote || r.Process < 0 { // a process without a cache reads Redis
		c.judge(&guarantee{name: noResurrection, earliest: (*timeline).earliestOfKey}, s)
	}
	// Processes keep tags and epochs locally: for another process's invalidation by tag or epoch, a value from Redis may be as
	// stale as one from the local tier.
	earliest := (*timeline).earliestOther
	if r.Tier == Remote {
		earliest = (*timeline).earliestOtherOfMany
	}
	if r.Process >= 0 {
		c.judge(&guarantee{name: boundedStaleness, margin: int64(c.record.Delta + c.record.Slack), earliest: earliest}, s)
	}
	if r.Process >= 0 {
		c.judge(&guarantee{name: readYourWrites, earliest: (*timeline).earliestOwn}, s)
	}
}

// identify returns the operation that made the value which r returned. It returns nil, and adds a violation, if there is none
// that can have.
func (c *checker) identify(r *Op) *Op {
	c.summary.Checks[identity]++
	v := Violation{Guarantee: identity, Read: *r}
	made := c.made[r.Value]
	switch {
	case made == nil:
		v.Detail = fmt.Sprintf("no Load or Set made the value %d", r.Value)
	case made.Key != r.Key:
		v.Detail = fmt.Sprintf("a value of key %q under key %q", made.Key, r.Key)
	case !made.makes():
		v.Detail = "a value of a Load that returned none"
	case r.End != 0 && made.Start > r.End:
		v.Detail = "a value from the future"
	default:
		return made
	}
	if made != nil {
		v.Made = *made
	}
	c.violated(v)
	return nil
}

// checkSchema checks that a value is returned to processes of its release only.
func (c *checker) checkSchema(r, made *Op) {
	reads, makes := c.record.Releases[r.Process], c.record.Releases[made.Process]
	if !c.mixed || reads == 0 || makes == 0 {
		return
	}
	c.summary.Checks[ownSchema]++
	if reads != makes {
		c.violated(Violation{Guarantee: ownSchema, Read: *r, Made: *made, Detail: fmt.Sprintf(
			"a value of release %d, returned in release %d", makes, reads)})
	}
}

// joinedLoad reports whether r may have waited for the Load that made its value, rather than found the value in a tier, and
// when the Load ended. If so, r must not return the value only if an invalidation was called after the Load's end.
//
// In the Load's process, waiting callers get the value when it has been stored, a Redis call after the loader's end. Other processes
// get it through Redis, so that nothing is known if the Load's end wasn't recorded.
func (c *checker) joinedLoad(r, made *Op) (ended int64, ok bool) {
	switch {
	case r.Tier != Unknown || made.Kind != Load:
		return 0, false
	case made.Process != r.Process:
		return made.End, made.End != 0 && made.End >= r.Start
	case made.End == 0:
		return math.MaxInt64, true
	}
	return made.End, made.End >= r.Start-int64(c.record.Delta+c.record.Slack)
}

// outage reports whether r's process may have served unverified values.
func (c *checker) outage(r *Op) bool {
	if r.Strict || len(c.outages) == 0 {
		return false
	}
	slack := int64(c.record.Slack)
	t := span{r.Start - int64(c.record.Delta) - slack, max(r.Start, r.End) + slack}
	return c.outages[r.Process].overlap(t) || c.outages[allProcesses].overlap(t)
}
