//go:build !windows

package pgtest

import (
	"bytes"
	"os"
)

// readsReady reports whether the server whose postmaster.pid it is takes connections: then the eighth line is "ready".
func readsReady(path string) (bool, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	lines := bytes.Split(b, []byte("\n"))
	return len(lines) > 7 && string(bytes.TrimSpace(lines[7])) == "ready", nil
}
