// Package scan has what all lists of the keys of a Redis share: patterns, cursors, and the order of the masters.
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

// Cursor is the place at which a list goes on: the cursor of a master's SCAN, and its address, "" for a single server. The masters are
// read one after the other, in the order of their addresses.
type Cursor struct {
	At   uint64
	Addr string
}

func (c Cursor) String() string { return strconv.FormatUint(c.At, 10) + "@" + c.Addr }

// ErrCursor says that a list was to go on at a cursor that isn't one.
var ErrCursor = errors.New("the cursor is none that a page has named")

// ParseCursor returns the cursor that String has returned, or for "" the beginning. For anything else it returns ErrCursor.
func ParseCursor(s string) (c Cursor, err error) {
	if s == "" {
		return c, nil
	}
	digits, addr, found := strings.Cut(s, "@")
	at, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || !found {
		return c, ErrCursor
	}
	return Cursor{at, addr}, nil
}

// Masters returns the masters of a Cluster, in the order of their addresses.
func Masters(ctx context.Context, c *redis.ClusterClient) (all []*redis.Client, err error) {
	var mu sync.Mutex
	err = c.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, node)
		return nil
	})
	slices.SortFunc(all, func(a, b *redis.Client) int { return cmp.Compare(a.Options().Addr, b.Options().Addr) })
	return all, err
}

// Pattern returns the pattern of the keys that begin with the prefix, whose characters stand for themselves.
func Pattern(prefix string) string {
	var b strings.Builder
	for _, c := range []byte(prefix) {
		if strings.IndexByte(`*?[]\`, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String() + "*"
}
