package invalidation

import (
	"maps"
	"slices"
	"sync"

	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Subscriber is a cache that gets the events of its Redis. All fields must be set.
type Subscriber struct {
	KeyChanged     func(rest string)              // a key of the cache's name was changed; rest follows the name in Redis's key
	Interrupted    func()                         // changes may have been missed
	BreakerChanged func(addr string, cause error) // a server isn't asked any more, or with a nil cause is again
	Answered       func()                         // Redis answers
}

// Registry has the caches of a Redis by their names. The streams know only keys of Redis; it finds the caches that a
// key concerns by the name in it, and all of them where changes may have been missed. The lists of caches are
// replaced, not changed: so the functions of a Subscriber are called without the lock, and a cache that is removed
// meanwhile may get one more event.
type Registry struct {
	prefix string // of Redis's keys

	mu     sync.Mutex
	byName map[string]*namespace
}

// namespace has the caches of one name.
type namespace struct {
	contents any
	caches   []*Subscriber // never modified
}

// NewRegistry returns an empty registry of caches whose keys begin with the prefix.
func NewRegistry(prefix string) *Registry {
	return &Registry{prefix: prefix, byName: make(map[string]*namespace)}
}

// Add adds a cache to its name. All caches of a name must have the same contents, whose type is comparable. If those of the name
// differ, Add returns them and false.
func (r *Registry) Add(name string, contents any, s *Subscriber) (present any, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.byName[name]
	if n == nil {
		n = &namespace{contents: contents}
		r.byName[name] = n
	}
	if n.contents != contents {
		return n.contents, false
	}
	n.caches = append(slices.Clone(n.caches), s)
	return contents, true
}

// Remove removes a cache from its name.
func (r *Registry) Remove(name string, s *Subscriber) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.byName[name]
	n.caches = slices.DeleteFunc(slices.Clone(n.caches), func(other *Subscriber) bool { return other == s })
	if len(n.caches) == 0 {
		delete(r.byName, name)
	}
}

// Hooks returns the hooks of the caches' streams.
func (r *Registry) Hooks() Hooks {
	return Hooks{
		Names: r.names,
		Reported: func(names []string) {
			for _, name := range names {
				for _, s := range r.named(name) {
					s.Interrupted()
				}
			}
		},
		Changed: r.changed,
		Shared:  r.shared,
		Interrupted: func() {
			for _, s := range r.all() {
				s.Interrupted()
			}
		},
		Answered: func() {
			for _, s := range r.all() {
				s.Answered()
			}
		},
	}
}

// BreakerChanged tells all caches that a server isn't asked any more, or with a nil cause that it is again.
func (r *Registry) BreakerChanged(addr string, cause error) {
	for _, s := range r.all() {
		s.BreakerChanged(addr, cause)
	}
}

// changed tells the caches whose name is in the changed key.
func (r *Registry) changed(key string) {
	name, rest := wire.CutName(r.prefix, key)
	for _, s := range r.named(name) {
		s.KeyChanged(rest)
	}
}

// shared reports whether several caches of this process have the key.
func (r *Registry) shared(key string) bool {
	name, _ := wire.CutName(r.prefix, key)
	return len(r.named(name)) > 1
}

// named returns the caches of a name.
func (r *Registry) named(name string) []*Subscriber {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.byName[name]; n != nil {
		return n.caches
	}
	return nil
}

// names returns the names that have caches.
func (r *Registry) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.byName))
}

// all returns all caches.
func (r *Registry) all() (all []*Subscriber) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.byName {
		all = append(all, n.caches...)
	}
	return all
}
