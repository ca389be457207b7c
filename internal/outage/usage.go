//go:build !windows

package outage

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
)

// usage is the number of goroutines and the memory of the Go process.
type usage struct {
	goroutines map[string]int // by the function that created them
	heap       uint64
}

func currentUsage() usage {
	runtime.GC()
	runtime.GC() // a second one, for objects with finalizers
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{currentGoroutines(), m.HeapAlloc}
}

// currentGoroutines counts goroutines by the function that created them. It leaves out the proxies', which have some for each
// connection of a pool, and the few of each Redis that wait for the next call.
func currentGoroutines() map[string]int {
	buf := make([]byte, 1<<20)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	created := make(map[string]int)
	for stack := range strings.SplitSeq(string(buf[:n]), "\n\n") {
		_, running, _ := strings.Cut(stack, "\n")
		if running, _, _ = strings.Cut(running, "\n"); strings.Contains(running, "redisconn.(*Lifecycle).work(") ||
			strings.Contains(stack, "internal/faultproxy.") {
			continue
		}
		_, by, _ := strings.Cut(stack, "created by ")
		by, _, _ = strings.Cut(by, " in goroutine")
		created[by]++
	}
	return created
}

// more lists the functions that have created more goroutines than before. A few more are ignored, since their number varies.
func more(before, after map[string]int) (list []string) {
	const varies = 2
	for _, by := range slices.Sorted(maps.Keys(after)) {
		if n := after[by] - before[by]; n > varies {
			list = append(list, fmt.Sprintf("%d of %s", n, by))
		}
	}
	return list
}

// peak is the largest number of goroutines that was sampled.
type peak struct{ goroutines int }

func (p *peak) sample() { p.goroutines = max(p.goroutines, runtime.NumGoroutine()) }
