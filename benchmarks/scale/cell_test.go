package scale_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// names says which names the caches of the processes have, and which of them are written.
type names string

const (
	oneName    names = "one"   // all processes have caches of one name, whose keys are written
	ownNames   names = "own"   // each process has a name of its own, and the keys of all are written in turn
	otherNames names = "other" // the same, but keys of a name are written that no process has
)

// of returns the name of a process's cache.
func (n names) of(id int) string {
	if n == oneName {
		return "users"
	}
	return "users-" + strconv.Itoa(id)
}

// key returns what a key of a process's cache is in Redis.
func (n names) key(id int, key string) string { return valuePrefix(n.of(id)) + key }

// written returns the keys that are written, at least 256.
func (n names) written(processes int) []string {
	keys := make([]string, max(256, processes))
	for i := range keys {
		name := n.of(i % processes)
		if n == otherNames {
			name = "orders"
		}
		keys[i] = valuePrefix(name) + "key-" + strconv.Itoa(i)
	}
	return keys
}

// compares reports whether the way differs from others with these names.
func (n names) compares(w way) bool {
	return n == oneName || w.name != "key-16th" && w.name != "key-all"
}

type cell struct {
	names    names
	rate     int // SETs a second
	trackers int // processes
	way      way
}

// stage is a Redis with what a cell needs.
type stage struct {
	cell
	server    *redistest.Server
	client    *redis.Client // for INFO
	keys      []string      // that are written
	asker     *asker
	listeners []*listener
	writers   *writers
}

func (c cell) open(t testing.TB) *stage {
	t.Helper()
	server := redistest.Start(t)
	s := &stage{cell: c, server: server, client: server.Client(t), keys: c.names.written(c.trackers)}
	s.asker = newAsker(t, server.Addr())
	for id := range c.trackers {
		s.listeners = append(s.listeners, s.listen(t, id, nil))
	}
	changes := make([]change, len(s.keys))
	for i, key := range s.keys {
		changes[i] = c.way.changeOf(key, value)
	}
	s.writers = newWriters(t, server.Addr(), changes, c.rate)
	s.settle(t)
	return s
}

// listen connects the process of the id.
func (s *stage) listen(t testing.TB, id int, reported func(string, time.Time)) *listener {
	t.Helper()
	var holds []string
	if s.way.holds != nil && s.names != otherNames && id < s.trackers {
		for i, key := range s.keys {
			if s.way.holds(id, s.trackers, i) {
				holds = append(holds, key)
			}
		}
	}
	if s.way.heartbeat != nil && s.way.read != nil {
		holds = append(holds, mark(id))
	}
	l := &listener{read: s.way.read, reported: reported}
	l.connect(t, s.server.Addr(), append(command("HELLO", "3"), s.way.handshake(id, s.names.of(id))...), holds)
	return l
}

// settle waits until the listeners have received all that Redis has reported so far.
func (s *stage) settle(t testing.TB) {
	t.Helper()
	for _, l := range s.listeners {
		l.ping(t)
	}
	for _, l := range s.listeners {
		l.awaitPong(t)
	}
}

// beat has each process send a heartbeat.
func (s *stage) beat(t testing.TB) {
	t.Helper()
	for id, l := range s.listeners {
		if s.way.read != nil {
			l.send(t, s.way.read(mark(id)))
		}
		if err := s.asker.ask(s.way.heartbeat(id), 1); err != nil {
			t.Fatal(err)
		}
	}
	s.settle(t)
}

// received returns the sum of what the listeners have counted.
func (s *stage) received() (messages, bytes int64) {
	for _, l := range s.listeners {
		messages += l.messages.Load()
		bytes += l.bytes.Load()
	}
	return messages, bytes
}
