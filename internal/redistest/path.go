//go:build !windows

package redistest

import (
	"os"
	"os/exec"
	"testing"
)

// lookPath returns the path of redis-server. Without one it fails the test, or skips it if the user asked for that; in CI it
// always fails it.
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
