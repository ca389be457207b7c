//go:build !windows

package chaos

import (
	"context"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// plan is how a client finds Redis.
type plan struct {
	Topology Topology
	Addrs    []string // the server, the sentinels, or the nodes
	Master   string   // its name, for sentinels
	// Detours has the proxy to dial instead of a server, by the server's address.
	Detours map[string]string
	Timeout time.Duration // of go-redis itself; 0: its default
	Lag     lag           // on detours
}

// open returns a new client.
func (p plan) open() redis.UniversalClient {
	switch p.Topology {
	case Sentinel:
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: p.Master, SentinelAddrs: p.Addrs, Dialer: p.dial, ReadTimeout: p.Timeout, WriteTimeout: p.Timeout,
		})
	case Cluster:
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: p.Addrs, Dialer: p.dial, ReadTimeout: p.Timeout, WriteTimeout: p.Timeout,
			ClusterStateReloadInterval: time.Second,
		})
	}
	return redis.NewClient(&redis.Options{Addr: p.Addrs[0], Dialer: p.dial, ReadTimeout: p.Timeout, WriteTimeout: p.Timeout})
}

func (p plan) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second, KeepAlive: 5 * time.Minute} // as go-redis has them
	proxy, ok := p.Detours[addr]
	if !ok {
		return dialer.DialContext(ctx, network, addr)
	}
	conn, err := dialer.DialContext(ctx, network, proxy)
	if err != nil {
		return nil, err
	}
	server, err := net.ResolveTCPAddr(network, addr)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return p.Lag.wrap(detour{conn.(*net.TCPConn), server}), nil
}
