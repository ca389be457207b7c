package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Violation is a violation of a guarantee.
type Violation struct {
	Guarantee string // G1 to G4, identity, schema, limit
	Read      Op     // G4: the second load; limit: the last
	Write     Op     // the invalidation that should have hidden the value; G4, limit: the first load; identity: the other value
	Made      Op     // the Load or Set that made the value; zero for G4 and limit, or if it isn't known
	Detail    string
}

// Summary is the result of [Check].
type Summary struct {
	Ops        map[Kind]int
	Checks     map[string]int // by guarantee: how many comparisons could have failed
	Violations []Violation    // in the order in which their reads began
	// MaxStaleness is the longest time after the end of a value's invalidation at which a local tier served the value; 0:
	// never. Reads that an outage excuses and those that may have joined a load don't count.
	MaxStaleness time.Duration
	Delta        time.Duration  // the record's, to compare MaxStaleness with
	Excused      map[string]int // by reason, lost write or outage: what would be violations without it
}

// shown is how many violations are printed.
const shown = 20

// String returns a report of a few lines, with some more for each of the first violations.
func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "operations: %s\n", counts(s.Ops))
	fmt.Fprintf(&b, "checks that could have failed: %s\n", counts(s.Checks))
	fmt.Fprintf(&b, "largest staleness: %v, Delta is %v\n", s.MaxStaleness, s.Delta)
	fmt.Fprintf(&b, "excused: %s\n", counts(s.Excused))
	if len(s.Violations) == 0 {
		b.WriteString("violations: none\n")
		return b.String()
	}
	byGuarantee := map[string]int{}
	for _, v := range s.Violations {
		byGuarantee[v.Guarantee]++
	}
	fmt.Fprintf(&b, "violations: %d: %s\n", len(s.Violations), counts(byGuarantee))
	for _, v := range s.Violations[:min(shown, len(s.Violations))] {
		b.WriteString(v.String())
	}
	if more := len(s.Violations) - shown; more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	return b.String()
}

// counts formats counters in the order of their names.
func counts[K ~uint8 | ~string](n map[K]int) string {
	if len(n) == 0 {
		return "none"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%v %d", k, n[k]))
	}
	return strings.Join(parts, ", ")
}

// String returns the operations of a violation in the order in which they happened. Their times are relative to the start of
// the read; the read's own time is the clock's.
func (v Violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", v.Guarantee, v.Detail)
	for _, op := range []Op{v.Made, v.Write} {
		if op.Kind != 0 {
			fmt.Fprintf(&b, "  %s, %s\n", op, op.when(v.Read.Start))
		}
	}
	if v.Read.Kind != 0 {
		fmt.Fprintf(&b, "  %s, from %d ns for %s\n", v.Read, v.Read.Start, v.Read.took())
	}
	return b.String()
}

// String returns the operation without its times.
func (op Op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "process %d: %v", op.Process, op.Kind)
	if op.Key != "" {
		fmt.Fprintf(&b, " %q", op.Key)
	}
	if len(op.Tags) > 0 {
		fmt.Fprintf(&b, " tags %q", op.Tags)
	}
	if op.Kind == Read {
		fmt.Fprintf(&b, " = %d, tier %v", op.Value, op.Tier)
	}
	if op.Strict {
		b.WriteString(", strict")
	}
	fmt.Fprintf(&b, " (#%d)", op.ID)
	if !op.OK && op.End != 0 {
		b.WriteString(" failed")
	}
	return b.String()
}

func (op Op) when(zero int64) string {
	return fmt.Sprintf("from %v for %s", time.Duration(op.Start-zero), op.took())
}

func (op Op) took() string {
	if op.End == 0 {
		return "ever"
	}
	return time.Duration(op.End - op.Start).String()
}
