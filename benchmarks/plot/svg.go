package main

import (
	_ "embed"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

//go:embed style.css
var style string

// The size of a cell, which is a chart's part of the picture, in pixels, and the margins in it.
const (
	cellWidth, cellHeight = 300, 210
	marginLeft            = 58
	marginRight           = 22
	marginTop             = 28
	marginBottom          = 42
	columns               = 3
)

// drawSVG draws each chart in a cell of its own, with logarithmic scales, and the legend in the last cell.
func drawSVG(title string, all []chart) string {
	var b strings.Builder
	rows := len(all)/columns + 1
	width, height := columns*cellWidth, rows*cellHeight
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%d" role="img">`+"\n", width, height, height)
	b.WriteString("<title>" + html.EscapeString(title) + "</title>\n<style>\n" + style + "</style>\n")
	costs := legend(all)
	for i, c := range all {
		b.WriteString(cell(i) + c.draw(costs) + "</g>\n")
	}
	b.WriteString(cell(len(all)) + drawLegend(costs) + "</g>\n</svg>\n")
	return b.String()
}

func cell(i int) string {
	return fmt.Sprintf("<g transform=\"translate(%d %d)\">\n", i%columns*cellWidth, i/columns*cellHeight)
}

// entry is a line of the legend. Its index is its colour.
type entry struct{ name, floor string }

func legend(all []chart) []entry {
	var costs []entry
	for _, c := range all {
		for _, l := range c.lines {
			if e := (entry{c.name(l), l.floorName}); !slices.Contains(costs, e) {
				costs = append(costs, e)
			}
		}
	}
	return costs
}

// frame converts a chart's values to coordinates.
type frame struct {
	steps    []float64
	from, to int // decades
}

func (f frame) x(n float64) float64 {
	first, last := math.Log(f.steps[0]), math.Log(f.steps[len(f.steps)-1])
	if first == last {
		return marginLeft
	}
	return marginLeft + (math.Log(n)-first)/(last-first)*(cellWidth-marginLeft-marginRight)
}

func (f frame) y(cost float64) float64 {
	const bottom = cellHeight - marginBottom
	return bottom - (math.Log10(cost)-float64(f.from))/float64(f.to-f.from)*(bottom-marginTop)
}

func (c chart) draw(costs []entry) string {
	var b strings.Builder
	f := frame{steps: c.steps()}
	f.from, f.to = c.decades()
	const left, right, bottom = marginLeft, cellWidth - marginRight, cellHeight - marginBottom
	for d := f.from; d <= f.to; d++ {
		y := f.y(math.Pow10(d))
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/>`, left, y, right)
		fmt.Fprintf(&b, `<text class="end" x="%d" y="%.1f">%s</text>`+"\n", left-8, y+3.5, c.amount(math.Pow10(d)))
	}
	for _, n := range f.steps {
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %dV%d"/>`, f.x(n), marginTop, bottom)
		fmt.Fprintf(&b, `<text class="middle" x="%.1f" y="%d">%s</text>`+"\n", f.x(n), bottom+15, c.step(n))
	}
	text(&b, "label middle", (left+right)/2, bottom+32, c.title())
	text(&b, "label", left, marginTop-10, c.measure())
	for _, l := range c.lines {
		colour := fmt.Sprintf("c%d", slices.Index(costs, entry{c.name(l), l.floorName}))
		f.line(&b, colour+" floor", l.floor, func(p point) string { return c.describe(l.floorName, l, p) })
		f.line(&b, colour, l.ours, func(p point) string { return c.describe(ours, l, p) })
	}
	return b.String()
}

func (c chart) describe(impl string, l line, p point) string {
	if l.label != "" {
		return fmt.Sprintf("%s, %s: %s", l.label, c.step(p.n), c.amount(p.cost))
	}
	return fmt.Sprintf("%s, %s, %s: %s", impl, c.name(l), c.step(p.n), c.amount(p.cost))
}

func text(b *strings.Builder, class string, x, y int, s string) {
	fmt.Fprintf(b, `<text class="%s" x="%d" y="%d">%s</text>`+"\n", class, x, y, html.EscapeString(s))
}

// line draws a line with its points, which have tooltips.
func (f frame) line(b *strings.Builder, class string, points []point, describe func(point) string) {
	if len(points) == 0 {
		return
	}
	fmt.Fprintf(b, `<g class="%s"><polyline points="`, class)
	for _, p := range points {
		fmt.Fprintf(b, "%.1f,%.1f ", f.x(p.n), f.y(p.cost))
	}
	b.WriteString(`"/>`)
	for _, p := range points {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="2.6"><title>%s</title></circle>`, f.x(p.n), f.y(p.cost), html.EscapeString(describe(p)))
	}
	b.WriteString("</g>\n")
}

func drawLegend(costs []entry) string {
	const left, line = marginLeft - 20, 19
	floors := slices.ContainsFunc(costs, func(e entry) bool { return e.floor != "" })
	var b strings.Builder
	if floors {
		text(&b, "label", left, marginTop-4, "tiercache")
		text(&b, "label", left+110, marginTop-4, "floor")
	}
	for i, e := range costs {
		y := marginTop + 14 + i*line
		for _, key := range []struct {
			class, name string
			x           int
		}{{"", e.name, left}, {" floor", e.floor, left + 110}} {
			if key.name == "" {
				continue
			}
			fmt.Fprintf(&b, `<g class="c%d%s"><path d="M%d %dh24"/></g>`+"\n", i, key.class, key.x, y)
			text(&b, "", key.x+32, y+4, key.name)
		}
	}
	return b.String()
}
