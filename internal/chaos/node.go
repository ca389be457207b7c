//go:build !windows

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// node is a server by its address. Its methods use connections of their own, as redis-cli would.
type node string

func (n node) do(args ...any) (v any, err error) {
	err = n.withClient(func(ctx context.Context, r *redis.Client) error {
		v, err = r.Do(ctx, args...).Result()
		return err
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("%s: %v: %w", n, args, err)
	}
	return v, nil
}

// withClient calls f with a client that has one connection and may read from a Cluster's replica.
func (n node) withClient(f func(ctx context.Context, r *redis.Client) error) error {
	r := redis.NewClient(&redis.Options{Addr: string(n), MaxRetries: -1, PoolSize: 1})
	defer r.Close()
	return f(context.Background(), r)
}

// role is what a node is in replication.
type role struct {
	master   bool
	offset   int64
	linked   bool   // a replica whose link to its master is up
	replicas []node // of a master
}

func (n node) role() (role, error) {
	v, err := n.do("ROLE")
	if err != nil {
		return role{}, err
	}
	fields, _ := v.([]any)
	switch {
	case len(fields) == 3 && fields[0] == "master":
		offset, _ := fields[1].(int64)
		r := role{master: true, offset: offset}
		replicas, _ := fields[2].([]any)
		for _, replica := range replicas {
			if at, ok := replica.([]any); ok && len(at) == 3 {
				r.replicas = append(r.replicas, node(net.JoinHostPort(fmt.Sprint(at[0]), fmt.Sprint(at[1]))))
			}
		}
		return r, nil
	case len(fields) == 5 && fields[0] == "slave":
		offset, _ := fields[4].(int64)
		return role{offset: offset, linked: fields[3] == "connected"}, nil
	}
	return role{}, fmt.Errorf("%s: unknown reply to ROLE: %v", n, v)
}

// contents returns all values under the prefix, as they are stored. Keys of another type count as empty.
func (n node) contents() (map[string]string, error) {
	all := make(map[string]string)
	err := n.withClient(func(ctx context.Context, r *redis.Client) error {
		_ = r.ReadOnly(ctx).Err() // refused outside a Cluster, where it isn't needed
		// A Cluster that lacks a master counts as down after a while, and then refuses all reads.
		_ = r.ConfigSet(ctx, "cluster-allow-reads-when-down", "yes").Err()
		defer func() { _ = r.ConfigSet(ctx, "cluster-allow-reads-when-down", "no").Err() }()
		keys := r.Scan(ctx, 0, redisPrefix+"*", 1000).Iterator()
		for keys.Next(ctx) {
			v, err := r.Get(ctx, keys.Val()).Result()
			if err != nil && !errors.Is(err, redis.Nil) && !strings.HasPrefix(err.Error(), "WRONGTYPE") {
				return err
			}
			all[keys.Val()] = v
		}
		return keys.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading all of %s: %w", n, err)
	}
	return all, nil
}

// info returns a number from the reply to INFO.
func (n node) info(field string) (int64, error) {
	v, err := n.do("INFO")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(fmt.Sprint(v)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s: INFO has no %s", n, field)
}

// unpause tries again if a sentinel that demotes the node closes the connection.
func (n node) unpause() error {
	return redistest.Await(func() error {
		_, err := n.do("CLIENT", "UNPAUSE")
		return err
	})
}
