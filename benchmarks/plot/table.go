package main

import (
	"fmt"
	"strings"
)

// drawTable returns one table. Each chart begins with a bold row that names its steps, followed by the costs with their ratios to the
// floor.
func drawTable(all []chart) string {
	columns := 0
	for _, c := range all {
		columns = max(columns, len(c.steps()))
	}
	var b strings.Builder
	row := func(cells ...string) {
		for len(cells) < columns+2 {
			cells = append(cells, "")
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	row("tiercache, and its ratio to the floor")
	b.WriteString(strings.Repeat("|---", columns+2) + "|\n")
	for _, c := range all {
		head := []string{"**" + c.title() + ": " + c.measure() + "**"}
		for _, n := range c.steps() {
			head = append(head, "**"+c.step(n)+"**")
		}
		for len(head) < columns+1 {
			head = append(head, "")
		}
		row(append(head, "**last ÷ first**")...)
		for _, l := range c.lines {
			row(c.cells(l, columns)...)
		}
	}
	return b.String()
}

// cells returns a line's row.
func (c chart) cells(l line, columns int) []string {
	name := c.name(l)
	if l.floorName != "" {
		name += " ÷ " + l.floorName
	}
	cells := []string{name}
	for _, n := range c.steps() {
		cell := ""
		if cost, ok := at(l.ours, n); ok {
			cell = c.amount(cost)
			if floor, ok := at(l.floor, n); ok {
				cell += " (" + ratio(cost/floor) + ")"
			}
		}
		cells = append(cells, cell)
	}
	for len(cells) < columns+1 {
		cells = append(cells, "")
	}
	if len(l.ours) == 0 {
		return cells
	}
	first, last := l.ours[0], l.ours[len(l.ours)-1]
	return append(cells, ratio(last.cost/first.cost))
}

func at(points []point, n float64) (float64, bool) {
	for _, p := range points {
		if p.n == n {
			return p.cost, true
		}
	}
	return 0, false
}

// ratio formats a ratio with two significant digits, or more before the point.
func ratio(r float64) string {
	switch {
	case r < 0.995:
		return fmt.Sprintf("%.2f", r)
	case r < 9.95:
		return fmt.Sprintf("%.1f", r)
	default:
		return fmt.Sprintf("%.0f", r)
	}
}
