//go:build !windows

package faultproxy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
)

var states = []faultproxy.State{faultproxy.Loading, faultproxy.OutOfMemory, faultproxy.ReadOnly, faultproxy.Moved}

// attempts has commands, and the states in which they are refused.
var attempts = []struct {
	name    string
	refused string
	command []any
}{
	{"HELLO", "", []any{"HELLO", "3"}},
	{"CLIENT", "", []any{"CLIENT", "ID"}},
	{"SELECT", "", []any{"SELECT", "0"}},
	{"TIME", "", []any{"TIME"}},
	{"PING", "LOADING", []any{"PING"}},
	{"GET", "LOADING MOVED", []any{"get", "k"}},
	{"PTTL", "LOADING MOVED", []any{"PTTL", "k"}},
	{"SET", "LOADING OOM READONLY MOVED", []any{"SET", "k", "v"}},
	{"INCRBY", "LOADING OOM READONLY MOVED", []any{"INCRBY", "n", "1"}},
	{"DEL", "LOADING READONLY MOVED", []any{"DEL", "other"}},
	{"PEXPIRE", "LOADING READONLY MOVED", []any{"PEXPIRE", "other", "1"}},
	{"EVAL of no key", "LOADING", []any{"EVAL", "return 1", "0"}},
	{"EVAL that reads", "LOADING MOVED", []any{"EVAL", "return redis.call('GET',KEYS[1])", "1", "k"}},
	{"EVAL that adds", "LOADING OOM READONLY MOVED", []any{"EVAL", "redis.call('set',KEYS[1],1)", "1", "k"}},
	{"EVAL that deletes", "LOADING READONLY MOVED", []any{"EVAL", "redis.call('DEL',KEYS[1])", "1", "other"}},
	{"EVAL that goes on", "LOADING MOVED", []any{"EVAL", "redis.pcall('SET',KEYS[1],1) return redis.pcall('GET',KEYS[1])", "1", "k"}},
}

func TestStates(t *testing.T) {
	t.Parallel()
	_, p, c := start(t)
	for _, s := range append(states, faultproxy.Well) {
		p.Pretend(s)
		for _, a := range attempts {
			err := c.Do(t.Context(), a.command...).Err()
			refused := slices.Contains(strings.Fields(a.refused), s.String())
			if got := err != nil && redis.HasErrorPrefix(err, s.String()+" "); got != refused || !refused && err != nil && !errors.Is(err, redis.Nil) {
				t.Errorf("%v: %s: %v", s, a.name, err)
			}
		}
	}
}

// Replies of the server and of the proxy keep their order.
func TestStateInAPipeline(t *testing.T) {
	t.Parallel()
	_, p, c := start(t)
	p.Pretend(faultproxy.OutOfMemory)
	for range 20 {
		cmds, err := c.Pipelined(t.Context(), func(to redis.Pipeliner) error {
			for i := range 50 {
				to.Get(t.Context(), "k")
				to.Set(t.Context(), fmt.Sprint("new", i), strings.Repeat("x", 2000), 0)
				to.Echo(t.Context(), i)
			}
			return nil
		})
		if !redis.HasErrorPrefix(err, "OOM ") {
			t.Fatal(err)
		}
		for i, cmd := range cmds {
			switch cmd := cmd.(type) {
			case *redis.StringCmd:
				want := "v"
				if i%3 == 2 {
					want = fmt.Sprint(i / 3)
				}
				if cmd.Val() != want {
					t.Fatalf("%v", cmd)
				}
			case *redis.StatusCmd:
				if !redis.HasErrorPrefix(cmd.Err(), "OOM ") {
					t.Fatalf("%.40v", cmd)
				}
			}
		}
	}
}

// New connections and subscribed connections work in a state as they do in Redis.
func TestStateOfConnections(t *testing.T) {
	t.Parallel()
	s, p, c := start(t)
	p.Pretend(faultproxy.Loading)
	fresh := client(t, p, &redis.Options{MaxRetries: -1})
	if err := fresh.Get(t.Context(), "k").Err(); !redis.HasErrorPrefix(err, "LOADING ") {
		t.Error(err)
	}
	sub := c.Subscribe(t.Context(), "news")
	defer sub.Close()
	if _, err := sub.ReceiveTimeout(t.Context(), patience); err != nil {
		t.Fatal(err)
	}
	await(t, "a subscriber", func() bool { return s.Do("PUBLISH", "news", "x") == int64(1) })
	if m, err := sub.ReceiveMessage(t.Context()); err != nil || m.Payload != "x" {
		t.Errorf("%v, %v", m, err)
	}
	p.Pretend(faultproxy.Well)
	expectValue(t, c)
}

// A command may arrive in pieces. A command that was passed on in part before the state began is passed on as a whole.
func TestStateInMidCommand(t *testing.T) {
	t.Parallel()
	s, p, _ := start(t)
	conn := dial(t, p)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	pieces := func(command string) {
		for i := range command {
			send(t, conn, command[i:i+1])
			<-tick.C
		}
	}
	const set = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n"
	pieces(set[:20])
	await(t, "the beginning", func() bool {
		for client := range strings.Lines(s.Do("CLIENT", "LIST").(string)) {
			if strings.Contains(client, "cmd=NULL") && !strings.Contains(client, "argv-mem=0 ") {
				return true
			}
		}
		return false
	})
	p.Pretend(faultproxy.ReadOnly)
	pieces(set[20:])
	expect(t, conn, "+OK\r\n")
	pieces(set)
	expect(t, conn, "-READONLY ")
}

// The tables agree with Redis's flags of the commands.
func TestFlagsMatchRedis(t *testing.T) {
	t.Parallel()
	s, _, _ := start(t)
	for name, flags := range faultproxy.Flags() {
		info, _ := s.Do("COMMAND", "INFO", name).([]any)
		if len(info) != 1 {
			t.Fatalf("%s: %v", name, info)
		}
		fields, _ := info[0].([]any)
		theirs := fmt.Sprint(fields[2])
		for _, flag := range []string{"loading", "denyoom", "write"} {
			if got := slices.Contains(flags, flag); got != strings.Contains(theirs, flag) {
				t.Errorf("%s: %s is %v here; Redis has %s", name, flag, got, theirs)
			}
		}
	}
}
