package redistest

import (
	"flag"
	"runtime"
	"strconv"
)

// Parallel lets up to n parallel tests of the binary run at once, unless the -parallel flag says how many: tests with
// servers wait more than they compute. TestMain calls it before it runs the tests. Under the race detector, where they compute more,
// it is half of n. When fuzzing, the number is that of the workers. It is never less than the default.
func Parallel(n int) {
	flag.Parse()
	if RaceDetector {
		n /= 2
	}
	own := n > runtime.GOMAXPROCS(0)
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "test.parallel" || f.Name == "test.fuzz" {
			own = false
		}
	})
	if !own {
		return
	}
	if err := flag.Set("test.parallel", strconv.Itoa(n)); err != nil {
		panic(err)
	}
}
