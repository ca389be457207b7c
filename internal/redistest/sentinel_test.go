//go:build !windows

package redistest_test

import (
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestSentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	if err := s.Client(t).Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got := s.Master().Do("GET", "k"); got != "v" {
		t.Errorf("the master has %v", got)
	}
	if n := s.Master().Do("WAIT", 1, 5000); n != int64(1) {
		t.Errorf("%v replicas in sync", n)
	}
}

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	first := s.Master()
	s.Failover()
	second := s.Master()
	if second == first {
		t.Fatal("the master is still the first one")
	}
	if first.Do("PING") != "PONG" || second.Do("SET", "k", "v") != "OK" {
		t.Error("a server is dead, or takes no writes")
	}

	if dead := s.KillMaster(); dead != second || s.Master() != first {
		t.Fatal("the first server isn't the master again")
	}
	if first.Do("SET", "k", "v") != "OK" {
		t.Error("the new master takes no writes")
	}
	second.Restart()
	if dead := s.KillMaster(); dead != first || s.Master() != second {
		t.Fatal("the restarted server didn't follow its killed master")
	}
	if got := second.Do("GET", "k"); got != "v" {
		t.Errorf("the restarted server has %v", got)
	}
}
