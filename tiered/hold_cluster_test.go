package tiered_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Keys and tags of a hold are on all masters of a Cluster.
func TestHoldInACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, cluster.Client(t), tiered.RedisOptions{Timeout: 5 * time.Second}), Policy: longLived})
	client := cluster.Client(t)
	var keys, tags, held []string
	for i := range 30 {
		keys, tags = append(keys, fmt.Sprint("k", i)), append(tags, fmt.Sprint("t", i))
		held = append(held, "tc:test:"+keys[i], "tc:test!tag:"+tags[i])
	}
	holders := func(want int64) {
		t.Helper()
		for _, key := range held {
			if n, err := client.ZCard(t.Context(), key).Result(); n != want || err != nil {
				t.Errorf("%s: %d holders, %v; want %d", key, n, err, want)
			}
		}
	}
	first, second := hold(t, c, keys, tags), hold(t, c, keys, tags)
	holders(2)
	if err := first.Release(t.Context()); err != nil {
		t.Error(err)
	}
	holders(1)
	if err := second.Invalidate(t.Context()); err != nil {
		t.Error(err)
	}
	holders(0)
	for i, key := range keys {
		gets(t, c, key, tagged("v", tags[i]), "v")
		if v, err := c.Get(t.Context(), key); v != "v" || err != nil {
			t.Errorf("%s: %q, %v", key, v, err)
		}
	}
}
