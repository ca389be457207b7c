package tiered_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// brisk are options under which Delta is short, and a slow machine isn't taken for a silent Redis.
func brisk(mode tiered.Invalidation, log *lines) tiered.RedisOptions {
	o := tiered.RedisOptions{Invalidation: mode, Heartbeat: 100 * time.Millisecond, Timeout: time.Second}
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	return o
}

// lines are what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// count returns how many lines have all of the parts.
func (l *lines) count(parts ...string) (n int) {
	for line := range strings.Lines(l.String()) {
		has := true
		for _, part := range parts {
			has = has && strings.Contains(line, part)
		}
		if has {
			n++
		}
	}
	return n
}

// refusing are the states of a server that answers reads, but refuses something.
var refusing = map[string]struct {
	args         []string // of the server
	begin        func(t *testing.T, s *redistest.Server)
	reply        string // what Status and the log say
	takesDeletes bool
}{
	"OOM": {
		begin:        func(_ *testing.T, s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", 1) },
		reply:        "OOM",
		takesDeletes: true,
	},
	"READONLY": {
		begin: func(_ *testing.T, s *redistest.Server) { s.Do("REPLICAOF", "127.0.0.1", 1) },
		reply: "READONLY",
	},
	"NOREPLICAS": {
		begin: func(_ *testing.T, s *redistest.Server) { s.Do("CONFIG", "SET", "min-replicas-to-write", 1) },
		reply: "NOREPLICAS",
	},
	"MISCONF": {
		args: []string{"--enable-protected-configs", "yes"},
		begin: func(t *testing.T, s *redistest.Server) {
			dir := filepath.Join(t.TempDir(), "gone")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			s.Do("CONFIG", "SET", "dir", dir)
			s.Do("CONFIG", "SET", "save", "3600 1")
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			s.Do("BGSAVE")
			waitFor(t, func() bool { return s.Info("persistence")["rdb_last_bgsave_status"] == "err" })
		},
		reply: "MISCONF",
	},
	"no right to EVAL": {
		begin:        func(_ *testing.T, s *redistest.Server) { s.Do("ACL", "SETUSER", "default", "-eval") },
		reply:        "NOPERM",
		takesDeletes: true,
	},
	"no right to SET": {
		begin:        func(_ *testing.T, s *redistest.Server) { s.Do("ACL", "SETUSER", "default", "-set") },
		reply:        "permission",
		takesDeletes: true,
	},
	"unknown EVAL": {
		args:         []string{"--rename-command", "EVAL", ""},
		begin:        func(*testing.T, *redistest.Server) {},
		reply:        "unknown command",
		takesDeletes: true,
	},
}

// While Redis answers, even with errors, unverified values aren't served for longer than Delta. The values
// in question are those that Redis wouldn't store: it reports no delete of what it doesn't have.
func TestErrorIsNoSilence(t *testing.T) {
	t.Parallel()
	cases := &atOnce{t: t}
	defer cases.wait()
	for name, state := range refusing {
		for mode, how := range listeningModes {
			for when, known := range map[string]bool{"at first": false, "later": true} { // than the epoch is known
				if known && (state.args != nil || !state.takesDeletes) {
					continue
				}
				cases.run(name+"/"+mode+"/"+when, func(t *testing.T) {
					s := redistest.Start(t, state.args...)
					if !known {
						state.begin(t, s)
					}
					var log lines
					o := brisk(how, &log)
					r, err := tiered.NewRedis(s.Client(t), o)
					if err != nil {
						t.Skipf("NewRedis says so: %v", err)
					}
					t.Cleanup(func() { _ = r.Close() })
					p := follower{Cache: newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})}
					other := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), o)})
					p.source.Store("0")
					p.get(t)
					if known {
						waitFor(t, func() bool { return r.Status() == nil })
						keep(t, p.Cache, "k", "0")
						state.begin(t, s)
					}
					for _, want := range []string{"1", "2", "3"} {
						p.source.Store(want)
						if err := other.Delete(t.Context(), "k"); state.takesDeletes && err != nil {
							t.Fatal(err)
						}
						p.follows(t, want, o)
					}
					waitFor(t, func() bool {
						p.get(t)
						err := r.Status()
						return err != nil && strings.Contains(err.Error(), state.reply)
					})
					waitFor(t, func() bool { return log.count("level=WARN", state.reply)+log.count("level=ERROR", state.reply) > 0 })
					if n := log.count("refuses commands"); n > 3 {
						t.Errorf("the log tells of it %d times:\n%v", n, &log)
					}
				})
			}
		}
	}
}

// follower is a process that reads one key.
type follower struct {
	*tiered.Cache[string]
	source atomic.Value // what a load returns
	tags   []string
}

func (f *follower) get(t *testing.T) string {
	t.Helper()
	v, err := f.GetOrLoad(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		e.Tags = f.tags
		return f.source.Load().(string), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// follows fails the test if the value is served later than Delta from now, and if what is served before that is so because
// Redis is taken for silent.
func (f *follower) follows(t *testing.T, want string, o tiered.RedisOptions) {
	t.Helper()
	const slow = time.Second // of the machine
	for late := time.Now().Add(o.Heartbeat + o.Timeout + slow); f.get(t) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("it's behind for longer than Delta: %+v", f.Stats())
		}
	}
	if n := f.Stats().Unverified; n > 0 {
		t.Errorf("%d were served though Redis answers", n)
	}
}

// steps are what a read through both tiers, and what proves the local one, send to Redis.
var steps = map[string]func(prefix string, words []string) bool{
	"canary": func(prefix string, words []string) bool { return keyOf(words, strings.TrimSuffix(prefix, ":")+"!") },
	"epoch":  func(prefix string, words []string) bool { return keyOf(words, prefix+"test!era") },
	"tags":   func(prefix string, words []string) bool { return keyOf(words, prefix+"test!tag:") },
	"get":    func(prefix string, words []string) bool { return words[0] == "GET" && keyOf(words, prefix+"test:k") },
	"lease":  func(prefix string, words []string) bool { return words[0] == "SET" && keyOf(words, prefix+"test:k") },
	"store":  func(prefix string, words []string) bool { return words[0] == "EVAL" && keyOf(words, prefix+"test:k") },
}

// keyOf reports whether the command's first key begins so.
func keyOf(words []string, begin string) bool {
	at := 1
	if words[0] == "EVAL" {
		at = 3
	}
	return len(words) > at && strings.HasPrefix(words[at], begin)
}

// Each error that a step of a read may meet, while no canary proves the local tier. Only those that a Redis gives to every read
// until it is itself again have the local tier serve what it has; Status and the log tell of all.
func TestErrorsOfEachStep(t *testing.T) {
	t.Parallel()
	cases := &atOnce{t: t}
	defer cases.wait()
	s := redistest.Start(t)
	for n, reply := range []string{
		"OOM command not allowed when used memory > 'maxmemory'.", "READONLY You can't write against a read only replica.",
		"NOPERM this user has no permissions to run the command", "ERR unknown command", "MOVED 1 127.0.0.1:1",
		"LOADING Redis is loading the dataset in memory", "BUSY Redis is busy running a script",
	} {
		code, _, _ := strings.Cut(reply, " ")
		silent := n > 4
		for step, is := range steps {
			if silent && (step == "lease" || step == "store") {
				continue // a silent Redis isn't asked for them
			}
			cases.run(code+"/"+step, func(t *testing.T) {
				rep := startErrorProxy(t, s.Addr())
				client := redis.NewClient(&redis.Options{Addr: rep.addr(), MaxRetries: -1})
				t.Cleanup(func() { _ = client.Close() })
				var log lines
				o := brisk(tiered.Tracking, &log)
				o.Prefix = code + "-" + step + ":"
				r := openedRedis(t, client, o)
				p := follower{Cache: newCache(t, tiered.Options[string]{Redis: r, Policy: longLived}), tags: []string{"tag"}}
				p.source.Store("old")
				waitFor(t, func() bool { return r.Status() == nil })
				p.get(t)
				keep(t, p.Cache, "k", "old")
				rep.refuses(reply, func(words []string) bool { return is(o.Prefix, words) || steps["canary"](o.Prefix, words) })
				if step == "lease" || step == "store" {
					s.Do("DEL", o.Prefix+"test:k")
					waitFor(t, func() bool { _, err := p.Lookup(t.Context(), "k"); return err != nil })
					p.source.Store("other")
					p.get(t)
					s.Do("DEL", o.Prefix+"test:k") // the load's lease, which couldn't be replaced
				}
				p.source.Store("new")
				if served := p.get(t); silent {
					waitFor(t, func() bool { p.get(t); return p.Stats().Unverified > 0 })
				} else if step == "canary" { // Redis is read
					before := p.Stats().RemoteHits
					waitFor(t, func() bool { p.get(t); return p.Stats().RemoteHits > before+2 })
					if served != "old" || p.get(t) != "old" || p.Stats().Unverified > 0 {
						t.Errorf("%q, %+v", served, p.Stats())
					}
				} else {
					p.follows(t, "new", o)
				}
				tells := func() bool { err := r.Status(); return err != nil && strings.Contains(err.Error(), code) }
				defer func() {
					if t.Failed() {
						t.Logf("status %v, log:\n%v", r.Status(), &log)
					}
				}()
				waitFor(t, func() bool {
					p.get(t)
					return tells() && log.count("level=WARN", code)+log.count("level=ERROR", code) > 0
				})
				rep.refuses("", nil)
				if step != "store" { // whose lease has to run out first
					waitFor(t, func() bool { p.get(t); return r.Status() == nil })
				}
			})
		}
	}
}
