package redisconn

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

func TestLogThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l LogThrottle
		begins := func(want bool, suppressed int) {
			t.Helper()
			if log, n := l.Begin(mono.Now()); log != want || n != suppressed {
				t.Errorf("begins: %v, %d suppressed; want %v, %d", log, n, want, suppressed)
			}
		}
		ends := func(want bool) {
			t.Helper()
			if log := l.End(); log != want {
				t.Errorf("ends: %v", log)
			}
		}
		begins(true, 0)
		begins(false, 0) // it was logged
		ends(true)
		ends(false)
		for range 3 {
			time.Sleep(time.Second)
			begins(false, 0)
			begins(false, 0)
			ends(false)
		}
		time.Sleep(logEvery - 4*time.Second)
		begins(false, 0)
		time.Sleep(time.Second) // it outlasts the time
		begins(true, 3)
		time.Sleep(time.Hour)
		begins(false, 0)
		ends(true)
		begins(true, 0)
		ends(true)
	})
}
