package invalidation

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestPubSub(t *testing.T) {
	t.Parallel()
	o := quick()
	o.Invalidation = PubSub
	t.Run("single", func(t *testing.T) {
		server := redistest.Start(t, "--rename-command", "HELLO", "", "--rename-command", "CLIENT", "") // RESP2
		testMessagesArrive(t, func() redis.UniversalClient { return server.Client(t) }, o)
	})
	t.Run("cluster", func(t *testing.T) {
		c := redistest.StartCluster(t)
		testMessagesArrive(t, func() redis.UniversalClient { return c.Client(t) }, o)
	})
}

func testMessagesArrive(t *testing.T, client func() redis.UniversalClient, o settings) {
	t.Helper()
	a, b := openFixture(t, client(), o), openFixture(t, client(), o)
	for _, f := range []fixture{a, b} {
		if v := f.waitValid(t); f.Nodes.AnyFeed().Validity() != v {
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
	observe.Until(t, "the last", func() bool { return b.changes.has(keys[len(keys)-1][len("tc:c"):]) })
	b.changes.mu.Lock()
	if len(b.changes.keys) != len(keys) {
		t.Errorf("%d of %d keys", len(b.changes.keys), len(keys))
	}
	b.changes.mu.Unlock()
	v := a.waitValid(t)
	n := v.Until()
	observe.Until(t, "a canary that was sent later", func() bool { return v.Until() > n })
	if len(a.changes.keys) != 0 {
		t.Errorf("got %d changes of its own", len(a.changes.keys))
	}
	observe.Until(t, "the log", func() bool {
		return a.log.Count("isn't from tiercache") == 1 && b.log.Count("isn't from tiercache") == 1
	})

	// A second cache of the name in one process gets the changes of the first.
	a.changes.others.Store(true)
	if err := a.Publish(t.Context(), []string{"tc:c:own"}); err != nil {
		t.Fatal(err)
	}
	observe.Until(t, "the other cache's change", func() bool { return a.changes.has(":own") })
}

func TestPublishFails(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := quick()
	o.Invalidation = PubSub
	f := openFixture(t, server.Client(t), o)
	before := f.waitValid(t)
	server.Kill()
	if err := f.Publish(t.Context(), []string{"tc:c:k"}); err == nil || !strings.HasPrefix(err.Error(), "tiered: redis: publish: ") {
		t.Errorf("got %v", err)
	}
	observe.Until(t, "the old validity ends", func() bool { return before.Ended() })
	observe.Until(t, "silence", f.only.Unreachable.Load)
	server.Restart()
	f.waitValid(t)
}
