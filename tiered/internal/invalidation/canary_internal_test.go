package invalidation

import (
	"strconv"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// The database may have been swapped between what was read on a new connection and its first canary, which has none to be compared with:
// it counts as one that found another database.
func TestFirstCanaryProvesNothingOfBefore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	f := openFixture(t, client, settings{Heartbeat: time.Hour, Timeout: 5 * time.Second}) // the canaries are there for so long
	f.waitValid(t)
	canaries := &tracking{group: &f.group, client: client} // those of the next connection
	begin := mono.Now()
	for n, want := range []string{lostName, "", ""} {
		at := begin.Add(time.Duration(n))
		name := want + strconv.FormatInt(int64(at), 10)
		if err := canaries.sendCanary(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		keys, _ := server.Do("KEYS", f.canaryPrefix()+"*:"+name).([]any)
		if len(keys) != 1 {
			t.Errorf("canary %d: want %q, found %v", n+1, name, server.Do("KEYS", f.canaryPrefix()+"*"))
		}
	}
}
