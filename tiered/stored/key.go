package stored

import "github.com/tiercache/tiercache/tiered/internal/wire"

// Keys are the keys in Redis of a cache.
type Keys struct{ keys wire.Keys }

// NewKeys returns the keys of the cache with the name, under RedisOptions.Prefix.
func NewKeys(prefix, cache string) Keys { return Keys{wire.NewKeys(prefix, cache)} }

// Value returns the key that has the value of a key of the cache, or the lease of the process that loads it.
func (k Keys) Value(key string) string { return k.keys.Value(key) }

// Lease returns the key that has the lease of a process that loads the value again, while Value still has the old one.
func (k Keys) Lease(key string) string { return k.keys.Lease(key) }

// Tag returns the key that has the record of a tag.
func (k Keys) Tag(tag string) string { return k.keys.Tag(tag) }

// Epoch returns the key whose value changes with each Clear and ExpireAll.
func (k Keys) Epoch() string { return k.keys.Epoch }

// Count returns the key that has the number of invalidations of tags.
func (k Keys) Count() string { return k.keys.Seq }

// Prefixes returns what begins the keys of the cache with the name, and no others: ask Redis for these to hear of the cache's changes.
func Prefixes(prefix, cache string) [2]string { return wire.Prefixes(prefix, cache) }

// Kind is what a key in Redis is for.
type Kind uint8

// The kinds of keys.
const (
	Other    Kind = iota // of another program, or of a later version
	ValueKey             // see Keys.Value
	LeaseKey             // see Keys.Lease
	TagKey               // see Keys.Tag
	EpochKey             // see Keys.Epoch
	CountKey             // see Keys.Count
)

var kinds = map[wire.Kind]Kind{wire.ValueKey: ValueKey, wire.LeaseKey: LeaseKey, wire.TagKey: TagKey, wire.EpochKey: EpochKey, wire.SeqKey: CountKey}

// String returns "value", "lease", "tag", "epoch", "count" or "other".
func (k Kind) String() string {
	if k > CountKey {
		k = Other
	}
	return [...]string{"other", "value", "lease", "tag", "epoch", "count"}[k]
}

// Key is what a key in Redis says.
type Key struct {
	Cache string // the cache's name; "": it is no cache's
	Kind  Kind
	Name  string // the key of the value or lease, or the tag
}

// ParseKey says what a key in Redis is for.
func ParseKey(prefix, key string) Key {
	cache, rest := wire.CutName(prefix, key)
	if cache == "" {
		return Key{}
	}
	kind, name := wire.ParseRest(rest)
	return Key{cache, kinds[kind], name}
}

// ChangesChannel returns the channel on which processes with RedisOptions.Invalidation PubSub publish the keys that they change.
func ChangesChannel(prefix string) string { return wire.ChangesChannel(prefix) }

// ParseMessage returns the keys in Redis that a message on the ChangesChannel names.
func ParseMessage(message string) ([]string, error) {
	_, keys, err := wire.ParseMessage(message)
	return keys, err
}
