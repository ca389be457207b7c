package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tiercache/tiercache/examples/internal/userdb"
)

// article has the times that the article reports for its list of 20,000 users.
var article = map[string]string{"head": "article *", "no cache": "223 ms", "Redis hit": "136 ms"}

func writeTable(out io.Writer, p userdb.Page, rows []measured) {
	fmt.Fprintf(out, "\nGET %s?%s\n\n", listPath, p.Query())
	line := func(cells ...any) {
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%-11s %12s %12s %10s %12s", cells...), " "))
	}
	theirs := article
	if p.Limit != 20_000 {
		theirs = nil
	}
	line("", "time", "body", "speed-up", theirs["head"])
	for _, m := range rows {
		line(m.way, milliseconds(m.time), size(m.body), speedUp(rows[0].time, m.time), theirs[m.way])
	}
}

func writeNotes(out io.Writer, samples int) {
	fmt.Fprintf(out, `
Times are medians of %d requests over loopback, until the end of the body. For each Redis hit the page is requested from a
new cache, which doesn't have it in memory. The cache's own counters confirm where each response came from. SQLite runs inside
this process, where 20 rows cost about as much as a round trip to Redis; rows of a database on the network cost more.
* As reported by the article that gave rise to this library, for its own list of 20,000 users (FastAPI with Redis, on its
  author's machine): for comparison, not measured here.
`, samples)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

func size(n int64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.2f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.2f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}

func speedUp(slow, fast time.Duration) string {
	ratio := float64(slow) / float64(fast)
	if ratio < 10 {
		return fmt.Sprintf("%.1f x", ratio)
	}
	return fmt.Sprintf("%.0f x", ratio)
}
