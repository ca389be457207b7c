//go:build !windows

package redistest_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	client := c.Client(t)
	for i := range 100 {
		if err := client.Set(t.Context(), fmt.Sprint("k", i), i, 0).Err(); err != nil {
			t.Fatal(err) // all slots must be served
		}
	}
	masters := c.Masters()
	if len(c.Addrs()) != 6 || len(masters) != 3 {
		t.Fatalf("nodes %v, %d masters", c.Addrs(), len(masters))
	}
	for _, m := range masters {
		if n := m.Do("DBSIZE"); n == int64(0) {
			t.Errorf("%s has no key", m.Addr())
		}
		if n := m.Do("WAIT", 1, 5000); n != int64(1) {
			t.Errorf("%s has %v replicas in sync", m.Addr(), n)
		}
	}
}

func TestClusterFailover(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	before := c.Masters()
	c.Failover()
	after := c.Masters()
	if n := common(before, after); n != 2 {
		t.Errorf("%d masters kept their place, want 2", n)
	}
	for _, m := range before {
		if m.Do("PING") != "PONG" {
			t.Errorf("%s is dead", m.Addr())
		}
	}

	dead := c.KillMaster()
	if !slices.Contains(after, dead) || slices.Contains(c.Masters(), dead) {
		t.Fatal("the killed server wasn't a master, or still is one")
	}
	client := c.Client(t)
	for i := range 100 {
		if err := client.Set(t.Context(), fmt.Sprint("k", i), i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	dead.Restart()
	if n := common(after, c.Masters()); n != 2 {
		t.Errorf("%d masters kept their place, want 2", n)
	}
	c.KillMaster() // the restarted server's new master: they are the first with a replica
	if !slices.Contains(c.Masters(), dead) {
		t.Error("the restarted server didn't follow its killed master")
	}
}

func common(a, b []*redistest.Server) (n int) {
	for _, s := range a {
		if slices.Contains(b, s) {
			n++
		}
	}
	return n
}

// If a start fails half-way, the servers that were started end with the test.
func TestStartFailsHalfWay(t *testing.T) {
	const variable = "TIERCACHE_REDIS_SERVER"
	redis, err := exec.LookPath(cmp.Or(os.Getenv(variable), "redis-server"))
	if err != nil {
		redistest.Start(t) // fails or skips the test
	}
	for name, start := range map[string]func(testing.TB){
		"cluster":  func(tb testing.TB) { redistest.StartCluster(tb) },
		"sentinel": func(tb testing.TB) { redistest.StartSentinel(tb) },
	} {
		bin, pids := t.TempDir(), t.TempDir()
		script := fmt.Sprintf("#!/bin/sh\n[ $(ls %[1]s | wc -l) -lt 3 ] || { echo enough; exit 1; }\n: >%[1]s/$$\nexec %[2]s \"$@\"\n", pids, redis)
		if err := os.WriteFile(filepath.Join(bin, "redis-server"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Setenv(variable, filepath.Join(bin, "redis-server"))
			if r := record(t, start); !strings.Contains(r.fatal, "enough") {
				t.Errorf("failed with %q", r.fatal)
			}
		})
		started, err := os.ReadDir(pids)
		if err != nil || len(started) != 3 {
			t.Errorf("%s: %d servers, %v", name, len(started), err)
		}
		for _, entry := range started {
			if pid, err := strconv.Atoi(entry.Name()); err != nil || alive(pid) {
				t.Errorf("%s: process %d outlived its test, %v", name, pid, err)
			}
		}
	}
}
