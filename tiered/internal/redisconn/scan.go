package redisconn

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/scan"
)

// Scan is a part of the keys of all masters that match a pattern. SCAN looks at all keys of a server, and most may not match: so a call
// is limited by the number of commands, and may find few keys, or none, before the last part.
type Scan struct {
	Keys     []string
	Next     string // the cursor of the next part; "": there is none
	Examined int    // about how many keys the servers looked at
}

const (
	maxScans     = 16    // commands of one call
	maxScanCount = 1_000 // keys that a command looks at: about a millisecond of the server's time
)

// Scan continues at the cursor, or with "" begins. It returns when about n keys were found, or after maxScans commands. Masters are
// read one after the other, in the order of their addresses; the cursor names the present one. Keys that are there all the time
// are found at least once, unless a Cluster moves them meanwhile.
func (r *requester) Scan(ctx context.Context, pattern, cursor string, n int) (s Scan, err error) {
	at, err := scan.ParseCursor(cursor)
	if err != nil {
		return s, fmt.Errorf("tiered: %w", err)
	}
	masters, err := r.masters(ctx)
	if err != nil {
		return s, err
	}
	i := slices.IndexFunc(masters, func(m master) bool { return m.addr >= at.Addr })
	if i >= 0 && masters[i].addr != at.Addr {
		at.At = 0 // the master has left
	}
	found := make(map[string]bool)
	count := min(max(n, 10), maxScanCount)
	for range maxScans {
		if i < 0 || i == len(masters) {
			return s, nil
		}
		type part struct {
			keys []string
			next uint64
		}
		got, err := Call(ctx, r.Caller, "scan", nil, func(ctx context.Context) (p part, err error) {
			p.keys, p.next, err = masters[i].client.Scan(ctx, at.At, pattern, int64(count)).Result()
			return p, err
		})
		if err != nil {
			return s, err
		}
		s.Examined += count
		for _, key := range got.keys {
			if !found[key] {
				found[key], s.Keys = true, append(s.Keys, key)
			}
		}
		if at.At = got.next; at.At == 0 {
			i++
		}
		if len(s.Keys) >= n {
			break
		}
		if len(got.keys) < count/4 {
			count = min(2*count, maxScanCount)
		}
	}
	if i < len(masters) {
		s.Next = scan.Cursor{At: at.At, Addr: masters[i].addr}.String()
	}
	return s, nil
}

// master is a server with a part of the keys.
type master struct {
	addr   string
	client redis.Cmdable
}

// masters returns all masters, in the order of their addresses. A client of one server has one, without an address.
func (r *requester) masters(ctx context.Context) ([]master, error) {
	cluster, ok := r.Client.(*redis.ClusterClient)
	if !ok {
		return []master{{client: r.Client}}, nil
	}
	return Call(ctx, r.Caller, "cluster", nil, func(ctx context.Context) (all []master, err error) {
		nodes, err := scan.Masters(ctx, cluster)
		for _, node := range nodes {
			all = append(all, master{node.Options().Addr, node})
		}
		return all, err
	})
}
