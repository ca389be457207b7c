package tiered_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/tiercache/tiercache/tiered"
)

// Keys with more callers are loaded first, whenever they came. A batch comes with the key of it that has the most.
func TestHotKeysFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := overloaded(t, tiered.Policy{})
		var order []string
		load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			order = append(order, e.Key) // one at a time
			return e.Key, nil
		}
		var all []*call
		for _, key := range []string{"cold", "warm", "cold too", "hot", "warm", "hot", "hot", "hot"} {
			all = append(all, begin(t, c, key, load))
			synctest.Wait()
		}
		all = append(all, begun(func() (string, error) {
			_, err := tiered.GetOrLoadMany(t.Context(), c, []string{"x", "hottest"}, self, func(context.Context, []string) (map[string]string, error) {
				order = append(order, "batch")
				return map[string]string{"hottest": "hottest"}, nil
			})
			return "", err
		}))
		synctest.Wait()
		for range 7 {
			all = append(all, begin(t, c, "hottest", load))
			synctest.Wait()
		}
		end()
		for _, cl := range all {
			if _, err := cl.wait(t); err != nil {
				t.Error(err)
			}
		}
		if want := []string{"batch", "hot", "warm", "cold", "cold too"}; !slices.Equal(order, want) {
			t.Errorf("%q, want %q", order, want)
		}
	})
}
