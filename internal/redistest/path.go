//go:build !windows

package redistest

import (
	"os"
	"os/exec"
	"testing"
)

// lookPath finds the program. Tests that need Redis are never silently skipped where it counts.
func lookPath(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err == nil {
		return path
	}
	if os.Getenv("TIERCACHE_SKIP_REDIS") == "1" && os.Getenv("CI") == "" {
		t.Skipf("redistest: skipped as TIERCACHE_SKIP_REDIS asks: %v", err)
	}
	t.Fatalf("redistest: %v: install Redis (`make redis` does on Debian and Ubuntu), or set TIERCACHE_SKIP_REDIS=1 to skip", err)
	return ""
}
