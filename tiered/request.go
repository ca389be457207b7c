package tiered

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// request is one command for each of some keys.
type request struct {
	name    string // for errors
	keys    []string
	command func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder
	ended   func() // nil, or called when nothing more of the request can come to Redis from here
}

// answer is what became of one command.
type answer struct {
	cmd    redis.Cmder // nil: the call failed, or was given up
	err    error       // the call's or the command's; that there is nothing is no error
	stream *stream     // of the server that answered
	proof  *proof      // vouches for what was read
}

// do makes a request in one round trip (per node of a Cluster), and returns an answer for each key.
func (r *Redis) do(ctx context.Context, q request) []answer {
	answers := make([]answer, len(q.keys))
	if len(q.keys) == 0 {
		if q.ended != nil {
			q.ended()
		}
		return answers
	}
	groups := r.byNode(ctx, q.keys)
	var underWay atomic.Int32
	underWay.Store(int32(len(groups)))
	ended := func() {
		if underWay.Add(-1) == 0 && q.ended != nil {
			q.ended()
		}
	}
	eachGroup(groups, func(group []int) {
		got, err := call(ctx, r, q.name, ended, func(ctx context.Context) ([]answer, error) {
			return r.run(ctx, q, group), nil
		})
		if err != nil {
			got = failed(len(group), err, r.anyStream())
		}
		for n, i := range group {
			answers[i] = got[n]
		}
	})
	return answers
}

// failed are the answers of a call that failed as a whole.
func failed(n int, err error, s *stream) []answer {
	answers := make([]answer, n)
	for i := range answers {
		answers[i] = answer{err: err, stream: s, proof: unproven}
	}
	return answers
}

// anyStream is the stream of a server that can't be told.
func (r *Redis) anyStream() *stream {
	if r.streams.only != nil {
		return r.streams.only
	}
	return r.streams.topology.unknown
}

// run makes a request's commands for the keys of one node.
func (r *Redis) run(ctx context.Context, q request, group []int) []answer {
	to, s := redis.Cmdable(r.client), r.streams.only
	if s == nil {
		// Not through the Cluster client, which wouldn't say which node answered.
		node, err := r.client.(*redis.ClusterClient).MasterForKey(ctx, q.keys[group[0]])
		if err != nil {
			return r.sendAnywhere(ctx, q, group)
		}
		to, s = node, r.streamOf(node)
	}
	// Taken before anything is read. If it doesn't hold now, this client may talk to another server than the stream does.
	p := s.proof()
	if !p.holds(now()) {
		p = unproven
	}
	answers := send(ctx, to, q, group)
	var moved []int // places in group
	for n := range answers {
		answers[n].stream, answers[n].proof = s, p
		if s != r.streams.only && elsewhere(answers[n].err) {
			moved = append(moved, n)
		}
	}
	if len(moved) > 0 {
		again := make([]int, len(moved))
		for at, n := range moved {
			again[at] = group[n]
		}
		for at, a := range r.sendAnywhere(ctx, q, again) {
			answers[moved[at]] = a
		}
	}
	return answers
}

// sendAnywhere leaves it to the client to find the node. Nothing vouches for what is read there.
func (r *Redis) sendAnywhere(ctx context.Context, q request, group []int) []answer {
	answers := send(ctx, r.client, q, group)
	for i := range answers {
		answers[i].stream, answers[i].proof = r.anyStream(), unproven
	}
	return answers
}

func send(ctx context.Context, to redis.Cmdable, q request, group []int) []answer {
	var cmds []redis.Cmder
	if len(group) == 1 {
		cmds = []redis.Cmder{q.command(ctx, to, group[0])}
	} else {
		cmds, _ = to.Pipelined(ctx, func(pipe redis.Pipeliner) error { // each command has its own error
			for _, i := range group {
				q.command(ctx, pipe, i)
			}
			return nil
		})
	}
	answers := make([]answer, len(group))
	for n, cmd := range cmds {
		answers[n].cmd = cmd
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			answers[n].err = fmt.Errorf("tiered: redis: %s: %w", q.name, err)
		}
	}
	return answers
}

// elsewhere answers whether another node may be able to do what a node of a Cluster failed to do: it answered so, or it
// didn't answer.
func elsewhere(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return true
	}
	code, _, _ := strings.Cut(reply.Error(), " ")
	switch code {
	case "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "LOADING", "MASTERDOWN":
		return true
	}
	return false
}

// byNode splits the places of keys by the node of a Cluster that has them. A pipeline of each node's own then can't be
// held up by another node that doesn't answer.
func (r *Redis) byNode(ctx context.Context, keys []string) [][]int {
	cluster, ok := r.client.(*redis.ClusterClient)
	if ok && len(keys) > 1 {
		groups, err := call(ctx, r, "cluster", nil, func(ctx context.Context) ([][]int, error) {
			return groupByNode(ctx, cluster, keys)
		})
		if err == nil {
			return groups
		}
	}
	all := make([]int, len(keys))
	for i := range all {
		all[i] = i
	}
	return [][]int{all}
}

func groupByNode(ctx context.Context, cluster *redis.ClusterClient, keys []string) (groups [][]int, err error) {
	nodes := make(map[*redis.Client]int) // to their place in groups
	for i, key := range keys {
		node, err := cluster.MasterForKey(ctx, key)
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
