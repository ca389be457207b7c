package tiered

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// byNode splits the numbers up to n by the node of a Cluster that has their keys. A pipeline of each node's own then
// can't be held up by another node that doesn't answer.
func (r *Redis) byNode(ctx context.Context, n int, key func(i int) string) [][]int {
	cluster, ok := r.client.(*redis.ClusterClient)
	if ok && n > 1 {
		groups, err := call(ctx, r, "cluster", nil, func(ctx context.Context) ([][]int, error) {
			return groupByNode(ctx, cluster, n, key)
		})
		if err == nil {
			return groups
		}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return [][]int{all}
}

func groupByNode(ctx context.Context, cluster *redis.ClusterClient, n int, key func(i int) string) (groups [][]int, err error) {
	nodes := make(map[*redis.Client]int) // to their place in groups
	for i := range n {
		node, err := cluster.MasterForKey(ctx, key(i))
		if err != nil {
			return nil, err
		}
		at, ok := nodes[node]
		if !ok {
			at = len(groups)
			nodes[node] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], i)
	}
	return groups, nil
}

// eachGroup calls f for all groups at the same time, and returns when all calls have.
func eachGroup(groups [][]int, f func(group []int)) {
	var others sync.WaitGroup
	for _, group := range groups[1:] {
		others.Go(func() { f(group) })
	}
	f(groups[0])
	others.Wait()
}
