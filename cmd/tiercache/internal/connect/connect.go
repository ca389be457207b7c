// Package connect makes the client for a URL of Redis, as a program that uses tiercache would: of one server, of those that Sentinel
// watches, or of a Cluster.
package connect

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Target is a Redis that a URL names. One of its fields is set.
type Target struct {
	Single   *redis.Options
	Sentinel *redis.FailoverOptions
	Cluster  *redis.ClusterOptions
	Name     string // the URL without its password
}

// dialTimeout is for URLs that don't name another. A person waits.
const dialTimeout = 2 * time.Second

// Parse reads a URL by the rules of go-redis. With the parameter master_name it is of Sentinels, as redis.ParseFailoverURL has it; with
// addr it names several nodes of a Cluster, as redis.ParseClusterURL has it.
func Parse(raw string) (t Target, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return t, errors.New("the URL can't be parsed: want redis://user:password@host:port/db") // err has the password
	}
	t.Name = u.Redacted()
	switch {
	case u.Query().Has("master_name"):
		if t.Sentinel, err = redis.ParseFailoverURL(raw); err != nil {
			return t, err
		}
		t.Sentinel.DialTimeout = patience(t.Sentinel.DialTimeout)
		t.Sentinel.DisableIdentity, t.Sentinel.MaxRetries, t.Sentinel.ContextTimeoutEnabled = true, -1, true
	case u.Query().Has("addr"):
		if t.Cluster, err = redis.ParseClusterURL(raw); err != nil {
			return t, err
		}
		t.Cluster.DialTimeout = patience(t.Cluster.DialTimeout)
		t.Cluster.DisableIdentity, t.Cluster.ContextTimeoutEnabled = true, true
	default:
		if t.Single, err = redis.ParseURL(raw); err != nil {
			return t, err
		}
		t.Single.DialTimeout = patience(t.Single.DialTimeout)
		t.Single.DisableIdentity, t.Single.MaxRetries, t.Single.DialerRetries, t.Single.ContextTimeoutEnabled = true, -1, 1, true
		t.Single.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	}
	return t, nil
}

func patience(d time.Duration) time.Duration {
	if d == 0 {
		return dialTimeout
	}
	return d
}

// Open returns a client. For a URL of one server it first asks that server: if it is a node of a Cluster, the client is one of the
// Cluster. The caller must close it.
func (t Target) Open(ctx context.Context) (redis.UniversalClient, error) {
	switch {
	case t.Sentinel != nil:
		return redis.NewFailoverClient(t.Sentinel), nil
	case t.Cluster != nil:
		return redis.NewClusterClient(t.Cluster), nil
	}
	client := redis.NewClient(t.Single)
	hello, err := SayHello(ctx, client)
	switch {
	case err != nil:
		_ = client.Close()
		return nil, err
	case hello.Mode != "cluster":
		return client, nil
	}
	o := client.Options()
	if err := client.Close(); err != nil {
		return nil, err
	}
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:        []string{o.Addr},
		Username:     o.Username,
		Password:     o.Password,
		TLSConfig:    o.TLSConfig,
		DialTimeout:  o.DialTimeout,
		ReadTimeout:  o.ReadTimeout,
		WriteTimeout: o.WriteTimeout,

		DisableIdentity:       true,
		ContextTimeoutEnabled: true,
	}), nil
}
