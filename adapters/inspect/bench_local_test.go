package inspect_test

import (
	"fmt"
	"html"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/inspect"
	"github.com/tiercache/tiercache/tiered"
)

var nextPage = regexp.MustCompile(`rel="next" href="([^"]*)"`)

// BenchmarkLocalPage measures the pages that look through the whole local tier, with a million entries. It reports the 99th percentile.
func BenchmarkLocalPage(b *testing.B) {
	c, err := tiered.New(tiered.Options[user]{Name: "users", MaxCost: 2_000_000, Policy: tiered.Policy{TTL: time.Hour}})
	must(b, err)
	defer c.Close()
	for i := range 1_000_000 {
		must(b, c.Set(b.Context(), fmt.Sprintf("prefix%d:%d", i%2, i), user{i, "Ada"}, fmt.Sprint("team:", i%1000)))
	}
	h, err := inspect.New(inspect.Options{Caches: []inspect.Cache{c}})
	must(b, err)
	for name, path := range map[string]string{
		"keys/all": "/keys?c=users", "keys/far": "/keys?c=users&cursor=255:", "keys/rare": "/keys?c=users&prefix=prefix1:99999", "tags": "/tags?c=users", "tag": "/tag?c=users&tag=team:7", "tag/none": "/tag?c=users&tag=none",
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			next := path // and after that the pages it leads to
			for b.Loop() {
				began, w := time.Now(), httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", next, nil))
				if took = append(took, time.Since(began)); w.Code != 200 {
					b.Fatal(fmt.Sprint(w.Code, w.Body))
				}
				if link := nextPage.FindStringSubmatch(w.Body.String()); link != nil {
					next = "/" + html.UnescapeString(link[1])
				} else {
					next = path
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
		})
	}
	b.ReportMetric(float64(c.Stats().Entries), "entries")
}
