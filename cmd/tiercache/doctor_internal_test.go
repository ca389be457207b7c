package main

import (
	"encoding/json"
	"go/parser"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/internal/rights"
)

// broken are servers that have something wrong, and one that hasn't. Each returns the URL.
var broken = map[string]func(t *testing.T) string{
	"healthy": func(t *testing.T) string { return "redis://" + redistest.Start(t).Addr() },
	"without RESP3": func(t *testing.T) string {
		return "redis://" + redistest.Start(t, "--rename-command", "HELLO", "").Addr()
	},
	"tracking is accepted but does nothing": func(t *testing.T) string {
		return proxied(t, redistest.Start(t), func(words []string) []string {
			if is(words, "client", "tracking") {
				return []string{"CLIENT", "SETNAME", "untracked"} // which is answered with OK, too
			}
			return nil
		})
	},
	"tracking is refused": func(t *testing.T) string {
		return proxied(t, redistest.Start(t), func(words []string) []string {
			if is(words, "client", "tracking") {
				return []string{"EVAL", "return redis.error_reply('ERR unknown subcommand')", "0"}
			}
			return nil
		})
	},
	"user without EVAL": func(t *testing.T) string {
		return userURL(t, slices.DeleteFunc(all(), func(right string) bool { return right == "+eval" || right == "+setrange" }))
	},
	"user without SUBSCRIBE": func(t *testing.T) string {
		return userURL(t, slices.DeleteFunc(all(), func(right string) bool { return right == "+subscribe" }))
	},
	"user with the documented rights": func(t *testing.T) string { return userURL(t, all()) },
	"full": func(t *testing.T) string {
		return "redis://" + redistest.Start(t, "--maxmemory", "512kb", "--maxmemory-policy", "noeviction").Addr()
	},
	"evicts at random": func(t *testing.T) string {
		return "redis://" + redistest.Start(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-random").Addr()
	},
	"clock an hour behind": func(t *testing.T) string {
		return proxied(t, redistest.Start(t), func(words []string) []string {
			if is(words, "time") {
				return []string{"EVAL", "local t=redis.call('TIME') return {tostring(t[1]-3600),t[2]}", "0"}
			}
			return nil
		})
	},
	"slow": func(t *testing.T) string {
		p := faultproxy.Start(t, redistest.Start(t).Addr())
		p.Delay(40e6) // ns, each way: more than a quarter of the Timeout, and far less than all of it
		return "redis://" + p.Addr()
	},
	"replica": func(t *testing.T) string {
		master, replica := redistest.Start(t), redistest.Start(t)
		host, port, _ := strings.Cut(master.Addr(), ":")
		replica.Do("REPLICAOF", host, port)
		return "redis://" + replica.Addr()
	},
	"wrong password": func(t *testing.T) string {
		return strings.Replace(userURL(t, all()), "secret", "wrong", 1)
	},
	"down": func(t *testing.T) string {
		server := redistest.Start(t)
		server.Kill()
		return "redis://" + server.Addr()
	},
	"two servers behind a balancer": func(t *testing.T) string {
		p := faultproxy.Start(t, redistest.Start(t).Addr())
		p.Balance(redistest.Start(t).Addr(), redistest.Start(t).Addr())
		return "redis://" + p.Addr()
	},
	"cluster":  func(t *testing.T) string { return "redis://" + redistest.StartCluster(t).Addrs()[0] },
	"sentinel": func(t *testing.T) string { return "redis://" + redistest.StartSentinel(t).Addrs()[0] },
	"behind Sentinel": func(t *testing.T) string {
		return "redis://" + redistest.StartSentinel(t).Addrs()[0] + "?master_name=" + redistest.SentinelMaster
	},
	"proxy that shares connections": func(t *testing.T) string {
		return proxied(t, redistest.Start(t), func(words []string) []string {
			if is(words, "client", "id") {
				return []string{"EVAL", "return 7", "0"}
			}
			return nil
		})
	},
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	for name, start := range broken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := runCommand(t, "", "doctor", "-redis", start(t))
			wantGolden(t, "doctor/"+strings.ReplaceAll(name, " ", "-"), got.out)
			want := exitOK
			if strings.Contains(got.out, "\nfail ") {
				want = exitFailed
			}
			if _, code, found := strings.Cut(got.out, "\n\t"); found {
				code, _, _ = strings.Cut(code, "\n")
				if _, err := parser.ParseExpr(code); err != nil {
					t.Errorf("%s: %v", code, err)
				}
			}
			if got.code != want || got.err != "" {
				t.Errorf("exit code %d, want %d; %s", got.code, want, got.err)
			}
		})
	}
}

// A server that stops answering in the middle of it doesn't make the examination longer than it may be.
func TestDoctorIsDone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	server := redistest.Start(t)
	url := proxied(t, server, func(words []string) []string {
		if is(words, "time") {
			server.Freeze()
		}
		return nil
	})
	began := time.Now()
	got := runCommand(t, "", "doctor", "-redis", url)
	if took := time.Since(began); took > 6*time.Second || got.code != exitFailed || !strings.Contains(got.out, "no answer in time") {
		t.Errorf("after %v: %+v", took, got)
	}
}

// The report as JSON says the same.
func TestDoctorJSON(t *testing.T) {
	t.Parallel()
	got := runCommand(t, "", "doctor", "-json", "-redis", "redis://"+redistest.Start(t, "--rename-command", "HELLO", "").Addr())
	var report struct {
		Findings []struct{ Check, Level, Text, Fix string }
		Options  struct {
			Invalidation string
			TimeoutMs    int
		}
		Code string
	}
	if err := json.Unmarshal([]byte(got.out), &report); err != nil {
		t.Fatal(err)
	}
	const code = "tiered.RedisOptions{Invalidation: tiered.PubSub}"
	if report.Code != code || report.Options.Invalidation != "PubSub" || report.Options.TimeoutMs != 250 || len(report.Findings) == 0 {
		t.Errorf("%+v", report)
	}
}

// proxied returns the URL of a proxy that edits what the server gets.
func proxied(t *testing.T, server *redistest.Server, edit func(words []string) []string) string {
	p := faultproxy.Start(t, server.Addr())
	p.Replace(edit)
	return "redis://" + p.Addr()
}

// is reports whether the command begins with these words, in any case.
func is(command []string, words ...string) bool {
	return len(command) >= len(words) && slices.EqualFunc(command[:len(words)], words, strings.EqualFold)
}

// userURL returns the URL of a new server, with a user that has these rights.
func userURL(t *testing.T, rights []string) string {
	server := redistest.Start(t)
	server.UserClient(t, "app", rights...)
	return "redis://app:secret@" + server.Addr()
}

// all returns the rights that the documentation of tiered.NewRedis lists.
func all() []string {
	return slices.Concat(rights.Caches("tc:"), rights.Tracking("tc:"), rights.PubSub("tc:"))
}
