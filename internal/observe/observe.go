// Package observe has what tests wait with: [Until] for a state that another goroutine or process brings about, and a [Log] that
// they read while it is written.
package observe

import (
	"bytes"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is long enough for a busy machine: it only passes when a test fails.
const patience = 30 * time.Second

// Until returns when holds returns true, which it is asked every millisecond. After 30 s the test fails with what and the stacks
// of all goroutines. It isn't for bubbles of testing/synctest, where Wait does better.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%s: not within %v\n%s", what, patience, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// Log is an io.Writer whose text can be read at any time. The zero Log is empty.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends to the log.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// String returns what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Count returns how often the text is in the log.
func (l *Log) Count(text string) int { return strings.Count(l.String(), text) }
