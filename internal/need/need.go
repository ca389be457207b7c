// Package need skips tests whose programs aren't installed. In CI, where the Makefile installs them, they fail.
package need

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Program skips the test, or lets it fail in CI, unless the program of one of the names is installed. It returns its path.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing := fmt.Sprintf("%q is missing: the Makefile installs its Debian package, and has its name", names[0])
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}
