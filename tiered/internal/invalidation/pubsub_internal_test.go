package invalidation

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestPubSub(t *testing.T) {
	t.Parallel()
	o := quick()
	o.Invalidation = PubSub
	t.Run("single", func(t *testing.T) {
		server := redistest.Start(t, "--rename-command", "HELLO", "", "--rename-command", "CLIENT", "") // RESP2
		bulletinsArrive(t, func() redis.UniversalClient { return server.Client(t) }, o)
	})
	t.Run("cluster", func(t *testing.T) {
		c := redistest.StartCluster(t)
		bulletinsArrive(t, func() redis.UniversalClient { return c.Client(t) }, o)
	})
}

func bulletinsArrive(t *testing.T, client func() redis.UniversalClient, o settings) {
	t.Helper()
	a, b := listen(t, client(), o), listen(t, client(), o)
	for _, l := range []listening{a, b} {
		if p := l.proven(t); l.Nodes.Any().Validity() != p {
			t.Error("another stream")
		}
	}
	var keys []string
	for i := range 3000 {
		keys = append(keys, fmt.Sprintf("tc:c:%d%s", i, strings.Repeat("x", i%100)))
	}
	if err := a.Publish(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	if err := a.Publish(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := a.Client.Publish(t.Context(), "tc!changes", "garbage").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the last", func() bool { return b.ear.has(keys[len(keys)-1][len("tc:c"):]) })
	b.ear.mu.Lock()
	if len(b.ear.keys) != len(keys) {
		t.Errorf("%d of %d keys", len(b.ear.keys), len(keys))
	}
	b.ear.mu.Unlock()
	p := a.proven(t)
	n := p.Until()
	eventually(t, "a canary that was sent later", func() bool { return p.Until() > n })
	if len(a.ear.keys) != 0 {
		t.Errorf("heard %d of its own", len(a.ear.keys))
	}
	eventually(t, "the log", func() bool {
		return a.log.count("isn't from tiercache") == 1 && b.log.count("isn't from tiercache") == 1
	})

	// A second cache of the name in one process hears of the first.
	a.ear.others.Store(true)
	if err := a.Publish(t.Context(), []string{"tc:c:own"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other cache's change", func() bool { return a.ear.has(":own") })
}

func TestPublishFails(t *testing.T) {
	server := redistest.Start(t)
	o := quick()
	o.Invalidation = PubSub
	l := listen(t, server.Client(t), o)
	before := l.proven(t)
	server.Kill()
	if err := l.Publish(t.Context(), []string{"tc:c:k"}); err == nil || !strings.HasPrefix(err.Error(), "tiered: redis: publish: ") {
		t.Errorf("got %v", err)
	}
	eventually(t, "the old proof ends", func() bool { return before.Ended() })
	eventually(t, "silence", l.only.Unreachable.Load)
	server.Restart()
	l.proven(t)
}
