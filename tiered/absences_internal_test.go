package tiered

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// Absences are expected where nearly all reads find nothing, and never where half of them do.
func TestAbsences(t *testing.T) {
	t.Parallel()
	nothing, something := &redisconn.Reply{}, &redisconn.Reply{Value: "a value"}
	failed := &redisconn.Reply{Err: redis.ErrClosed}
	for _, of := range []struct {
		misses, hits int // by turns
		want         bool
	}{{1, 0, true}, {10, 1, true}, {5, 1, true}, {3, 1, false}, {1, 1, false}, {6, 6, false}, {0, 1, false}} {
		var a absences
		expected := 0
		for range 100 {
			for range of.misses {
				a.note(false, nothing)
			}
			if a.expected() {
				expected++
			}
			for range of.hits {
				a.note(true, something)
			}
		}
		if want := map[bool]int{true: 90}[of.want]; expected < want || !of.want && expected > 0 {
			t.Errorf("%d misses, %d hits: %d of 100 times", of.misses, of.hits, expected)
		}
	}
	var a absences
	for range 100 {
		a.note(false, something) // a lease, say
		a.note(false, failed)
	}
	if a.expected() {
		t.Error("what wasn't read, or isn't a value, counts as an absence")
	}
}
