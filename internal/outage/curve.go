//go:build !windows

package outage

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Curve says how many calls were answered in each quarter of a second.
type Curve []Bin

// Bin is a part of a curve.
type Bin struct {
	Calls, Answered int // of the calls that began in it
}

const binTime = 250 * time.Millisecond

// Share returns the share of calls that were answered.
func (c Curve) Share() float64 {
	var sum Bin
	for _, b := range c {
		sum.Calls, sum.Answered = sum.Calls+b.Calls, sum.Answered+b.Answered
	}
	return float64(sum.Answered) / float64(max(1, sum.Calls))
}

// Rate returns how many calls were answered in a second.
func (c Curve) Rate() float64 {
	answered := 0
	for _, b := range c {
		answered += b.Answered
	}
	return float64(answered) / (time.Duration(len(c)) * binTime).Seconds()
}

// recovered returns from when on 99% of the calls were answered. It reports false if fewer were at the end.
func (c Curve) recovered() (from time.Duration, ok bool) {
	i := len(c)
	for i > 0 && c[i-1:i].Share() >= 0.99 {
		i--
	}
	return time.Duration(i) * binTime, i < len(c)
}

// String returns the share of answered calls in each part.
func (c Curve) String() string {
	var b strings.Builder
	b.WriteString("answered each quarter second, in %:")
	for i := range c {
		fmt.Fprintf(&b, " %.0f", 100*c[i:i+1].Share())
	}
	return b.String()
}

// counter counts the calls of a Bin.
type counter struct{ calls, answered atomic.Int64 }

// curveOf returns what was counted.
func curveOf(counters []*counter) Curve {
	c := make(Curve, len(counters))
	for i := range counters {
		c[i] = Bin{Calls: int(counters[i].calls.Load()), Answered: int(counters[i].answered.Load())}
	}
	return c
}
