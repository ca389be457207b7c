package httpcache_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// A random sequence of requests is answered by an origin behind a cache as by the origin alone, but for what the RFC allows:
// see difference. A failing seed is tried again with SEED=n.
func TestDifferential(t *testing.T) {
	t.Parallel()
	first, n := uint64(1), uint64(300)
	if s := os.Getenv("SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, n = seed, 1
	} else if testing.Short() {
		n = 50
	}
	var hits, requests uint64
	for seed := first; seed < first+n && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			d := newDifferential(t, seed)
			d.run(60)
			hits, requests = hits+d.cache.Stats().Hits, requests+d.requests
		})
	}
	t.Logf("%d hits of %d requests", hits, requests)
	if n > 1 && !t.Failed() && hits < requests/10 {
		t.Error("a cache that hardly caches proves nothing")
	}
}

// differential is one sequence.
type differential struct {
	*testing.T
	seed     uint64
	random   *rand.Rand
	model    *model
	cache    *httpcache.Cache
	handler  http.Handler
	requests uint64
	tags     []string          // that clients have seen
	made     map[string]string // the bodies of those that the cache made
	dates    []string
	cookies  map[string]bool
}

func newDifferential(t *testing.T, seed uint64) *differential {
	random := rand.New(rand.NewPCG(seed, 0))
	d := &differential{
		T: t, seed: seed, random: random, made: make(map[string]string), cookies: make(map[string]bool),
		model: newModel(t, random.Perm(len(profiles))[:4]),
		cache: newCache(t, httpcache.Options{TTL: modelTTL, MaxCost: 1 << 20, Logger: silent()}),
	}
	switch seed % 3 {
	case 0: // as on Fiber
		d.handler = d.cache.PreviewHandler(d.model)
	case 1:
		d.handler = d.cache.Handler(d.model)
	case 2:
		d.handler = relay(d.cache.Transport(direct{d.model}))
	}
	return d
}

func (d *differential) run(steps int) {
	for range steps {
		switch d.random.IntN(12) {
		case 0:
			d.model.down = !d.model.down && d.random.IntN(2) == 0
		case 1, 2: // a change that the cache doesn't see
			pick(d.random, d.model.resources).next(d.random.IntN(8) == 0)
		case 3, 4:
			time.Sleep(time.Duration(d.random.IntN(12)) * time.Second)
			synctest.Wait()
		}
		r := d.request()
		if d.random.IntN(3) > 0 {
			d.one(r)
			continue
		}
		d.crowd(r)
	}
}

// one sends a request and compares its answer.
func (d *differential) one(r *http.Request) {
	unsafe := r.Method != http.MethodGet && r.Method != http.MethodHead
	if !unsafe {
		alone := serve(d.model.alone(), r)
		w := serve(d.handler, r)
		settle()
		d.compare(r, w, alone)
		return
	}
	changes := d.model.changes
	w := serve(d.handler, r)
	changed := d.model.changes > changes
	if changed != (w.Code == 200 || w.Code == 204 || w.Code == 201) {
		d.fail(r, w, "the status of a change")
	}
	if changed { // who has seen the answer gets nothing older
		for _, path := range []string{r.URL.Path, r.Header.Get("X-Other")} {
			if path != "" {
				res := d.model.find(path)
				res.oldest = res.version
			}
		}
	}
}

// crowd sends requests at the same time: the same one from several users, who speak several languages.
func (d *differential) crowd(r *http.Request) {
	if r.Method != http.MethodGet {
		return
	}
	type pair struct {
		r        *http.Request
		w, alone *httptest.ResponseRecorder
	}
	answers := make(chan pair)
	const size = 5
	for range size {
		own := without(r, []string{"Authorization", "Cookie", "Accept-Language", "X-Kind"})
		d.identify(own.Header)
		alone := serve(d.model.alone(), own)
		go func() { answers <- pair{own, serve(d.handler, own), alone} }()
	}
	var pairs []pair
	for range size {
		pairs = append(pairs, <-answers)
	}
	settle()
	for _, p := range pairs {
		d.compare(p.r, p.w, p.alone)
	}
}

// settle waits until what runs behind has come to an end.
func settle() {
	time.Sleep(2 * modelTime)
	synctest.Wait()
}

// without returns a copy of the request without some fields.
func without(r *http.Request, names []string) *http.Request {
	c := r.Clone(r.Context())
	for _, name := range names {
		c.Header.Del(name)
	}
	return c
}

func pick[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

// request makes a request.
func (d *differential) request() *http.Request {
	d.requests++
	path := pick(d.random, d.model.resources).path
	method := http.MethodGet
	if d.random.IntN(6) == 0 {
		method = pick(d.random, []string{"HEAD", "HEAD", "PUT", "POST", "DELETE", "PATCH", "LINK"})
	}
	r := request(method, path)
	h := r.Header
	d.identify(h)
	sometimes := func(name string, values ...string) {
		if len(values) > 0 && d.random.IntN(9) == 0 {
			h.Set(name, pick(d.random, values))
		}
	}
	if method != "GET" && method != "HEAD" {
		sometimes("X-Fail", "yes")
		sometimes("X-Other", d.model.resources[0].path)
		return r
	}
	sometimes("Cache-Control", "no-cache", "no-store", "max-age=0", "max-age=3", "max-age=9", "max-stale", "max-stale=4", "min-fresh=4",
		"only-if-cached", "max-age=20, max-stale=8")
	if n := len(d.tags); n > 0 {
		recent := d.tags[max(0, n-8):]
		sometimes("If-None-Match", pick(d.random, recent), pick(d.random, recent)+", "+pick(d.random, recent), "*")
		sometimes("If-Match", pick(d.random, recent))
		sometimes("If-Range", pick(d.random, recent))
	}
	sometimes("If-Modified-Since", d.dates...)
	sometimes("Range", "bytes=0-4", "bytes=3-", "bytes=-5", "bytes=2-2", "bytes=900-", "bytes=0-0,-1", "bytes=5-2", "items=0-1")
	return r
}

// identify says who sends the request, and what they like.
func (d *differential) identify(h http.Header) {
	for _, f := range []struct {
		name   string
		values []string
	}{
		{"Authorization", []string{"", "", "", "", "", "alice", "bob"}},
		{"Cookie", []string{"", "", "", "", "session=alice", "session=bob"}},
		{"Accept-Language", []string{"", "de", "en", "de, en;q=0.5", "fr;q=0.3, de"}},
		{"X-Kind", []string{"", "", "a"}},
	} {
		if v := pick(d.random, f.values); v != "" {
			h.Set(f.name, v)
		}
	}
}

// compare checks an answer, and takes in what the client sees in it.
func (d *differential) compare(r *http.Request, w, alone *httptest.ResponseRecorder) {
	d.Helper()
	if why := d.difference(r, w, alone); why != "" {
		d.fail(r, w, why+fmt.Sprintf("\nalone: %d, %v, %q", alone.Code, alone.Header(), alone.Body))
	}
	h := w.Header()
	if c := h.Get("Set-Cookie"); c != "" {
		if d.cookies[c] {
			d.fail(r, w, "the cookie is another client's")
		}
		d.cookies[c] = true
	}
	if tag := h.Get("ETag"); tag != "" && !slices.Contains(d.tags, tag) {
		d.tags = append(d.tags, tag)
		if w.Code == 200 && r.Method == http.MethodGet && d.model.find(r.URL.Path).etag == "" {
			d.made[tag] = w.Body.String()
		}
	}
	for _, name := range []string{"Last-Modified", "Date"} {
		if date := h.Get(name); date != "" && !slices.Contains(d.dates, date) {
			d.dates = append(d.dates, date)
		}
	}
}

func (d *differential) fail(r *http.Request, w *httptest.ResponseRecorder, why string) {
	d.Helper()
	d.Fatalf("seed %d: %s %s %v\nis answered with %d, %v, %q\n%s", d.seed, r.Method, r.URL, r.Header, w.Code, w.Header(), w.Body,
		strings.ReplaceAll(why, "\n", "\n  "))
}
