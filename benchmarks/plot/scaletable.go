package main

import (
	"fmt"
	"strconv"
	"strings"
)

// scaleColumns is how many columns the table has beside the names of the rows.
const scaleColumns = 6

// figures are the columns that show more of a cell than the processor time of Redis.
var figures = []struct {
	head, unit string
	format     func(float64) string
}{
	{"GET beside, p50", "get-p50-µs", duration},
	{"p99", "get-p99-µs", duration},
	{"answer to a SET, p50", "answer-p50-µs", duration},
	{"dropped after it, p50", "hear-p50-µs", duration},
	{"bytes/s a process", "process-B/s", func(v float64) string { return quantity(v, "", "k", "M") }},
	{"messages per miss", "msgs/miss", func(v float64) string { return quantity(v, "") }},
}

func duration(micros float64) string { return quantity(micros, " µs", " ms", " s") }

// table returns one table in parts, each of which begins with a bold row. An asterisk marks where Redis didn't keep up.
func (s *scaling) table() string {
	var b strings.Builder
	row := func(cells ...string) {
		for len(cells) < scaleColumns+1 {
			cells = append(cells, "")
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	row("Redis's CPU per SET, ÷ that without listeners")
	b.WriteString(strings.Repeat("|---", scaleColumns+1) + "|\n")
	for _, part := range []struct{ names, title string }{
		{"one", "caches of one name, 1,000 SETs a second of its keys; processes"},
		{"own", "each process has a name of its own, all of which are written; processes"},
		{"other", "the same, but keys of another name are written; processes"},
	} {
		s.part(row, part.title, steps["trackers"], byTrackers(part.names), s.ratio)
	}
	for _, n := range []int{64, 1000} {
		title := fmt.Sprintf("%d processes, one name; SETs a second", n)
		s.part(row, title, steps["rate"], func(rate int) scaleCell { return scaleCell{"one", rate, n, ""} }, s.ratio)
	}
	for _, part := range []struct{ names, title string }{
		{"one", "heartbeats, one a second: % of a core of Redis; processes, one name"},
		{"own", "heartbeats, a name for each process"},
	} {
		s.part(row, part.title, steps["trackers"], byTrackers(part.names), s.heartbeats)
	}
	for _, n := range []int{64, 1000} {
		s.figures(row, byTrackers("one")(n))
	}
	return b.String()
}

// ratio formats the processor time of Redis.
func (s *scaling) ratio(c scaleCell) string {
	r, ok := s.of(c, cpu)
	if !ok || c.impl == nobody {
		return ""
	}
	return ratio(r) + s.mark(c)
}

// heartbeats formats how much of its time Redis spends on the heartbeats of all processes.
func (s *scaling) heartbeats(c scaleCell) string {
	micros, ok := s.of(c, "redis-µs/heartbeat")
	if !ok {
		return ""
	}
	return ratio(100*micros*float64(c.trackers)/1e6) + " %"
}

// part adds the part that shows something of the cells at the steps, with the impls of which there is a result.
func (s *scaling) part(row func(...string), title string, steps []int, at func(int) scaleCell, format func(scaleCell) string) {
	head := []string{bold(title)}
	for _, n := range steps {
		head = append(head, bold(strconv.Itoa(n)))
	}
	for _, impl := range s.impls {
		name := label(impl)
		if at(1).names == "other" {
			name, _, _ = strings.Cut(name, ",") // no process has a key that is written
		}
		cells := []string{name}
		for _, n := range steps {
			c := at(n)
			c.impl = impl
			cells = append(cells, format(c))
		}
		if strings.Join(cells[1:], "") == "" {
			continue
		}
		if head != nil {
			row(head...)
			head = nil
		}
		row(cells...)
	}
}

// figures adds the part that shows more of the cells that differ from c in the impl.
func (s *scaling) figures(row func(...string), c scaleCell) {
	head := []string{bold(fmt.Sprintf("%d processes, one name, %d SETs a second", c.trackers, c.rate))}
	for _, f := range figures {
		head = append(head, bold(f.head))
	}
	for _, impl := range s.impls {
		c.impl = impl
		if len(s.runs[c]) == 0 {
			continue
		}
		if head != nil {
			row(head...)
			head = nil
		}
		cells := []string{label(impl) + s.mark(c)}
		for _, f := range figures {
			text := ""
			if v, ok := s.of(c, f.unit); ok {
				text = f.format(v)
			}
			cells = append(cells, text)
		}
		row(cells...)
	}
}

func (s *scaling) mark(c scaleCell) string {
	if s.saturated(c) {
		return "\\*"
	}
	return ""
}

func bold(s string) string { return "**" + s + "**" }
