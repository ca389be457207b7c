package tiered

import (
	"fmt"
	"slices"
	"strings"
)

// The tags of an entry are a set: sorted, each once. Every hit looks at each of them, every frame carries them, and Redis has
// a key for each: so their number and length have bounds. Of the services that tag what they cache, Akamai has the same bound
// of 128 an object.
const (
	maxTags   = 128
	maxTagLen = 256 // bytes
)

// tagSet returns the tags of one entry as a set, in memory of its own.
func tagSet(tags []string) ([]string, error) { return boundedSet(ownTags(tags)) }

// ownTags copies tags that a caller or a loader gave: the slice and the strings may be over memory that is used again.
func ownTags(tags []string) []string {
	own := slices.Clone(tags)
	for i, tag := range own {
		own[i] = strings.Clone(tag)
	}
	return own
}

// boundedSet is asSet for the tags of one entry.
func boundedSet(tags []string) ([]string, error) {
	tags, err := asSet(tags)
	if err == nil && len(tags) > maxTags {
		return nil, fmt.Errorf("tiered: an entry has %d tags: want at most %d", len(tags), maxTags)
	}
	return tags, err
}

// asSet makes tags a set, in place.
func asSet(tags []string) ([]string, error) {
	for _, tag := range tags {
		if len(tag) == 0 || len(tag) > maxTagLen {
			return nil, fmt.Errorf("tiered: the tag %.40q has %d bytes: want 1 to %d", tag, len(tag), maxTagLen)
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags), nil
}
