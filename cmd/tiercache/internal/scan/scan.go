// Package scan reads the names of keys from all masters of a Redis.
package scan

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Scan reads the keys that begin with a prefix.
type Scan struct {
	Client redis.UniversalClient
	Prefix string
}

// count is how many keys one command looks at, which takes Redis about a millisecond.
const count = 1_000

var errCursor = errors.New("the cursor is none that a page has named")

// Each calls f with keys until it returns false, or there are no more. It begins at the cursor, or for "" with the first. It returns the
// cursor at which to go on, "" at the end. A key may come more than once; one that is there all the time comes at least once, unless a Cluster
// moves it meanwhile.
func (s Scan) Each(ctx context.Context, cursor string, f func(keys []string) bool) (next string, err error) {
	at, addr, err := parse(cursor)
	if err != nil {
		return "", err
	}
	masters, err := Masters(ctx, s.Client)
	if err != nil {
		return "", err
	}
	for _, m := range masters { // in the order of their addresses; the cursor names the present one
		switch c := cmp.Compare(m.Addr, addr); {
		case c < 0:
			continue
		case c > 0:
			at = 0
		}
		for {
			keys, following, err := m.Scan(ctx, at, pattern(s.Prefix), count).Result()
			if err != nil {
				return "", err
			}
			more := f(keys)
			at, addr = following, m.Addr
			if at == 0 {
				break
			}
			if !more {
				return strconv.FormatUint(at, 10) + "@" + addr, nil
			}
		}
	}
	return "", nil
}

func parse(cursor string) (at uint64, addr string, err error) {
	if cursor == "" {
		return 0, "", nil
	}
	digits, addr, found := strings.Cut(cursor, "@")
	at, err = strconv.ParseUint(digits, 10, 64)
	if err != nil || !found {
		return 0, "", errCursor
	}
	return at, addr, nil
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
		var mu sync.Mutex
		err = c.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, Master{node, node.Options().Addr})
			return nil
		})
	}
	if err == nil && len(all) == 0 {
		err = errors.New("the Cluster has no master")
	}
	slices.SortFunc(all, func(a, b Master) int { return cmp.Compare(a.Addr, b.Addr) })
	return all, err
}

// pattern returns the pattern of the keys that begin with the prefix, whose characters stand for themselves.
func pattern(prefix string) string {
	var b strings.Builder
	for _, c := range []byte(prefix) {
		if strings.IndexByte(`*?[]\`, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String() + "*"
}
