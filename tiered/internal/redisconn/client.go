package redisconn

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/redis/go-redis/v9"
)

// CheckClient returns an error if the client can't be the second tier's: where its options have it read from elsewhere than
// the masters, what was deleted there may still be found. TestClientOptions lists every option of go-redis.
func CheckClient(client redis.UniversalClient) error {
	if v := reflect.ValueOf(client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("tiered: NewRedis: the client is nil")
	}
	var err error
	switch c := client.(type) {
	case *redis.Client:
		if err = made(c); err == nil {
			err = checkOptions(c.Options())
		}
	case *redis.ClusterClient:
		if err = made(c); err == nil {
			err = checkClusterOptions(c.Options())
		}
	case *redis.Ring:
		err = errors.New("a *redis.Ring reads a key from another shard while the key's own is down, and afterwards finds " +
			"there what was deleted meanwhile: want a *redis.Client or a *redis.ClusterClient")
	case *redis.AutoPipeliner:
		err = errors.New("the options of a *redis.AutoPipeliner's client can't be seen: want that client itself")
	}
	if err != nil {
		return fmt.Errorf("tiered: NewRedis: %w", err)
	}
	return nil
}

// made returns an error if the client is a zero struct: its methods would panic.
func made(client any) error {
	if reflect.ValueOf(client).Elem().IsZero() {
		return fmt.Errorf("the client is a zero %T: want one that go-redis made", client)
	}
	return nil
}

// checkOptions checks the options of a client of one server. FailoverOptions.ReplicaOnly of a failover client isn't
// among them: the servers' roles show it.
func checkOptions(o *redis.Options) error {
	for _, f := range []struct {
		field string
		set   bool
	}{
		{"ClientSideCacheConfig", o.ClientSideCacheConfig != nil},
		{"ClientSideCache", o.ClientSideCache != nil},
	} {
		if f.set {
			return fmt.Errorf("the client's Options.%s is set, so that its reads come from a cache of its own: want nil", f.field)
		}
	}
	return nil
}

// checkClusterOptions checks the options of a Cluster client. Those of its nodes, which ClusterOptions.NewClient may change,
// are checked when the nodes are known.
func checkClusterOptions(o *redis.ClusterOptions) error {
	for _, f := range []struct {
		field string
		set   bool
	}{
		{"RouteByLatency", o.RouteByLatency},
		{"RouteRandomly", o.RouteRandomly},
		{"ReadOnly", o.ReadOnly}, // also of a failover client with ReplicaOnly
	} {
		if f.set {
			return fmt.Errorf("the client's ClusterOptions.%s is true, so that its reads come from replicas, which may still have "+
				"what was deleted: want false", f.field)
		}
	}
	return nil
}
