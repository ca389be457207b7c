//go:build !windows

package redistest_test

import (
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// A test that gets another test's server can't tell.
func TestReuse(t *testing.T) {
	var first int
	var left []net.Conn
	defer func() {
		for _, conn := range left {
			_ = conn.Close()
		}
	}()
	for _, which := range []string{"first", "second", "third"} {
		t.Run(which, func(t *testing.T) {
			s := redistest.Start(t)
			if n := pid(t, s); first == 0 {
				first = n
			} else if n != first {
				t.Fatalf("process %d, want that of the first test, %d", n, first)
			}
			if n := s.Do("DBSIZE"); n != int64(0) {
				t.Errorf("there are %v keys", n)
			}
			if n := s.Calls()["set"]; n != 0 {
				t.Errorf("SET was called %d times", n)
			}
			const script = "return redis.call('SET', KEYS[1], 'v')"
			c := s.Client(t)
			if known, err := c.ScriptExists(t.Context(), redis.NewScript(script).Hash()).Result(); err != nil || known[0] {
				t.Errorf("the script is known: %v, %v", known, err)
			}
			if err := c.Eval(t.Context(), script, []string{"k"}).Err(); err != nil {
				t.Error(err)
			}
			if n := s.Number("clients", "connected_clients"); n != 2 {
				t.Errorf("%d clients, want 2", n)
			}
			conn, err := net.Dial("tcp", s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, conn)
			if err := ping(conn, 10*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a test did to its server is nothing that the next one may see.
func TestNotReused(t *testing.T) {
	for name, disturb := range map[string]func(t *testing.T, s *redistest.Server){
		"configured": func(_ *testing.T, s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", "3mb") },
		"configured twice": func(_ *testing.T, s *redistest.Server) {
			s.Do("CONFIG", "SET", "maxmemory", "3mb")
			s.Do("CONFIG", "RESETSTAT")
		},
		"with a user": func(_ *testing.T, s *redistest.Server) { s.Do("ACL", "SETUSER", "u") },
		"frozen":      func(_ *testing.T, s *redistest.Server) { s.Freeze(); s.Thaw() },
		"killed":      func(_ *testing.T, s *redistest.Server) { s.Kill() },
		"restarted":   func(_ *testing.T, s *redistest.Server) { s.Restart() },
		"shut down":   func(t *testing.T, s *redistest.Server) { _ = s.Client(t).Shutdown(t.Context()) },
	} {
		var before int
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			before = pid(t, s)
			disturb(t, s)
		})
		t.Run("after one "+name, func(t *testing.T) {
			if got := pid(t, redistest.Start(t)); got == before {
				t.Errorf("process %d again", got)
			}
		})
	}
}
