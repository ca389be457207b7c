package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/promcache"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMetrics(t *testing.T) {
	p := newProcess(t, newDB(t), realRedis(t, redistest.Start(t)))
	h, err := newSite(&p.api, promcache.New(), p.redis)
	must(t, err)
	site := httptest.NewServer(h)
	t.Cleanup(site.Close)
	get := func(path string) string {
		response, err := http.Get(site.URL + path)
		must(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		must(t, err)
		return string(body)
	}
	get(listPath + "/7")
	metrics := get("/metrics")
	for _, want := range []string{`tiercache_loads_total{cache="users"} 1`, `tiercache_loads_total{cache="users-pages"} `, `tiercache_redis_healthy{redis="redis"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in %s", want, metrics)
		}
	}
}
