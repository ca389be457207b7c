package inspect

import (
	"fmt"
	"html/template"
	"strings"
)

// The size of the chart's drawing area, in units of its viewBox.
const (
	chartWidth  = 600
	chartHeight = 100
)

// chart returns an SVG picture of the shares over time: areas for the local tier and, on top of it, for Redis. Its text alternative has
// the numbers of the last sample. The points are spread evenly, also if the times between them differ.
func chart(all []share) template.HTML {
	if len(all) < 2 {
		return ""
	}
	var local, both strings.Builder
	for i, s := range all {
		x := float64(i) / float64(len(all)-1) * chartWidth
		fmt.Fprintf(&local, "%.1f,%.1f ", x, (1-s.Local)*chartHeight)
		fmt.Fprintf(&both, "%.1f,%.1f ", x, (1-s.Local-s.Remote)*chartHeight)
	}
	last := all[len(all)-1]
	label := fmt.Sprintf("Hit ratio over the last %d samples. Now: %s from the local tier, %s from Redis.", len(all), percent(last.Local), percent(last.Remote))
	const bottom = "%[1]d,%[2]d 0,%[2]d"
	corners := fmt.Sprintf(bottom, chartWidth, chartHeight)
	return template.HTML(fmt.Sprintf( // only numbers
		`<svg class="chart" role="img" aria-label="%s" viewBox="0 0 %d %d" preserveAspectRatio="none"><polygon class="remote" points="%s%s"/><polygon class="local" points="%s%s"/></svg>`,
		label, chartWidth, chartHeight, both.String(), corners, local.String(), corners))
}

func percent(part float64) string { return fmt.Sprintf("%.1f %%", 100*part) }
