package main

import (
	"errors"
	"io"
	"slices"
	"strconv"
)

// scaleCell is what BenchmarkScale measures at a time.
type scaleCell struct {
	names          string
	rate, trackers int
	impl           string
}

// scaling has the results of BenchmarkScale.
type scaling struct {
	impls []string                           // in the order in which the benchmark ran them
	runs  map[scaleCell]map[string][]float64 // by unit, one for each time that the cell ran
}

// nobody is the impl whose connections listen to nothing. Costs of Redis are divided by its.
const nobody = "none"

// cpu is the unit of Redis's processor time.
const cpu = "redis-µs/set"

// parseScale reads lines like
//
//	BenchmarkScale/names=one/rate=1000/trackers=64/impl=name-2   4   94.85 redis-µs/set   1002 set/s
func parseScale(in io.Reader) (*scaling, error) {
	s := &scaling{runs: make(map[scaleCell]map[string][]float64)}
	return s, eachResult(in, "BenchmarkScale", s.add)
}

func (s *scaling) add(fields []string) (err error) {
	name := parts(fields[0])
	c := scaleCell{names: name["names"], impl: name["impl"]}
	if c.rate, err = strconv.Atoi(name["rate"]); err != nil {
		return err
	}
	if c.trackers, err = strconv.Atoi(name["trackers"]); err != nil {
		return err
	}
	if c.names == "" || c.impl == "" || c.rate <= 0 || c.trackers <= 0 {
		return errors.New("want names, an impl, and a rate and trackers above 0")
	}
	if s.runs[c] == nil {
		s.runs[c] = make(map[string][]float64)
	}
	if !slices.Contains(s.impls, c.impl) {
		s.impls = append(s.impls, c.impl)
	}
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return err
		}
		s.runs[c][fields[i+1]] = append(s.runs[c][fields[i+1]], value)
	}
	return nil
}

// of returns the median of what a cell cost. The processor time of Redis is divided by that of nobody in the same round.
func (s *scaling) of(c scaleCell, unit string) (cost float64, ok bool) {
	runs := s.runs[c][unit]
	if unit == cpu {
		floor := c
		floor.impl = nobody
		runs = quotients(runs, s.runs[floor][unit])
	}
	if len(runs) == 0 {
		return 0, false
	}
	return median(runs), true
}

// quotients divides the rounds that both have.
func quotients(of, by []float64) (q []float64) {
	for i := range min(len(of), len(by)) {
		if by[i] > 0 {
			q = append(q, of[i]/by[i])
		}
	}
	return q
}

// saturated reports whether Redis took less than nine of ten SETs in their time.
func (s *scaling) saturated(c scaleCell) bool {
	rate, ok := s.of(c, "set/s")
	return ok && rate < 0.9*float64(c.rate)
}

// labels are the impls' names in words.
var labels = map[string]string{
	nobody:     "nobody listens",
	"prefix":   "broadcast of the prefix",
	"name":     "broadcast by name",
	"key-1":    "by key, one process has it",
	"key-16th": "by key, a sixteenth have it",
	"key-all":  "by key, all have it",
	"pubsub":   "PubSub",
	"rueidis":  "rueidis, one process has it",
	"go-redis": "go-redis, one process has it",
}

func label(impl string) string {
	if l, ok := labels[impl]; ok {
		return l
	}
	return impl
}

// view is a chart to draw: cells that differ in one thing and in the impl.
type view struct {
	axis, caption, unit string
	at                  func(n int) scaleCell
	of                  string // the unit of the benchmark
}

func byTrackers(names string) func(int) scaleCell {
	return func(n int) scaleCell { return scaleCell{names: names, rate: 1000, trackers: n} }
}

var views = []view{
	{"trackers", "Redis's CPU per SET, one name", "ratio", byTrackers("one"), cpu},
	{"trackers", "the same, a name for each", "ratio", byTrackers("own"), cpu},
	{"trackers", "the same, SETs of another name", "ratio", byTrackers("other"), cpu},
	{"trackers", "99% of GETs beside, one name", "µs", byTrackers("one"), "get-p99-µs"},
	{"trackers", "a process's traffic, one name", "B/s", byTrackers("one"), "process-B/s"},
	{"rate", "Redis's CPU per SET, 64 processes", "ratio", func(n int) scaleCell { return scaleCell{"one", n, 64, ""} }, cpu},
	{"rate", "the same, 1000 processes", "ratio", func(n int) scaleCell { return scaleCell{"one", n, 1000, ""} }, cpu},
}

// steps are the values that an axis may have.
var steps = map[string][]int{
	"trackers": {1, 16, 64, 256, 1000},
	"rate":     {100, 1000, 10_000},
}

// charts returns the charts that have results. All have the same impls, so that these have one colour each.
func (s *scaling) charts() []chart {
	var all []chart
	for _, v := range views {
		c := chart{axis: v.axis, unit: v.unit, caption: v.caption}
		for _, impl := range s.impls {
			if l := (line{label: label(impl), ours: s.points(v, impl)}); len(l.ours) > 0 {
				c.lines = append(c.lines, l)
			}
		}
		if len(c.lines) > 0 {
			all = append(all, c)
		}
	}
	return all
}

func (s *scaling) points(v view, impl string) (ps []point) {
	if v.of == cpu && impl == nobody {
		return nil // it is 1
	}
	for _, n := range steps[v.axis] {
		c := v.at(n)
		c.impl = impl
		if cost, ok := s.of(c, v.of); ok && cost > 0 { // 0 has no logarithm
			ps = append(ps, point{float64(n), cost})
		}
	}
	return ps
}
