//go:build !windows

package outage

import (
	"fmt"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// Value is a value of the source, as the caches store it.
type Value struct {
	Key     string
	Version uint64
	Loaded  time.Duration // when its load ended, or its Set began
}

// cacheConfig configures a cache that every process has.
type cacheConfig struct {
	name   string
	strict bool
	policy tiered.Policy
}

const (
	loadTimeout = time.Second
	softTimeout = 50 * time.Millisecond
	ages        = time.Hour // longer than any run
)

// longLived configures the cache of the fixed and the changing keys.
var longLived = &cacheConfig{name: "long-lived", policy: tiered.Policy{TTL: ages, StaleIfError: ages}}

// cacheConfigs has the caches of a process. Their values expire during a fault, except those of the long-lived one.
var cacheConfigs = []*cacheConfig{
	{name: "plain", policy: tiered.Policy{TTL: 500 * time.Millisecond}},
	{name: "stale-if-error", policy: tiered.Policy{TTL: 400 * time.Millisecond, StaleIfError: ages}},
	{name: "soft-timeout", policy: tiered.Policy{TTL: 400 * time.Millisecond, StaleIfError: ages, SoftTimeout: softTimeout}},
	{name: "revalidate", policy: tiered.Policy{TTL: 400 * time.Millisecond, StaleWhileRevalidate: ages, SoftTimeout: softTimeout}},
	{name: "refresh", policy: tiered.Policy{TTL: 800 * time.Millisecond, RefreshAfter: 300 * time.Millisecond, StaleIfError: ages,
		SoftTimeout: softTimeout, StoreBehind: true}},
	{name: "strict", strict: true, policy: tiered.Policy{TTL: 400 * time.Millisecond, StaleIfError: ages, SoftTimeout: softTimeout}},
	longLived,
}

// window returns how long after its TTL a value may be served.
func (m *cacheConfig) window() time.Duration {
	return max(m.policy.StaleIfError, m.policy.StaleWhileRevalidate)
}

// options returns the options of the cache.
func (m *cacheConfig) options(r *tiered.Redis) tiered.Options[Value] {
	p := m.policy
	p.LoadTimeout, p.RetryAfter = loadTimeout, 100*time.Millisecond
	return tiered.Options[Value]{Name: m.name, Redis: r, Policy: p, MaxCost: room}
}

// room is the capacity of a cache: far more than it has keys.
const room = 5000

// The number of keys of each kind. Each process has its own groups and keys of groups.
const (
	ownKeys    = 8
	sharedKeys = 6
	fixedKeys  = 10
	groups     = 3
	groupKeys  = 3
)

func ownKey(process, i int) string { return fmt.Sprintf("own-%d-%d", process, i) }

func sharedKey(i int) string { return fmt.Sprintf("shared-%d", i) }

func fixedKey(i int) string { return fmt.Sprintf("fixed-%d", i) }

// group is a tag, and the changing keys that have it.
type group struct {
	tag  string
	keys []string
}

// groupOf returns the ith group that a process changes.
func groupOf(process, i int) group {
	g := group{tag: fmt.Sprintf("tag-%d-%d", process, i)}
	for k := range groupKeys {
		g.keys = append(g.keys, fmt.Sprintf("changing-%d-%d-%d", process, i, k))
	}
	return g
}

// tagOf has the tag of each changing key.
var tagOf = func() map[string]string {
	tags := make(map[string]string)
	for p := range processes {
		for i := range groups {
			g := groupOf(p, i)
			for _, key := range g.keys {
				tags[key] = g.tag
			}
		}
	}
	return tags
}()

// keysOf returns all keys of a cache that a process reads, its own first.
func keysOf(m *cacheConfig, process int) (keys []string) {
	if m == longLived {
		for i := range fixedKeys {
			keys = append(keys, fixedKey(i))
		}
		for p := range processes {
			for i := range groups {
				keys = append(keys, groupOf(p, i).keys...)
			}
		}
		return keys
	}
	for i := range ownKeys {
		keys = append(keys, ownKey(process, i))
	}
	for i := range sharedKeys {
		keys = append(keys, sharedKey(i))
	}
	return keys
}
