//go:build !windows

package redistest

import (
	"cmp"
	"os"
	"os/exec"
	"testing"
)

// pathVariable is the environment variable with the path of the server, for tests with another version of Redis or with Valkey.
const pathVariable = "TIERCACHE_REDIS_SERVER"

// lookPath returns the path of redis-server. Without one it fails the test, or skips it if the user asked for that; in CI it
// always fails it.
func lookPath(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv(pathVariable), "redis-server"))
	if err == nil {
		return path
	}
	if os.Getenv("TIERCACHE_SKIP_REDIS") == "1" && os.Getenv("CI") == "" {
		t.Skipf("redistest: skipped as TIERCACHE_SKIP_REDIS asks: %v", err)
	}
	t.Fatalf("redistest: %v: install Redis (`make redis` does on Debian and Ubuntu), or set TIERCACHE_SKIP_REDIS=1 to skip", err)
	return ""
}
