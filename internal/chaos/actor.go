//go:build !windows

package chaos

import (
	"fmt"
	"math/rand/v2"
)

// actor is one of the goroutines that call a worker's caches.
type actor struct {
	*worker
	rng  *rand.Rand
	zipf *rand.Zipf
	keys reusedMemory
	tags reusedMemory
}

func (a *actor) key() string { return keyName(int(a.zipf.Uint64())) }

// someKeys returns up to n different keys.
func (a *actor) someKeys(n int) []string {
	seen := make(map[string]bool)
	var keys []string
	for range 1 + a.rng.IntN(n) {
		if key := a.key(); !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

func (a *actor) someTags(n int) (tags []string) {
	for range a.rng.IntN(n + 1) {
		tags = append(tags, fmt.Sprintf("tag-%02d", a.rng.IntN(a.Options.Tags)))
	}
	return tags
}
