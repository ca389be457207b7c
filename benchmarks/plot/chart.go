package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

const ours = "tiercache" // any other impl is a floor

// chart shows how the costs of one unit grow with one thing.
type chart struct {
	axis, unit string
	caption    string // what is measured; "": measure says it
	lines      []line
}

// line is a cost with its floor.
type line struct {
	cost, floorName string
	label           string // "": name makes one of the cost
	ours, floor     []point
}

// charts groups the results by axis and unit. Charts of time come first.
func charts(r *results) []chart {
	var all []chart
	for _, s := range r.order {
		c := chartOf(&all, s)
		i := slices.IndexFunc(c.lines, func(l line) bool { return l.cost == s.cost })
		if i < 0 {
			i = len(c.lines)
			c.lines = append(c.lines, line{cost: s.cost})
		}
		if s.impl == ours {
			c.lines[i].ours = r.points(s)
		} else {
			c.lines[i].floorName, c.lines[i].floor = s.impl, r.points(s)
		}
	}
	slices.SortStableFunc(all, func(a, b chart) int { return -strings.Compare(a.unit, b.unit) })
	return all
}

func chartOf(all *[]chart, s series) *chart {
	i := slices.IndexFunc(*all, func(c chart) bool { return c.axis == s.axis && c.unit == s.unit })
	if i < 0 {
		i = len(*all)
		*all = append(*all, chart{axis: s.axis, unit: s.unit})
	}
	return &(*all)[i]
}

// name returns the name of the line.
func (c chart) name(l line) string {
	if l.label != "" {
		return l.label
	}
	if c.unit == "B/entry" {
		return "memory"
	}
	return strings.ReplaceAll(l.cost, "-", " ")
}

// title returns the name of the axis.
func (c chart) title() string {
	titles := map[string]string{
		"keys":       "keys in the local tier",
		"goroutines": "goroutines",
		"bytes":      "size of a value",
		"caches":     "caches on one Redis",
		"trackers":   "processes",
		"rate":       "SETs a second",
	}
	if title, ok := titles[c.axis]; ok {
		return title
	}
	return c.axis
}

// measure returns the name of what is measured.
func (c chart) measure() string {
	if c.caption != "" {
		return c.caption
	}
	if c.unit == "B/entry" {
		return "bytes per entry"
	}
	return "time per operation"
}

// steps returns all n with measurements.
func (c chart) steps() []float64 {
	var ns []float64
	for _, l := range c.lines {
		for _, p := range slices.Concat(l.ours, l.floor) {
			ns = append(ns, p.n)
		}
	}
	slices.Sort(ns)
	return slices.Compact(ns)
}

// decades returns the powers of ten between which the costs are.
func (c chart) decades() (from, to int) {
	low, high := math.Inf(1), 0.0
	for _, l := range c.lines {
		for _, p := range slices.Concat(l.ours, l.floor) {
			low, high = min(low, p.cost), max(high, p.cost)
		}
	}
	from, to = int(math.Floor(math.Log10(low))), int(math.Ceil(math.Log10(high)))
	return from, max(to, from+1)
}

// step names an n of the axis: 10k, or 100 kB where bytes grow.
func (c chart) step(n float64) string {
	if c.axis == "bytes" {
		return quantity(n, " B", " kB", " MB", " GB")
	}
	if n < 10_000 {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return quantity(n, "", "k", "M", "G")
}

// amount names a cost.
func (c chart) amount(cost float64) string {
	switch c.unit {
	case "ns/op":
		return quantity(cost, " ns", " µs", " ms", " s")
	case "µs":
		return duration(cost)
	case "ratio":
		return ratio(cost)
	case "B/s":
		return quantity(cost, " B/s", " kB/s", " MB/s")
	}
	return quantity(cost, " B", " kB", " MB", " GB")
}

// quantity formats v with at most three digits, in the largest unit in which it is at least one.
func quantity(v float64, units ...string) string {
	i := 0
	for ; v >= 999.5 && i < len(units)-1; i++ {
		v /= 1000
	}
	digits := 0
	if v < 9.95 && v != math.Trunc(v) {
		digits = 1
	}
	return fmt.Sprintf("%.*f%s", digits, v, units[i])
}
