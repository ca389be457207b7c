package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tiercache/tiercache/examples/internal/userdb"
)

// article has the times that the article measured for its list of 20,000 users.
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
Times are medians of %d requests over loopback, to the body's last byte. Each Redis hit is a page's first request to a
new cache, whose memory doesn't have it; every answer's way was checked with the cache's own counters. SQLite runs inside
this process, where 20 rows cost about as much as a way to Redis and back; rows of a database on the network cost more.
* What the article that this library grew out of reports for its own list of 20,000 users (FastAPI with Redis, on its
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
