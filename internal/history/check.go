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
)

const (
	excuseLost   = "lost write"
	excuseOutage = "outage"
)

// allProcesses is the Process of a Window that holds for all.
const allProcesses = -1

// Check returns what there is to say about a run. It changes nothing in the record.
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
	summary    Summary

	// Of the value at hand:
	lines, lostLines []*timeline
}

// prepare counts the operations and finds the makers of values and the outages.
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
	after, ok := made.supersededAfter()
	if !ok {
		return
	}
	c.lines = c.kept.appendLines(c.lines[:0], made)
	c.lostLines = c.lost.appendLines(c.lostLines[:0], made)
	s := &observation{read: r, made: made, after: after, joined: after}
	if landed, ok := c.joined(r, made); ok {
		s.joined = max(after, landed)
	}
	if r.Tier == Remote || r.Process < 0 { // who has no cache reads Redis
		c.judge(&promise{name: noResurrection, earliest: (*timeline).earliestOfKey}, s)
	}
	// Tags and eras are known locally: of another's invalidation by them, what comes from Redis is behind as a local hit is.
	earliest := (*timeline).earliestOther
	if r.Tier == Remote {
		earliest = (*timeline).earliestOtherOfMany
	}
	if r.Process >= 0 {
		c.judge(&promise{name: boundedStaleness, margin: int64(c.record.Delta + c.record.Slack), earliest: earliest}, s)
	}
	if r.Process >= 0 {
		c.judge(&promise{name: readYourWrites, earliest: (*timeline).earliestOwn}, s)
	}
}

// identify returns who made the value that r saw, nil if it can't have.
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

// joined reports whether r may have waited for the Load that was under way and made its value, rather than found the
// value in a tier. If so, only an invalidation that was called after the Load had ended hides the value from r.
//
// In one process, those who wait get the value when it is stored, a Redis call after the loader's end. From another
// process a value comes through Redis, so that nothing is known of a Load whose end nobody saw.
func (c *checker) joined(r, made *Op) (landed int64, ok bool) {
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

// outage reports whether r's process may have served what it could not verify.
func (c *checker) outage(r *Op) bool {
	if r.Strict || len(c.outages) == 0 {
		return false
	}
	slack := int64(c.record.Slack)
	t := span{r.Start - int64(c.record.Delta) - slack, max(r.Start, r.End) + slack}
	return c.outages[r.Process].overlap(t) || c.outages[allProcesses].overlap(t)
}
