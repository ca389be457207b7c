package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/gofiber/fiber/v3"
)

// writeTable prints the medians. A ratio is the median of the rounds' ratios, so that differences between rounds cancel out.
func (c *contest) writeTable(out io.Writer, rounds int, length time.Duration) error {
	wrk, err := versionOf("wrk", "-v")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nHits of a page of %d bytes: wrk %s -t1 -c32, %d rounds of %v, %s; %s/%s, %d cores.\n",
		len(page), wrk, rounds, length, c.cores, runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	fmt.Fprint(out, "nginx has one worker process, Varnish one pool of threads; neither writes a log to disk.\n\n")
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "server\tversion\trequests/s\t÷ net/http\t÷ Fiber\tCPU µs/request\t÷ net/http\t÷ Fiber\t")
	native, fast := c.find("net/http"), c.find("Fiber")
	for _, e := range c.entries {
		fmt.Fprintf(t, "%s\t%s\t%.0f\t%.2f\t%.2f\t%.1f\t%.2f\t%.2f\t\n", e.title(), cmp.Or(e.version, "this one"),
			median(e.rates), ratio(e.rates, native.rates), ratio(e.rates, fast.rates),
			median(e.costs), ratio(e.costs, native.costs), ratio(e.costs, fast.costs))
	}
	return t.Flush()
}

func (c *contest) find(name string) *entry {
	return c.entries[slices.IndexFunc(c.entries, func(e *entry) bool { return e.title() == name })]
}

func ratio(values, floor []float64) float64 {
	ratios := make([]float64, len(values))
	for round, v := range values {
		ratios[round] = v / floor[round]
	}
	return median(ratios)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func goVersion() string { return runtime.Version() }

// fiberVersion returns Fiber's version from the build info, or else the package's constant.
func fiberVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fiber.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/gofiber/fiber/v3" {
			return dep.Version
		}
	}
	return fiber.Version
}
