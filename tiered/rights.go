package tiered

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// checkRights returns an error if the client's user lacks a right that the caches need. It changes nothing: the key, which is
// no cache's, isn't there. Whatever else goes wrong is no reason not to start.
func (r *Redis) checkRights(ctx context.Context) error {
	key := r.prefix + "!" + r.streams.id
	commands, _ := call(ctx, r, "rights", nil, func(ctx context.Context) ([]redis.Cmder, error) {
		node := r.client
		if cluster, ok := r.client.(*redis.ClusterClient); ok {
			master, err := cluster.MasterForKey(ctx, key)
			if err != nil {
				return nil, err
			}
			node = master
		}
		commands, _ := node.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Time(ctx)
			p.Get(ctx, key)
			p.SetXX(ctx, key, "", 0)
			p.Del(ctx, key)
			p.Eval(ctx, "return 0", []string{key})
			p.PTTL(ctx, key)
			p.PExpire(ctx, key, time.Second)
			p.GetRange(ctx, key, 0, -1)
			p.SetRange(ctx, key, 0, "")
			p.Do(ctx, "incrby", key, "not a number")
			return nil
		})
		return commands, nil
	})
	for _, c := range commands {
		if err := c.Err(); redis.IsPermissionError(err) {
			return judge("a cache's "+c.FullName(), err)
		}
	}
	return nil
}
