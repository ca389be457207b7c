package wire

import (
	"fmt"
	"slices"
	"strings"
)

// The tags of an entry are a set: sorted, each once. Every hit looks at each of them, every frame carries them, and Redis
// has a key for each, so their number and length are bounded. Akamai, which also tags what it caches, has the same bound of
// 128 an object.
const (
	MaxTags   = 128
	MaxTagLen = 256 // bytes
)

// CloneTags copies tags that a caller or a loader gave: the slice and the strings may be over memory that is used again.
func CloneTags(tags []string) []string {
	own := slices.Clone(tags)
	for i, tag := range own {
		own[i] = strings.Clone(tag)
	}
	return own
}

// TagSet makes the tags of one entry a set, in place. It returns an error if one is too long or empty, or if there are too
// many.
func TagSet(tags []string) ([]string, error) {
	tags, err := SortTags(tags)
	if err == nil && len(tags) > MaxTags {
		return nil, fmt.Errorf("tiered: an entry has %d tags: want at most %d", len(tags), MaxTags)
	}
	return tags, err
}

// SortTags makes any number of tags a set, in place. It returns an error if one is too long or empty.
func SortTags(tags []string) ([]string, error) {
	for _, tag := range tags {
		if len(tag) == 0 || len(tag) > MaxTagLen {
			return nil, fmt.Errorf("tiered: the tag %.40q has %d bytes: want 1 to %d", tag, len(tag), MaxTagLen)
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags), nil
}
