//go:build !windows

package faultproxy_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestReplace(t *testing.T) {
	t.Parallel()
	_, p, c := start(t)
	p.Replace(func(words []string) []string {
		if strings.EqualFold(words[0], "time") {
			return []string{"EVAL", "return 'noon'", "0"}
		}
		return nil
	})
	pipe := c.Pipeline()
	before, now, after := pipe.Echo(t.Context(), "a"), pipe.Do(t.Context(), "time"), pipe.Echo(t.Context(), "b")
	if _, err := pipe.Exec(t.Context()); err != nil || before.Val() != "a" || now.Val() != "noon" || after.Val() != "b" {
		t.Errorf("%v, %v, %v, %v", before, now, after, err)
	}
	p.Replace(nil)
	if err := c.Time(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestBalance(t *testing.T) {
	t.Parallel()
	servers := []*redistest.Server{redistest.Start(t), redistest.Start(t)}
	p := faultproxy.Start(t, servers[0].Addr())
	p.Balance(servers[0].Addr(), servers[1].Addr())
	for i := range 4 {
		func() {
			c := redis.NewClient(&redis.Options{Addr: p.Addr(), PoolSize: 1})
			defer c.Close()
			if err := c.Incr(t.Context(), "n").Err(); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}()
	}
	for i, s := range servers {
		if n := s.Do("GET", "n"); n != "2" {
			t.Errorf("server %d got %v of 4 connections, want 2", i, n)
		}
	}
}
