package wire

import "strings"

// Keys are the shapes of a cache's keys in Redis. With the prefix "tc:", the cache "users" has
//
//	tc:users:42            the value of the key 42, or the lease of its load
//	tc:users!lease:42      the lease of a load that replaces a value which is still served
//	tc:users!tag:admins    the state of the tag admins
//	tc:users!era{users}    the epoch
//	tc:users!count{users}  the sequence number of invalidations, in one slot with the epoch
//
// A name has no ':', '!' or '{', so that keys of different caches differ.
type Keys struct {
	Values string // what begins the keys of values
	leases string
	tags   string
	Epoch  string
	Seq    string
}

// Prefixes returns what begins the keys of the cache of the name: all keys that CutName finds the name in. No prefix of a name
// begins with one of another name.
func Prefixes(prefix, name string) [2]string {
	return [...]string{prefix + name + ":", prefix + name + "!"}
}

const (
	leaseKind = "lease:"
	tagKind   = "tag:"
	epochKind = "era"
	seqKind   = "count"
)

// NewKeys returns the shapes for the cache of the name.
func NewKeys(prefix, name string) Keys {
	begin := Prefixes(prefix, name)
	values, other := begin[0], begin[1]
	return Keys{
		Values: values,
		leases: other + leaseKind,
		tags:   other + tagKind,
		Epoch:  other + epochKind + "{" + name + "}",
		Seq:    other + seqKind + "{" + name + "}",
	}
}

// Value returns the key of a value.
func (k *Keys) Value(key string) string { return k.Values + key }

// Lease returns the key of a secondary lease, which is held while the key itself has a value.
func (k *Keys) Lease(key string) string { return k.leases + key }

// Tag returns the key of a tag's state.
func (k *Keys) Tag(tag string) string { return k.tags + tag }

// Kind is what a key of a cache is for.
type Kind uint8

// The kinds of keys. Of an OtherKey nothing is known: a later version may have it.
const (
	OtherKey Kind = iota
	ValueKey
	LeaseKey
	TagKey
	EpochKey
	SeqKey
)

// CutName returns the cache's name in a key of Redis, and what follows it. The name is "" if it is no cache's key.
func CutName(prefix, key string) (name, rest string) {
	rest, ok := strings.CutPrefix(key, prefix)
	end := strings.IndexAny(rest, ":!")
	if !ok || end < 0 {
		return "", ""
	}
	return rest[:end], rest[end:]
}

// ParseRest returns what a key is for, and which value, lease or tag it is of, from what follows the cache's name in it.
func ParseRest(rest string) (Kind, string) {
	if key, ok := strings.CutPrefix(rest, ":"); ok {
		return ValueKey, key
	}
	rest = strings.TrimPrefix(rest, "!")
	if key, ok := strings.CutPrefix(rest, leaseKind); ok {
		return LeaseKey, key
	}
	if tag, ok := strings.CutPrefix(rest, tagKind); ok {
		return TagKey, tag
	}
	switch {
	case strings.HasPrefix(rest, epochKind):
		return EpochKey, ""
	case strings.HasPrefix(rest, seqKind):
		return SeqKey, ""
	}
	return OtherKey, ""
}

// ControlPrefix begins the keys and channels that aren't a cache's: no key of a cache begins with it.
func ControlPrefix(prefix string) string { return strings.TrimSuffix(prefix, ":") + "!" }

// ProbeKey is a key that is never there, by which a server is asked whether it answers and what it allows.
func ProbeKey(prefix, id string) string { return prefix + "!" + id }

// ChangesChannel is the channel on which processes publish the keys that they change, where Redis doesn't report them.
func ChangesChannel(prefix string) string { return ControlPrefix(prefix) + "changes" }
