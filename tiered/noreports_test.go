package tiered_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Something before Redis answers CLIENT TRACKING with OK, and nothing is reported. No value is taken for current then.
func TestTrackingThatDoesNothing(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]tiered.Invalidation{"tracking": tiered.Tracking, "keys": tiered.TrackingKeys} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := faultproxy.Start(t, s.Addr())
			p.Replace(func(words []string) []string {
				if len(words) > 1 && slices.EqualFunc(words[:2], []string{"client", "tracking"}, strings.EqualFold) {
					return []string{"CLIENT", "SETNAME", "untracked"} // which is answered with OK, too
				}
				return nil
			})
			client := redis.NewClient(&redis.Options{Addr: p.Addr()})
			t.Cleanup(func() { _ = client.Close() })
			var log lines
			r := openedRedis(t, client, brisk(mode, &log))
			c := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
			for began := time.Now(); time.Since(began) < 10*time.Second && log.count("no invalidations") == 0; {
				for _, v := range []string{"old", "new"} {
					set(t, c, "k", v)
					s.Do("DEL", "tc:test:k")
					if got, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
						t.Fatalf("another program's change isn't seen: %q, %v", got, err)
					}
				}
				if err := r.Status(); err == nil {
					t.Fatal("the status tells of nothing")
				}
			}
			if log.count("no invalidations") == 0 {
				t.Error("the log tells of nothing")
			}
		})
	}
}
