package invalidation_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/tiercache/tiercache/tiered/internal/invalidation"
)

// log records the events that a subscriber gets.
type log []string

func (l *log) subscriber(name string) *invalidation.Subscriber {
	add := func(event string) { *l = append(*l, name+" "+event) }
	return &invalidation.Subscriber{
		KeyChanged:     func(rest string) { add("changed " + rest) },
		Interrupted:    func() { add("interrupted") },
		BreakerChanged: func(addr string, cause error) { add("breaker " + addr) },
		Answered:       func() { add("answered") },
	}
}

func (l *log) expect(t *testing.T, events ...string) {
	t.Helper()
	slices.Sort(*l)
	slices.Sort(events)
	if !slices.Equal(*l, events) {
		t.Errorf("%q, want %q", *l, events)
	}
	*l = nil
}

func TestRegistry(t *testing.T) {
	r := invalidation.NewRegistry("tc:")
	h := r.Hooks()
	var l log
	a, again, b := l.subscriber("a"), l.subscriber("again"), l.subscriber("b")
	for _, s := range []struct {
		name string
		*invalidation.Subscriber
	}{{"users", a}, {"users", again}, {"user", b}} {
		if present, ok := r.Add(s.name, "json", s.Subscriber); !ok {
			t.Fatalf("%s isn't added beside %v", s.name, present)
		}
	}
	if present, ok := r.Add("users", "msgpack", l.subscriber("other")); ok || present != "json" {
		t.Errorf("a cache with other contents is added beside %v", present)
	}
	h.Changed("tc:users:7")
	l.expect(t, "a changed :7", "again changed :7")
	h.Changed("tc:user!tag:x")
	h.Changed("users:7")
	h.Changed("tc:nobody:7")
	l.expect(t, "b changed !tag:x")
	h.Interrupted()
	l.expect(t, "a interrupted", "again interrupted", "b interrupted")
	h.Reported([]string{"users", "nobody"})
	l.expect(t, "a interrupted", "again interrupted")
	r.BreakerChanged("127.0.0.1:1", errors.New("down"))
	l.expect(t, "a breaker 127.0.0.1:1", "again breaker 127.0.0.1:1", "b breaker 127.0.0.1:1")
	if !h.Shared("tc:users:7") || h.Shared("tc:user:7") {
		t.Error("a key of two caches isn't shared, or one of one cache is")
	}
	r.Remove("users", a)
	if h.Shared("tc:users:7") {
		t.Error("a key is shared with a removed cache")
	}
	h.Answered()
	l.expect(t, "again answered", "b answered")
	if names := h.Names(); len(names) != 2 || !slices.Contains(names, "users") || !slices.Contains(names, "user") {
		t.Errorf("the names are %q", names)
	}
	r.Remove("users", again)
	if names := h.Names(); !slices.Equal(names, []string{"user"}) {
		t.Errorf("the name of a cache that was closed: %q", names)
	}
	if _, ok := r.Add("users", "msgpack", again); !ok {
		t.Error("a name without caches keeps its contents")
	}
}
