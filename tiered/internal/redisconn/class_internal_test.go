package redisconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/redis/go-redis/v9"
)

// reply is an error reply of Redis.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func TestClassify(t *testing.T) {
	single := &Caller{Client: new(redis.Client)}
	cluster := &Caller{Client: new(redis.ClusterClient)}
	const inScript = "ERR Error running script (call to f_1): @user_script:1: "
	for _, c := range []struct {
		err       error
		class     class
		inCluster bool // a Cluster's server answers no reads
		elsewhere bool
	}{
		{nil, success, false, false},
		{redis.Nil, noValue, false, false},
		{reply("WRONGTYPE Operation against a key holding the wrong kind of value"), keyError, false, false},
		{reply(inScript + "WRONGTYPE Operation against a key"), keyError, false, false},
		{reply("ERR string exceeds maximum allowed size (proto-max-bulk-len)"), keyError, false, false},
		{reply("CROSSSLOT Keys in request don't hash to the same slot"), crossSlot, false, false},
		{reply("OOM command not allowed"), noWrites, false, false},
		{reply("MISCONF Redis is configured to save RDB snapshots"), noWrites, false, false},
		{reply("NOREPLICAS Not enough good replicas to write"), noWrites, false, false},
		{reply(inScript + "-OOM command not allowed"), otherReply, false, false},
		{reply("READONLY You can't write"), readOnly, false, true},
		{reply("NOPERM User x has no permissions"), noPermission, false, false},
		{reply("ERR unknown command 'mget'"), unknownCommand, false, false},
		{reply(inScript + "Unknown Redis command called from script"), unknownCommand, false, false},
		{reply("ERR syntax error"), otherReply, false, false},
		{reply("MOVED 1 127.0.0.1:1"), wrongNode, false, true},
		{reply("ERR MOVED 1 127.0.0.1:1"), wrongNode, false, true},
		{reply("ASK 1 127.0.0.1:1"), wrongNode, false, true},
		{reply("TRYAGAIN Multiple keys request during rehashing of slot"), tryAgain, false, true},
		{reply("LOADING Redis is loading"), loading, true, true},
		{reply("MASTERDOWN Link with MASTER is down"), loading, true, true},
		{reply("BUSY Redis is busy"), busy, true, false},
		{reply("BUSYGROUP Consumer Group name already exists"), otherReply, false, false},
		{reply("CLUSTERDOWN The cluster is down"), clusterDown, true, true},
		{reply("CLUSTERDOWN Hash slot not served"), clusterDown, false, true},
		{reply("NOAUTH Authentication required."), noAccess, true, false},
		{reply("WRONGPASS invalid username-password pair"), noAccess, true, false},
		{reply("ERR max number of clients reached"), maxClients, true, false},
		{io.EOF, noReply, true, true},
		{context.DeadlineExceeded, noReply, true, false},
		{&notSentError{"a", reply("OOM")}, notSent, true, false},
		{errReplica, ownError, false, false},
		{NewAnsweredError("damaged"), ownError, false, false},
		{fmt.Errorf("queued: %w", io.EOF), noReply, true, true},
		{fmt.Errorf("queued: %w", reply("READONLY You can't write")), readOnly, false, true},
	} {
		err := c.err
		if err != nil {
			err = callError("get", err)
		}
		if got := classify(err); got != c.class {
			t.Errorf("%v: class %d, want %d", c.err, got, c.class)
		}
		slotDown := c.class == clusterDown && !c.inCluster
		if got := single.Unanswered(err); got != (c.inCluster || slotDown) {
			t.Errorf("%v: unanswered %v", c.err, got)
		}
		if got := cluster.Unanswered(err); got != c.inCluster {
			t.Errorf("%v in a Cluster: unanswered %v", c.err, got)
		}
		if got := mayRetryElsewhere(err); got != c.elsewhere {
			t.Errorf("%v: elsewhere %v", c.err, got)
		}
	}
}

// Each class has an entry in the table of traits.
func TestTraits(t *testing.T) {
	if len(traitsOf) != int(otherReply)+1 {
		t.Errorf("%d traits", len(traitsOf))
	}
	for _, cl := range []class{wrongNode, tryAgain, noPermission, unknownCommand, crossSlot, keyError, loading, busy, noAccess} {
		if cl.traits().refused {
			t.Errorf("class %d counts as a refusal", cl)
		}
	}
	for _, cl := range []class{readOnly, noWrites, otherReply} {
		if !cl.traits().refused {
			t.Errorf("class %d doesn't count as a refusal", cl)
		}
	}
}

// A step that can't succeed until a configuration is changed has a PermanentError.
func TestStepError(t *testing.T) {
	for _, c := range []struct {
		step      string
		err       error
		permanent bool
	}{
		{StepHello, reply("ERR unknown command 'HELLO'"), true},
		{StepTracking, reply("ERR syntax error"), true},
		{StepCanary, reply("ERR syntax error"), false},
		{StepCanary, reply("NOPERM User x has no permissions"), true},
		{StepHello, reply("WRONGPASS invalid username-password pair"), true},
		{"subscribe", reply("ERR something"), true},
		{"subscribe", reply("LOADING Redis is loading"), false},
		{"subscribe", reply("OOM command not allowed"), false},
		{"subscribe", reply("ERR max number of clients reached"), false},
		{"subscribe", io.EOF, false},
		{"subscribe", fmt.Errorf("x: %w", &PermanentError{step: "y", err: io.EOF, want: "z"}), true},
	} {
		var p *PermanentError
		if got := errors.As(StepError(c.step, c.err), &p); got != c.permanent {
			t.Errorf("%s: %v: permanent %v", c.step, c.err, got)
		}
	}
}

// Any bytes that a server sends as an error have a class.
func FuzzClassify(f *testing.F) {
	for _, r := range replyClasses {
		f.Add(r.text + "x")
	}
	f.Fuzz(func(t *testing.T, text string) {
		if cl := classify(reply(text)); !cl.isReply() || int(cl) >= len(traitsOf) {
			t.Errorf("class %d", cl)
		}
		_ = codeOf(reply(text))
	})
}
