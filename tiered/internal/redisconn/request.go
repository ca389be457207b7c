package redisconn

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

// Request is one command for each of some keys.
type Request struct {
	Name    string // for errors
	Keys    []string
	Command func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder
	Ended   func()          // nil, or called when nothing more of the request can come to Redis from here
	Bulk    bool            // GETs, for which one command may take the place of many: a value of another type then is as good as none
	Values  bool            // what it reads may be large
	Size    func(i int) int // nil, or about how many bytes the command sends beside the key
}

// Reply is what became of one command.
type Reply struct {
	Value    any                 // the command, or what one of many keys had for this one: a string or nothing; nil too if the call failed
	Err      error               // the call's or the command's; that there is nothing is no error
	Feed     *coherence.Feed     // of the server that answered
	Validity *coherence.Validity // vouches for what was read
}

// nodeBatch are those keys of a request that go to one server, in one round trip.
type nodeBatch struct {
	places []int
	Target
}

// Target is where some keys are.
type Target struct {
	to redis.Cmdable
	*Node
}

// Do makes a request, in one round trip for each node of a Cluster and each chunk, and returns an answer for each key.
func (r *Conn) Do(ctx context.Context, q Request) []Reply {
	answers := make([]Reply, len(q.Keys))
	end := newEnding(q.Ended)
	defer end.done()
	var groups []nodeBatch
	var err error
	if len(q.Keys) > 0 {
		if groups, err = r.ByNode(ctx, q.Keys); err != nil {
			copy(answers, Failed(len(q.Keys), err, r.Nodes.Any()))
		}
	}
	fill := func(g nodeBatch, got []Reply) {
		for n, i := range g.places {
			answers[i] = got[n]
		}
	}
	groups = slices.DeleteFunc(groups, func(g nodeBatch) bool {
		err := g.Breaker.Err(q.Name)
		if err != nil {
			fill(g, Failed(len(g.places), err, g.Feed))
		}
		return err != nil
	})
	if len(groups) > 0 {
		eachGroup(groups, func(g nodeBatch) { fill(g, r.askGroup(ctx, q, g, end)) })
	}
	return answers
}

// failure is the error of a request that wasn't made.
func (q *Request) failure(err error) error { return fmt.Errorf("tiered: redis: %s: %w", q.Name, err) }

// ask makes the part of a request that goes to one server, as one call.
func (r *Conn) ask(ctx context.Context, q Request, g nodeBatch, ended func()) ([]Reply, outcome) {
	type reply struct {
		answers []Reply
		err     error // the server's
	}
	began := mono.Now()
	e := CallOptions{Name: q.Name, Ended: ended}
	if len(g.places) > 1 || q.bytes(g.places[0]) >= large {
		e.Moving = &g.Target
	}
	got, err := Run(ctx, r, e, func(ctx context.Context) (reply, error) {
		answers, err := r.run(ctx, q, g)
		return reply{answers, err}, nil
	})
	if err != nil {
		got = reply{Failed(len(g.places), err, g.Feed), err}
	}
	g.Report(ctx, began, got.err)
	r.Refusals.Note(g.Breaker.Addr, q.Name, got.answers)
	switch {
	case !r.Unanswered(got.err):
		return got.answers, wasAnswered
	case g.Breaker.answeredSince(began), len(g.places) == 1: // the one may be too large; a silence is for the breaker to find out
		return got.answers, wasLate
	}
	for i := range got.answers {
		if got.answers[i].Err != nil {
			got.answers[i].Err = &silentError{got.answers[i].Err}
		}
	}
	return got.answers, wasSilent
}

// Failed are the answers of a call that failed as a whole.
func Failed(n int, err error, f *coherence.Feed) []Reply {
	answers := make([]Reply, n)
	for i := range answers {
		answers[i] = Reply{Err: err, Feed: f, Validity: coherence.Never}
	}
	return answers
}

// run makes a request's commands for the keys of one server. The error is that of a server that didn't answer, though
// another may have.
func (r *Conn) run(ctx context.Context, q Request, g nodeBatch) (answers []Reply, err error) {
	// Taken before anything is read. If it doesn't hold now, this client may talk to another server than the stream does.
	p := g.Feed.Validity()
	if !p.Holds(mono.Now()) {
		p = coherence.Never
	}
	answers = r.send(ctx, g.to, q, g.places)
	var moved []int // places in the group
	unread := 0
	for n := range answers {
		answers[n].Feed, answers[n].Validity = g.Feed, p
		if r.Unanswered(answers[n].Err) {
			unread++
		}
		if err := answers[n].Err; err != nil {
			r.NoteError(g.Target, q.Name, err)
		}
		if r.Nodes.Find != nil && elsewhere(answers[n].Err) {
			moved = append(moved, n)
		}
	}
	if unread == len(answers) {
		err = answers[0].Err
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
func (r *Conn) sendAnywhere(ctx context.Context, q Request, group []int) []Reply {
	answers := r.send(ctx, r.Client, q, group)
	for i := range answers {
		answers[i].Feed, answers[i].Validity = r.Nodes.Any(), coherence.Never
	}
	return answers
}

func (r *Conn) send(ctx context.Context, to redis.Cmdable, q Request, group []int) []Reply {
	if q.Bulk && len(group) > 1 && r.canMGet() {
		if answers, ok := r.mget(ctx, to, q, group); ok {
			return answers
		}
	}
	var cmds []redis.Cmder
	if len(group) == 1 {
		cmds = []redis.Cmder{q.Command(ctx, to, group[0])}
	} else {
		cmds, _ = to.Pipelined(ctx, func(pipe redis.Pipeliner) error { // each command has its own error
			for _, i := range group {
				q.Command(ctx, pipe, i)
			}
			return nil
		})
	}
	answers := make([]Reply, len(group))
	for n, cmd := range cmds {
		answers[n].Value = cmd
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			answers[n].Err = q.failure(err)
		}
	}
	return answers
}

// canMGet answers whether all keys are in one place, and the server lets itself be asked for many at once.
func (r *Conn) canMGet() bool {
	_, single := r.Client.(*redis.Client)
	return single && !r.noMGet.Load()
}

// mget reads the keys with one command; false: the server refuses that.
func (r *Conn) mget(ctx context.Context, to redis.Cmdable, q Request, group []int) ([]Reply, bool) {
	keys := q.Keys
	if len(keys) != len(group) {
		keys = make([]string, len(group))
		for n, i := range group {
			keys[n] = q.Keys[i]
		}
	}
	cmd := to.MGet(ctx, keys...)
	err := cmd.Err()
	if err != nil && noMGet(err) {
		r.noMGet.Store(true)
		return nil, false
	}
	answers := make([]Reply, len(group))
	for n := range answers {
		if err == nil {
			answers[n].Value = cmd.Val()[n]
		} else {
			answers[n].Err = q.failure(err)
		}
	}
	return answers, true
}

// noMGet reports whether keys that MGET fails for with the error may well be read one by one. A server that is a Cluster by
// itself has all keys, and lets none of its commands have those of two slots.
func noMGet(err error) bool {
	return redis.IsPermissionError(err) || redis.HasErrorPrefix(err, "ERR unknown command") || redis.HasErrorPrefix(err, "CROSSSLOT ")
}

// Gets is the request for what the keys hold.
func (r *Conn) Gets(keys []string) Request {
	return Request{Name: "get", Keys: keys, Bulk: true, Values: true, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		return to.Get(ctx, keys[i])
	}}
}

// Bytes are what a key holds; false: nothing. They are the caller's own.
func (a *Reply) Bytes() ([]byte, bool) {
	if cmd, ok := a.Value.(*redis.StringCmd); ok {
		b, err := cmd.Bytes()
		return b, err == nil // else it is redis.Nil
	}
	s, ok := a.Value.(string)
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

// ByNode splits the places of keys by the node of a Cluster that has them. A pipeline of each node's own then can't be
// held up by another node that doesn't answer.
func (r *Conn) ByNode(ctx context.Context, keys []string) ([]nodeBatch, error) {
	cluster, ok := r.Client.(*redis.ClusterClient)
	if !ok {
		return []nodeBatch{{upTo(len(keys)), Target{r.Client, r.Nodes.Only}}}, nil
	}
	nodes := &r.Nodes
	if nodes.Located.Load() {
		return r.groupByNode(ctx, cluster, keys) // without a word to the network
	}
	if err := nodes.Lost.Err("cluster"); err != nil {
		return nil, err
	}
	began := mono.Now()
	groups, err := Call(ctx, r, "cluster", nil, func(ctx context.Context) ([]nodeBatch, error) {
		groups, err := r.groupByNode(ctx, cluster, keys)
		return groups, bare(err)
	})
	nodes.Lost.Report(ctx, nil, began, err)
	if err == nil {
		nodes.Located.Store(true)
	}
	return groups, err
}

// serverOf is where one key is; false: that takes a word to the network.
func (r *Conn) serverOf(ctx context.Context, key string) (Target, bool) {
	cluster, ok := r.Client.(*redis.ClusterClient)
	if !ok {
		return Target{r.Client, r.Nodes.Only}, true
	}
	if !r.Nodes.Located.Load() {
		return Target{}, false
	}
	node, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return Target{}, false
	}
	return r.serverOfNode(cluster, node, key), true
}

func (r *Conn) serverOfNode(cluster *redis.ClusterClient, node *redis.Client, key string) Target {
	n := r.NodeOf(cluster, node.Options().Addr, key)
	if r.Nodes.Find == nil {
		return Target{cluster, n} // who answers doesn't matter
	}
	return Target{node, n}
}

func (r *Conn) groupByNode(ctx context.Context, cluster *redis.ClusterClient, keys []string) (groups []nodeBatch, err error) {
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
			groups = append(groups, nodeBatch{Target: r.serverOfNode(cluster, node, key)})
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
func eachGroup(groups []nodeBatch, f func(nodeBatch)) {
	var others sync.WaitGroup
	for _, g := range groups[1:] {
		others.Go(func() { f(g) })
	}
	f(groups[0])
	others.Wait()
}

// FirstError is the error of a request.
func FirstError(answers []Reply) error {
	for _, a := range answers {
		if a.Err != nil {
			return a.Err
		}
	}
	return nil
}
