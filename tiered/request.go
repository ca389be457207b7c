package tiered

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// request is one command for each of some keys.
type request struct {
	name    string // for errors
	keys    []string
	command func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder
	ended   func()          // nil, or called when nothing more of the request can come to Redis from here
	bulk    bool            // GETs, for which one command may take the place of many: a value of another type then is as good as none
	values  bool            // what it reads may be large
	size    func(i int) int // nil, or about how many bytes the command sends beside the key
}

// answer is what became of one command.
type answer struct {
	reply any                 // the command, or what one of many keys had for this one: a string or nothing; nil too if the call failed
	err   error               // the call's or the command's; that there is nothing is no error
	feed  *coherence.Feed     // of the server that answered
	proof *coherence.Validity // vouches for what was read
}

// group are those keys of a request that go to one server, in one round trip.
type group struct {
	places []int
	server
}

// server is where some keys are.
type server struct {
	to redis.Cmdable
	*node
}

// do makes a request, in one round trip for each node of a Cluster and each chunk, and returns an answer for each key.
func (r *conn) do(ctx context.Context, q request) []answer {
	answers := make([]answer, len(q.keys))
	end := newEnding(q.ended)
	defer end.done()
	var groups []group
	var err error
	if len(q.keys) > 0 {
		if groups, err = r.byNode(ctx, q.keys); err != nil {
			copy(answers, failed(len(q.keys), err, r.nodes.any()))
		}
	}
	fill := func(g group, got []answer) {
		for n, i := range g.places {
			answers[i] = got[n]
		}
	}
	groups = slices.DeleteFunc(groups, func(g group) bool {
		err := g.breaker.spares(q.name)
		if err != nil {
			fill(g, failed(len(g.places), err, g.feed))
		}
		return err != nil
	})
	if len(groups) > 0 {
		eachGroup(groups, func(g group) { fill(g, r.askGroup(ctx, q, g, end)) })
	}
	return answers
}

// failure is the error of a request that wasn't made.
func (q *request) failure(err error) error { return fmt.Errorf("tiered: redis: %s: %w", q.name, err) }

// ask makes the part of a request that goes to one server, as one call.
func (r *conn) ask(ctx context.Context, q request, g group, ended func()) ([]answer, outcome) {
	type reply struct {
		answers []answer
		err     error // the server's
	}
	began := mono.Now()
	e := errand{name: q.name, ended: ended}
	if len(g.places) > 1 || q.bytes(g.places[0]) >= heavy {
		e.moving = &g.server
	}
	got, err := run(ctx, r, e, func(ctx context.Context) (reply, error) {
		answers, err := r.run(ctx, q, g)
		return reply{answers, err}, nil
	})
	if err != nil {
		got = reply{failed(len(g.places), err, g.feed), err}
	}
	g.heed(ctx, began, got.err)
	r.refusals.note(g.breaker.addr, q.name, got.answers)
	switch {
	case !r.unread(got.err):
		return got.answers, wasAnswered
	case g.breaker.answeredSince(began), len(g.places) == 1: // the one may be too large; a silence is for the breaker to find out
		return got.answers, wasLate
	}
	for i := range got.answers {
		if got.answers[i].err != nil {
			got.answers[i].err = &silentError{got.answers[i].err}
		}
	}
	return got.answers, wasSilent
}

// failed are the answers of a call that failed as a whole.
func failed(n int, err error, f *coherence.Feed) []answer {
	answers := make([]answer, n)
	for i := range answers {
		answers[i] = answer{err: err, feed: f, proof: coherence.Never}
	}
	return answers
}

// run makes a request's commands for the keys of one server. The error is that of a server that didn't answer, though
// another may have.
func (r *conn) run(ctx context.Context, q request, g group) (answers []answer, err error) {
	// Taken before anything is read. If it doesn't hold now, this client may talk to another server than the stream does.
	p := g.feed.Validity()
	if !p.Holds(mono.Now()) {
		p = coherence.Never
	}
	answers = r.send(ctx, g.to, q, g.places)
	var moved []int // places in the group
	unread := 0
	for n := range answers {
		answers[n].feed, answers[n].proof = g.feed, p
		if r.unread(answers[n].err) {
			unread++
		}
		if err := answers[n].err; err != nil {
			r.heedReply(g.server, q.name, err)
		}
		if r.nodes.find != nil && elsewhere(answers[n].err) {
			moved = append(moved, n)
		}
	}
	if unread == len(answers) {
		err = answers[0].err
	}
	if len(moved) > 0 {
		again := make([]int, len(moved))
		for at, n := range moved {
			again[at] = g.places[n]
		}
		for at, a := range r.sendAnywhere(ctx, q, again) {
			answers[moved[at]] = a
		}
	}
	return answers, err
}

// sendAnywhere leaves it to the client to find the node. Nothing vouches for what is read there.
func (r *conn) sendAnywhere(ctx context.Context, q request, group []int) []answer {
	answers := r.send(ctx, r.client, q, group)
	for i := range answers {
		answers[i].feed, answers[i].proof = r.nodes.any(), coherence.Never
	}
	return answers
}

func (r *conn) send(ctx context.Context, to redis.Cmdable, q request, group []int) []answer {
	if q.bulk && len(group) > 1 && r.canMGet() {
		if answers, ok := r.mget(ctx, to, q, group); ok {
			return answers
		}
	}
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
		answers[n].reply = cmd
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			answers[n].err = q.failure(err)
		}
	}
	return answers
}

// canMGet answers whether all keys are in one place, and the server lets itself be asked for many at once.
func (r *conn) canMGet() bool {
	_, single := r.client.(*redis.Client)
	return single && !r.noMGet.Load()
}

// mget reads the keys with one command; false: the server refuses that.
func (r *conn) mget(ctx context.Context, to redis.Cmdable, q request, group []int) ([]answer, bool) {
	keys := q.keys
	if len(keys) != len(group) {
		keys = make([]string, len(group))
		for n, i := range group {
			keys[n] = q.keys[i]
		}
	}
	cmd := to.MGet(ctx, keys...)
	err := cmd.Err()
	if err != nil && noMGet(err) {
		r.noMGet.Store(true)
		return nil, false
	}
	answers := make([]answer, len(group))
	for n := range answers {
		if err == nil {
			answers[n].reply = cmd.Val()[n]
		} else {
			answers[n].err = q.failure(err)
		}
	}
	return answers, true
}

// noMGet reports whether keys that MGET fails for with the error may well be read one by one. A server that is a Cluster by
// itself has all keys, and lets none of its commands have those of two slots.
func noMGet(err error) bool {
	return redis.IsPermissionError(err) || redis.HasErrorPrefix(err, "ERR unknown command") || redis.HasErrorPrefix(err, "CROSSSLOT ")
}

// reads is the request for what the keys hold.
func (r *conn) reads(keys []string) request {
	return request{name: "get", keys: keys, bulk: true, values: true, command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		return to.Get(ctx, keys[i])
	}}
}

// bytes are what a key holds; false: nothing. They are the caller's own.
func (a *answer) bytes() ([]byte, bool) {
	if cmd, ok := a.reply.(*redis.StringCmd); ok {
		b, err := cmd.Bytes()
		return b, err == nil // else it is redis.Nil
	}
	s, ok := a.reply.(string)
	return unsafe.Slice(unsafe.StringData(s), len(s)), ok // as go-redis makes bytes of a reply
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
func (r *conn) byNode(ctx context.Context, keys []string) ([]group, error) {
	cluster, ok := r.client.(*redis.ClusterClient)
	if !ok {
		return []group{{upTo(len(keys)), server{r.client, r.nodes.only}}}, nil
	}
	nodes := &r.nodes
	if nodes.located.Load() {
		return r.groupByNode(ctx, cluster, keys) // without a word to the network
	}
	if err := nodes.lost.spares("cluster"); err != nil {
		return nil, err
	}
	began := mono.Now()
	groups, err := call(ctx, r, "cluster", nil, func(ctx context.Context) ([]group, error) {
		groups, err := r.groupByNode(ctx, cluster, keys)
		return groups, bare(err)
	})
	nodes.lost.heed(ctx, nil, began, err)
	if err == nil {
		nodes.located.Store(true)
	}
	return groups, err
}

// serverOf is where one key is; false: that takes a word to the network.
func (r *conn) serverOf(ctx context.Context, key string) (server, bool) {
	cluster, ok := r.client.(*redis.ClusterClient)
	if !ok {
		return server{r.client, r.nodes.only}, true
	}
	if !r.nodes.located.Load() {
		return server{}, false
	}
	node, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return server{}, false
	}
	return r.serverOfNode(cluster, node, key), true
}

func (r *conn) serverOfNode(cluster *redis.ClusterClient, node *redis.Client, key string) server {
	n := r.nodeOf(cluster, node.Options().Addr, key)
	if r.nodes.find == nil {
		return server{cluster, n} // who answers doesn't matter
	}
	return server{node, n}
}

func (r *conn) groupByNode(ctx context.Context, cluster *redis.ClusterClient, keys []string) (groups []group, err error) {
	places := make(map[*redis.Client]int) // of the nodes in groups
	for i, key := range keys {
		node, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("tiered: redis: cluster: %w", err)
		}
		at, ok := places[node]
		if !ok {
			at = len(groups)
			places[node] = at
			groups = append(groups, group{server: r.serverOfNode(cluster, node, key)})
		}
		groups[at].places = append(groups[at].places, i)
	}
	return groups, nil
}

// upTo returns the numbers from 0 to n-1.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// eachGroup calls f for all groups at the same time, and returns when all calls have.
func eachGroup(groups []group, f func(group)) {
	var others sync.WaitGroup
	for _, g := range groups[1:] {
		others.Go(func() { f(g) })
	}
	f(groups[0])
	others.Wait()
}

// firstError is the error of a request.
func firstError(answers []answer) error {
	for _, a := range answers {
		if a.err != nil {
			return a.err
		}
	}
	return nil
}
