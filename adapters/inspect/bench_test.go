package inspect_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/inspect"
	"github.com/tiercache/tiercache/internal/redistest"
)

// BenchmarkPage measures each page with a million keys in Redis, half of which have another prefix. It reports the 99th percentile.
func BenchmarkPage(b *testing.B) {
	server := redistest.Start(b)
	client := server.Client(b)
	s := newSite(b, client, inspect.Options{})
	must(b, s.users.Set(b.Context(), "42", user{42, "Ada"}, "team:7"))
	frame, err := client.Get(b.Context(), "tc:users/v1:42").Result()
	must(b, err)
	const script = `for i = tonumber(ARGV[1]), tonumber(ARGV[1]) + 9999 do redis.call('SET', KEYS[1] .. (i % 2) .. ':' .. i, ARGV[2]) end return 1`
	for i := 0; i < 1_000_000; i += 10_000 {
		must(b, client.Eval(b.Context(), script, []string{"tc:users/v1:prefix"}, i, frame).Err())
	}
	for name, path := range map[string]string{
		"overview": address(""), "cache": address("cache"), "key": address("key", "key", "42"), "tag": address("tag", "tag", "team:7"), "hot": address("hot"),
		"keys/all": address("keys"), "keys/half": address("keys", "prefix", "prefix1:"), "keys/rare": address("keys", "prefix", "prefix1:99999"), "events": address("events"),
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began, w := time.Now(), httptest.NewRecorder()
				s.handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				if took = append(took, time.Since(began)); w.Code != 200 {
					b.Fatal(fmt.Sprint(w.Code, w.Body))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
		})
	}
}
