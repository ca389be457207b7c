//go:build !windows

package redistest_test

import (
	"fmt"
	"runtime"
	"testing"
)

// recorder is a testing.TB that records a failure or a skip, without passing it on to the real test.
type recorder struct {
	testing.TB
	fatal   string
	skipped bool
}

func record(t *testing.T, test func(testing.TB)) *recorder {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
	return r
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(string, ...any) {
	r.skipped = true
	runtime.Goexit()
}
