package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Level says how bad a finding is.
type Level string

// The levels of findings.
const (
	OK      Level = "ok"
	Warning Level = "warn" // the caches work, but worse than they could
	Failure Level = "fail" // the caches don't work, or don't keep what they guarantee
	Skipped Level = "skip" // it couldn't be examined
)

// Finding is the outcome of one part of the examination.
type Finding struct {
	Check  string `json:"check"`
	Server string `json:"server,omitempty"` // the address of a Cluster's node
	Level  Level  `json:"level"`
	Text   string `json:"text"`
	Fix    string `json:"fix,omitempty"` // what to do about it

	measured bool // its text has a duration, which is never another server's, even if it reads the same
}

// Report is the outcome of an examination.
type Report struct {
	Target   string    `json:"target"` // the URL, without its password
	Findings []Finding `json:"findings"`
	Options  *Options  `json:"options"` // to use; null: no RedisOptions work
	Code     string    `json:"code"`    // Options as Go code
}

// Options are the tiered.RedisOptions to use.
type Options struct {
	Invalidation string `json:"invalidation"` // "Tracking", "TrackingKeys", "PubSub" or "None"
	Client       string `json:"client"`       // the function of go-redis that makes the client
	Prefix       string `json:"prefix"`
	Timeout      int64  `json:"timeoutMs"`
	Cost         string `json:"cost,omitempty"` // what they give up
}

// Healthy reports whether nothing failed.
func (r *Report) Healthy() bool {
	for _, f := range r.Findings {
		if f.Level == Failure {
			return false
		}
	}
	return true
}

// WriteTo writes the report as text.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.Target)
	for _, f := range fold(r.Findings) {
		text := f.Text
		if f.Server != "" {
			text = f.Server + ": " + text
		}
		fmt.Fprintf(&b, "%-5s %-13s %s\n", f.Level, f.Check, text)
		if f.Fix != "" {
			fmt.Fprintf(&b, "%-19s to do: %s\n", "", f.Fix)
		}
	}
	if r.Options == nil {
		b.WriteString("\nNo RedisOptions work with this Redis as it is.\n")
	} else {
		fmt.Fprintf(&b, "\nUse these options, with a client of redis.%s:\n\n%s\n", r.Options.Client, indent(r.Code))
		if r.Options.Cost != "" {
			fmt.Fprintf(&b, "\n%s\n", r.Options.Cost)
		}
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// fold returns the findings with one in place of those that are the same for several servers.
func fold(all []Finding) (folded []Finding) {
	for len(all) > 0 {
		f, n := all[0], 1
		for n < len(all) && same(all[n], f) {
			n++
		}
		if n > 1 {
			f.Server = fmt.Sprintf("%d servers", n)
		}
		folded, all = append(folded, f), all[n:]
	}
	return folded
}

// same reports whether two findings differ in their server alone.
func same(a, b Finding) bool {
	a.Server = b.Server
	return a == b && !a.measured
}

func indent(text string) string { return "\t" + strings.ReplaceAll(text, "\n", "\n\t") }
