package history_test

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

const clockChild = "TIERCACHE_HISTORY_CLOCK"

// A child process's clock reads no less than ours before it was started, and no more than ours after it ended.
func TestClock(t *testing.T) {
	if os.Getenv(clockChild) != "" {
		os.Stdout.WriteString(strconv.FormatInt(history.Clock(), 10))
		os.Exit(0)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestClock$")
	cmd.Env = append(os.Environ(), clockChild+"=1")
	start, before := time.Now(), history.Clock()
	out, err := cmd.Output()
	after, took := history.Clock(), time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	other, err := strconv.ParseInt(string(out), 10, 64)
	if err != nil || before <= 0 || other < before || other > after {
		t.Errorf("ours %d and %d, between them another's %q, %v", before, after, out, err)
	}
	if d := time.Duration(after - before); d > took {
		t.Errorf("%v by the clock in %v", d, took)
	}
}

func BenchmarkClock(b *testing.B) {
	for b.Loop() {
		history.Clock()
	}
}
