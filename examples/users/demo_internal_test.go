package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/examples/internal/redisdb"
	"github.com/tiercache/tiercache/tiered"
)

func TestDemo(t *testing.T) {
	onEachRedis(t, func(t *testing.T, server *redisdb.Redis) {
		p := newProcess(t, newDB(t), server)
		var out bytes.Buffer
		must(t, runDemo(t.Context(), &out, &demo{db: p.db, service: p.service, redis: p.redis, samples: 3}))
		const number = `\s+\d+\.\d\d ms\s+`
		var shape []string
		for _, table := range []struct{ query, body, head, uncached, cached string }{
			{"limit=20000&skip=0", `\d+\.\d\d kB`, `\s+article \*`, `\s+223 ms`, `\s+136 ms`},
			{"limit=20&skip=0", `\d\.\d\d kB`, "", "", ""},
		} {
			const ratio = `\s+\d+(\.\d)? x`
			shape = append(shape,
				`GET /api/v1/users\?`+table.query,
				`\s+time\s+body\s+speed-up`+table.head,
				`no cache`+number+table.body+`\s+1\.0 x`+table.uncached,
				`Redis hit`+number+table.body+ratio+table.cached,
				`local hit`+number+table.body+ratio,
				`304`+number+`0 B`+ratio,
			)
		}
		var lines []string
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimRight(line, "\n"); line != "" {
				lines = append(lines, line)
			}
		}
		for i, want := range shape {
			if i >= len(lines) || !regexp.MustCompile("^"+want+"$").MatchString(lines[i]) {
				t.Fatalf("line %d isn't like %q:\n%s", i, want, out.String())
			}
		}
		if notes := strings.Join(lines[len(shape):], " "); !strings.Contains(notes, "not measured here") {
			t.Errorf("the article's times aren't labelled:\n%s", out.String())
		}
	})
}

func TestDemoWithoutRedis(t *testing.T) {
	r := &redisdb.Redis{Client: redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})}
	closedWith(t, r)
	p := newProcess(t, newDB(t), r)
	var out bytes.Buffer
	if err := runDemo(t.Context(), &out, &demo{db: p.db, service: p.service, redis: p.redis, samples: 1}); err == nil {
		t.Errorf("no error:\n%s", out.String())
	}
}

func TestDemoRefusesAnswersThatCameAnotherWay(t *testing.T) {
	onEachRedis(t, func(t *testing.T, server *redisdb.Redis) {
		p := newProcess(t, newDB(t), server)
		var d demo
		p.get(listPath)
		for server.Invalidation == tiered.Tracking && p.pages.Stats().Tiers.RemoteHits == 0 {
			p.get(listPath) // until the invalidation from storing the page has arrived, after which the local tier reads it again
		}
		for _, c := range []struct {
			way way
			ok  bool
		}{
			{way{want: counts{localHits: 1}}, true},
			{way{want: counts{remoteHits: 1}}, false},
			{way{want: counts{bypassed: 1}}, false},
			{way{noStore: true, want: counts{bypassed: 1}}, true},
			{way{conditional: true, want: counts{localHits: 1, notModified: 1}}, false},
		} {
			r, err := c.way.request(t.Context(), p.url+listPath, `"another ETag"`)
			must(t, err)
			if _, err := d.sample(c.way, p.pages, r); (err == nil) != c.ok {
				t.Errorf("%+v: %v", c.way, err)
			}
		}
	})
}
