//go:build !windows

package tiercache_test

import (
	"fmt"
	"testing"

	"github.com/tiercache/tiercache/internal/outage"
)

// BenchmarkColdStart starts a process with an empty local tier under 10,000 calls a second, some keys far more often than others
// (Zipf), for four seconds. Redis has all values, or was flushed. The source serves 16 calls at a time, in 10 milliseconds each;
// with more, each takes as much longer as the square of their number. answered/s is how many calls are answered within half a
// second.
func BenchmarkColdStart(b *testing.B) {
	for _, redis := range []string{"warm", "flushed"} {
		for _, maxLoads := range []int{-1, 16} {
			b.Run(fmt.Sprintf("redis=%s/impl=MaxLoads:%d", redis, maxLoads), func(b *testing.B) {
				var rate float64
				for i := uint64(0); b.Loop(); i++ {
					rate += outage.RunColdStart(b, redis == "flushed", maxLoads, outage.Options{Seed: i}).Curve.Rate()
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(rate/float64(b.N), "answered/s")
			})
		}
	}
}
