// Package keylist reads the names of keys from all masters of a Redis.
package keylist

import (
	"cmp"
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/scan"
)

// List reads the keys that begin with a prefix.
type List struct {
	Client redis.UniversalClient
	Prefix string
}

// count is how many keys one command looks at, which takes Redis about a millisecond.
const count = 1_000

// Each calls f with keys until it returns false, or there are no more. It begins at the cursor, or for "" with the first. It returns the
// cursor at which to go on, "" at the end. A key may come more than once; one that is there all the time comes at least once,
// unless a Cluster moves it meanwhile.
func (l List) Each(ctx context.Context, cursor string, f func(keys []string) bool) (next string, err error) {
	at, err := scan.ParseCursor(cursor)
	if err != nil {
		return "", err
	}
	masters, err := Masters(ctx, l.Client)
	if err != nil {
		return "", err
	}
	for _, m := range masters { // in the order of their addresses; the cursor names the present one
		switch c := cmp.Compare(m.Addr, at.Addr); {
		case c < 0:
			continue
		case c > 0:
			at.At = 0
		}
		for {
			keys, following, err := m.Scan(ctx, at.At, scan.Pattern(l.Prefix), count).Result()
			if err != nil {
				return "", err
			}
			more := f(keys)
			at = scan.Cursor{At: following, Addr: m.Addr}
			if at.At == 0 {
				break
			}
			if !more {
				return at.String(), nil
			}
		}
	}
	return "", nil
}

// Master is a server with a part of the keys.
type Master struct {
	*redis.Client
	Addr string // "" if it is the only one
}

// Masters returns all masters, in the order of their addresses.
func Masters(ctx context.Context, client redis.UniversalClient) (all []Master, err error) {
	switch c := client.(type) {
	case *redis.Client:
		return []Master{{c, ""}}, nil
	case *redis.ClusterClient:
		var nodes []*redis.Client
		nodes, err = scan.Masters(ctx, c)
		for _, node := range nodes {
			all = append(all, Master{node, node.Options().Addr})
		}
	}
	if err == nil && len(all) == 0 {
		err = errors.New("the Cluster has no master")
	}
	return all, err
}
