package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// series names one line of a chart.
type series struct {
	axis string // what grows
	unit string // of the cost: ns/op or B/entry
	cost string
	impl string
}

// point is the median of a cost at one n of the axis.
type point struct{ n, cost float64 }

// results has series in the order in which the benchmark ran them.
type results struct {
	order []series
	runs  map[series]map[float64][]float64 // by n, one for each time that the benchmark ran
}

// parse reads lines like
//
//	BenchmarkGrowth/axis=keys/n=10000/cost=local-hit/impl=tiercache-2   1000   352.7 ns/op   363.2 B/entry
func parse(in io.Reader) (*results, error) {
	r := &results{runs: make(map[series]map[float64][]float64)}
	return r, eachResult(in, "BenchmarkGrowth", r.add)
}

// eachResult calls add with the fields of each result of the benchmark, of which there must be one at least.
func eachResult(in io.Reader, benchmark string, add func(fields []string) error) error {
	found := false
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], benchmark+"/") {
			continue
		}
		if err := add(fields); err != nil {
			return fmt.Errorf("%q: %w", lines.Text(), err)
		}
		found = true
	}
	if !found && lines.Err() == nil {
		return fmt.Errorf("there are no results of %s", benchmark)
	}
	return lines.Err()
}

func (r *results) add(fields []string) error {
	name := parts(fields[0])
	n, err := strconv.ParseFloat(name["n"], 64)
	if err != nil {
		return err
	}
	s := series{axis: name["axis"], cost: name["cost"], impl: name["impl"]}
	if s.axis == "" || s.cost == "" || s.impl == "" || n <= 0 {
		return errors.New("want an axis, a cost, an impl and an n above 0")
	}
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return err
		}
		s.unit = fields[i+1]
		if s.unit != "ns/op" && (s.unit != "B/entry" || s.axis != "keys") { // on other axes it is constant, or grows with the size of values
			continue
		}
		if value <= 0 {
			return errors.New("want a cost above 0")
		}
		r.keep(s, n, value)
	}
	return nil
}

func (r *results) keep(s series, n, value float64) {
	if r.runs[s] == nil {
		r.runs[s] = make(map[float64][]float64)
		r.order = append(r.order, s)
	}
	r.runs[s][n] = append(r.runs[s][n], value)
}

// parts returns what a benchmark's name says, without GOMAXPROCS.
func parts(name string) map[string]string {
	all := make(map[string]string)
	for _, part := range strings.Split(withoutProcs(name), "/")[1:] {
		key, value, _ := strings.Cut(part, "=")
		all[key] = value
	}
	return all
}

// withoutProcs removes GOMAXPROCS from a benchmark's name.
func withoutProcs(name string) string {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return name
	}
	if _, err := strconv.Atoi(name[i+1:]); err != nil {
		return name
	}
	return name[:i]
}

// points returns a series in the order of n.
func (r *results) points(s series) []point {
	var ps []point
	for n, values := range r.runs[s] {
		ps = append(ps, point{n, median(values)})
	}
	slices.SortFunc(ps, func(a, b point) int { return int(a.n - b.n) })
	return ps
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}
