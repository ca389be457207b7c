//go:build !windows

package chaos_test

import (
	"context"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/chaos"
)

// A worker is this binary, started once more.
func TestMain(m *testing.M) {
	if chaos.IsWorker() {
		os.Exit(chaos.Work())
	}
	redis.SetLogger(silent{}) // the servers are killed on purpose
	goleak.VerifyTestMain(m)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
