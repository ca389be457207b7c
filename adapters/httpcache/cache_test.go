package httpcache_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/codec"
)

func TestMissThenHit(t *testing.T) { synctest.Test(t, missThenHit) }

func missThenHit(t *testing.T) {
	o := text("hello", "Content-Type", "text/plain", "X-Any", "1", "X-Any", "2", "Connection", "X-Hop", "X-Hop", "x")
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
	miss := get(h, "/a")
	expect(t, miss, 200, stored, "hello")
	etag := miss.Header().Get("ETag")
	if len(etag) != len(`W/""`)+32 || miss.Header().Get("Content-Length") != "5" {
		t.Errorf("the miss: %v", miss.Header())
	}
	hit := get(h, "/a")
	expect(t, hit, 200, "http; hit; ttl=60", "hello")
	for name, want := range map[string]string{
		"Content-Type": "text/plain", "Content-Length": "5", "Age": "0", "X-Hop": "", "Connection": "",
	} {
		if got := hit.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := hit.Header()["X-Any"]; len(got) != 2 || got[0] != "1" || got[1] != "2" {
		t.Errorf("X-Any: %q", got)
	}
	if hit.Header().Get("Date") == "" || hit.Header().Get("ETag") != etag {
		t.Errorf("Date: %q, ETag: %q", hit.Header().Get("Date"), hit.Header().Get("ETag"))
	}
	o.expectRuns(t, 1)
}

// What a test of rules in rfc9111 can't show: that they are asked, and with what.
func TestWhatIsStored(t *testing.T) {
	for _, tc := range []struct {
		name     string
		ttl      time.Duration
		target   string
		request  []string
		response []string
		status   int
		first    string
		second   string
	}{
		{name: "silent without a TTL", first: missed, second: missed},
		{name: "silent with a TTL", ttl: minute, first: stored, second: "http; hit; ttl=59"},
		{name: "explicit without a TTL", response: []string{"Cache-Control", "max-age=9"}, first: stored, second: "http; hit; ttl=8"},
		{name: "explicit over the TTL", ttl: minute, response: []string{"Cache-Control", "max-age=9"}, first: stored, second: "http; hit; ttl=8"},
		{name: "stale from the start", ttl: minute, response: []string{"Cache-Control", "max-age=0"}, first: missed, second: missed},
		{name: "older than its lifetime", ttl: minute, response: []string{"Cache-Control", "max-age=9", "Age", "9"}, first: missed, second: missed},
		{name: "Age counts", response: []string{"Cache-Control", "max-age=9", "Age", "4"}, first: stored, second: "http; hit; ttl=4"},
		{name: "no-store", ttl: minute, response: []string{"Cache-Control", "no-store"}, first: missed, second: missed},
		{name: "private", ttl: minute, response: []string{"Cache-Control", "private"}, first: missed, second: missed},
		{name: "no-cache", ttl: minute, response: []string{"Cache-Control", "no-cache"}, first: missed, second: missed},
		{name: "Set-Cookie", ttl: minute, response: []string{"Set-Cookie", "a=b"}, first: missed, second: missed},
		{name: "Vary", ttl: minute, response: []string{"Vary", "Accept"}, first: stored, second: "http; hit; ttl=59"},
		{name: "Vary *", ttl: minute, response: []string{"Vary", "*"}, first: missed, second: missed},
		{name: "404", ttl: minute, status: 404, first: missed, second: missed},
		{name: "206", ttl: minute, status: 206, first: missed, second: missed},
		{name: "events", ttl: minute, response: []string{"Content-Type", "text/event-stream"}, first: missed, second: missed},
		{name: "an unreadable Content-Length", ttl: minute, response: []string{"Content-Length", "four"}, first: missed, second: missed},
		{name: "too short for its Content-Length", ttl: minute, response: []string{"Content-Length", "5"}, first: missed, second: missed},
		{name: "Authorization", ttl: minute, request: []string{"Authorization", "x"}, first: missed, second: missed},
		{name: "Upgrade", ttl: minute, request: []string{"Upgrade", "websocket"}, first: bypass, second: bypass},
		{name: "request no-store", ttl: minute, request: []string{"Cache-Control", "no-store"}, first: "http; fwd=request", second: "http; fwd=request"},
		{name: "no key", ttl: minute, target: "/unkeyed", first: bypass, second: bypass},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
					setFields(w.Header(), tc.response)
					if tc.status != 0 {
						w.WriteHeader(tc.status)
					}
					fmt.Fprint(w, "body")
				}}
				c := newCache(t, httpcache.Options{TTL: tc.ttl, Key: func(r *http.Request) string {
					if r.URL.Path == "/unkeyed" {
						return ""
					}
					return r.URL.String()
				}})
				h := c.Handler(o)
				target := tc.target
				if target == "" {
					target = "/a"
				}
				status := max(tc.status, 200)
				expect(t, get(h, target, tc.request...), status, tc.first, "body")
				time.Sleep(time.Second)
				expect(t, get(h, target, tc.request...), status, tc.second, "body")
			})
		})
	}
}

// What may have changed the resource takes away what is stored of it.
func TestOtherMethodsPass(t *testing.T) {
	o := text("hello")
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
	for method, stays := range map[string]bool{"POST": false, "PUT": false, "DELETE": false, "PATCH": false, "X": false, "OPTIONS": true} {
		get(h, "/"+method)
		expect(t, serve(h, request(method, "/"+method)), 200, "http; fwd=method", "hello")
		hit := strings.HasPrefix(get(h, "/"+method).Header().Get("Cache-Status"), "http; hit")
		if hit != stays {
			t.Errorf("%s: hit %v, want %v", method, hit, stays)
		}
	}
}

func TestBodyInGETIsNotCached(t *testing.T) {
	o := text("hello")
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
	for range 2 {
		r := httptest.NewRequest("GET", "/a", strings.NewReader(`{"user":1}`))
		expect(t, serve(h, r), 200, bypass, "hello")
	}
}

func TestReload(t *testing.T) {
	for _, field := range [][]string{{"Cache-Control", "no-cache"}, {"Cache-Control", "max-age=0"}, {"Pragma", "no-cache"}} {
		var answer string
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Fail") != "" {
				http.Error(w, "failed", 500)
				return
			}
			fmt.Fprint(w, answer)
		}}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		answer = "old"
		get(h, "/a")
		answer = "new"
		if w := get(h, "/a"); w.Body.String() != "old" {
			t.Errorf("%s: %q before the reload", field, w.Body)
		}
		expect(t, get(h, "/a", field...), 200, "http; fwd=request; stored", "new")
		if w := get(h, "/a"); w.Body.String() != "new" {
			t.Errorf("%s: %q after the reload", field, w.Body)
		}
		expect(t, get(h, "/a", append(field, "X-Fail", "1")...), 500, "http; fwd=request", "failed\n")
		if w := get(h, "/a"); w.Body.String() != "new" {
			t.Errorf("%s: %q after a reload that failed", field, w.Body)
		}
		o.expectRuns(t, 3)
	}
}

func TestHEAD(t *testing.T) {
	o := text("hello", "Content-Type", "text/plain")
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
	if w := serve(h, request("HEAD", "/a")); w.Header().Get("Cache-Status") != missed {
		t.Errorf("a HEAD that missed: %q", w.Header().Get("Cache-Status"))
	}
	expect(t, get(h, "/a"), 200, stored, "hello")
	w := serve(h, request("HEAD", "/a"))
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "5" ||
		!strings.HasPrefix(w.Header().Get("Cache-Status"), "http; hit") {
		t.Errorf("a HEAD that hit: %d, %v, %q", w.Code, w.Header(), w.Body)
	}
	o.expectRuns(t, 2)
}

func TestConditional(t *testing.T) {
	for _, tc := range []struct {
		name     string
		response []string
		etag     string // "": the one that is made
		modified string
	}{
		{"made ETag", []string{"Content-Type", "text/plain"}, "", "Mon, 02 Jan 2040 15:04:05 GMT"},
		{"own ETag", []string{"Etag", `W/"v1"`, "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT", "Content-Language", "de"},
			`W/"v1"`, "Mon, 02 Jan 2006 15:04:05 GMT"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := text("hello", append(tc.response, "Cache-Control", "max-age=60", "Vary-Not", "x")...)
			h := newCache(t, httpcache.Options{}).Handler(o)
			get(h, "/a")
			etag := get(h, "/a").Header().Get("ETag")
			if tc.etag != "" && etag != tc.etag {
				t.Fatalf("ETag %s, want %s", etag, tc.etag)
			}
			for _, fields := range [][]string{
				{"If-None-Match", etag}, {"If-None-Match", `"x", ` + etag}, {"If-None-Match", "*"}, {"If-Modified-Since", tc.modified},
			} {
				w := get(h, "/a", fields...)
				if w.Code != 304 || w.Body.Len() != 0 {
					t.Errorf("%q: %d, %q", fields, w.Code, w.Body)
				}
				for _, name := range []string{"Etag", "Date", "Cache-Control", "Age", "Cache-Status", "Vary-Not"} {
					if w.Header().Get(name) == "" {
						t.Errorf("%q: no %s in the 304", fields, name)
					}
				}
				for _, name := range []string{"Content-Type", "Content-Length", "Content-Language", "Last-Modified"} {
					if got := w.Header().Get(name); got != "" {
						t.Errorf("%q: %s: %s in the 304", fields, name, got)
					}
				}
			}
			if w := get(h, "/a", "If-None-Match", `"x"`, "If-Modified-Since", tc.modified); w.Code != 200 || w.Body.String() != "hello" {
				t.Errorf("another tag: %d, %q", w.Code, w.Body)
			}
			o.expectRuns(t, 1)
		})
	}
}

func TestAgeAndExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := text("hello", "Cache-Control", "max-age=60", "Age", "10")
		h := newCache(t, httpcache.Options{}).Handler(o)
		expect(t, get(h, "/a"), 200, stored, "hello")
		for _, step := range []struct {
			wait        time.Duration
			age, status string
		}{
			{0, "10", "http; hit; ttl=50"},
			{20 * time.Second, "30", "http; hit; ttl=30"},
			{29500 * time.Millisecond, "59", "http; hit; ttl=0"},
		} {
			time.Sleep(step.wait)
			w := get(h, "/a")
			if age := w.Header().Get("Age"); age != step.age {
				t.Errorf("Age %s, want %s", age, step.age)
			}
			expect(t, w, 200, step.status, "hello")
		}
		time.Sleep(500 * time.Millisecond)
		expect(t, get(h, "/a"), 200, stored, "hello")
		o.expectRuns(t, 2)
	})
}

// A slow body ages while it is made.
func TestAgeOfSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(5 * time.Second) // nothing is said yet: this isn't age
			fmt.Fprint(w, "hel")
			time.Sleep(20 * time.Second)
			fmt.Fprint(w, "lo")
		}}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		get(h, "/a")
		if w := get(h, "/a"); w.Header().Get("Age") != "20" || w.Header().Get("Cache-Status") != "http; hit; ttl=40" {
			t.Errorf("Age %s, %s", w.Header().Get("Age"), w.Header().Get("Cache-Status"))
		}
	})
}

func TestKeys(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host, r.URL) }}
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
	for _, target := range []string{
		"http://a.example/x", "http://b.example/x", "http://a.example/y", "http://a.example/x?q=1", "http://a.example/x?q=2",
		"http://a.example/x?q=1&q=2", "http://a.example/x?q=2&q=1",
	} {
		first := get(h, target)
		if first.Header().Get("Cache-Status") != stored {
			t.Errorf("%s: %s", target, first.Header().Get("Cache-Status"))
		}
		if second := get(h, target); second.Body.String() != first.Body.String() || second.Header().Get("Age") == "" {
			t.Errorf("%s: %v", target, second.Header())
		}
	}
	if w := get(h, "http://a.example/x?q=1&q=2"); strings.Contains(fmt.Sprint(w.Header()), "example") {
		t.Errorf("the key is in the answer: %v", w.Header())
	}
}

func TestOwnKeySeesGET(t *testing.T) {
	o := text("hello")
	h := newCache(t, httpcache.Options{TTL: minute, Key: func(r *http.Request) string { return r.Method + r.Header.Get("X-User") }}).Handler(o)
	get(h, "/a", "X-User", "1")
	get(h, "/b", "X-User", "1")
	serve(h, request("HEAD", "/c", "X-User", "1"))
	o.expectRuns(t, 1)
	get(h, "/a", "X-User", "2")
	o.expectRuns(t, 2)
}

func TestPurge(t *testing.T) {
	o := text("hello")
	c := newCache(t, httpcache.Options{TTL: minute})
	h := c.Handler(o)
	get(h, "http://a.example/x?b=1&a=2")
	get(h, "http://a.example/y")
	r, err := http.NewRequest("PURGE", "http://a.example/x?a=2&b=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Purge(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	expect(t, get(h, "http://a.example/x?b=1&a=2"), 200, stored, "hello")
	get(h, "http://a.example/y")
	o.expectRuns(t, 3)
}

func TestClosedCachePasses(t *testing.T) {
	o := text("hello")
	c := newCache(t, httpcache.Options{TTL: minute})
	h := c.Handler(o)
	get(h, "/a")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		expect(t, get(h, "/a"), 200, missed, "hello")
	}
	o.expectRuns(t, 3)
}

func TestStats(t *testing.T) {
	c := newCache(t, httpcache.Options{TTL: minute})
	h := c.Handler(text("hello"))
	get(h, "/a")
	get(h, "/a")
	get(h, "/a", "If-None-Match", "*")
	get(h, "/a", "Authorization", "x")
	s := c.Stats()
	if s.Tiers.LocalHits < 2 || s.Tiers.Loads != 1 || s.Tiers.LoadErrors != 0 {
		t.Errorf("%+v", s.Tiers)
	}
	s.Tiers = httpcache.Stats{}.Tiers
	if want := (httpcache.Stats{Hits: 2, NotModified: 1, Misses: 2, Stored: 1}); s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
}

func TestWrongOptions(t *testing.T) {
	for want, o := range map[string]httpcache.Options{
		"httpcache: Options.SealKeys: codec: Sealed's key \"1\" has a Secret of 10 bytes: want 32":                                             {SealKeys: []codec.SealKey{{ID: "1", Secret: []byte("a password")}}},
		"httpcache: Options.TTL is -1s: want 0 (what the responses say) or more":                                                               {TTL: -time.Second},
		"httpcache: Options.MaxBody is -1: want 0 (8388608) or more bytes":                                                                     {MaxBody: -1},
		"httpcache: Options.MaxCost is -2: want 0 (67108864) or more bytes":                                                                    {MaxCost: -2},
		"httpcache: Options.TTL is 300ns: want at least 1ms; a plain number counts nanoseconds: 300 seconds are 300*time.Second":               {TTL: 300},
		"httpcache: Options.StaleWhileRevalidate is 60ns: want at least 1ms; a plain number counts nanoseconds: 60 seconds are 60*time.Second": {StaleWhileRevalidate: 60},
		"httpcache: Options.StaleIfError is 3.6µs: want at least 1ms; a plain number counts nanoseconds: 3600 seconds are 3600*time.Second":    {StaleIfError: 3600},
		"httpcache: Options.Keep is 5ns: want at least 1ms; a plain number counts nanoseconds: 5 seconds are 5*time.Second":                    {Keep: 5},
		"httpcache: Options.MaxBody is 2000 and MaxCost is 1000: want a MaxBody of at most MaxCost, or a Redis":                                {MaxBody: 2000, MaxCost: 1000},
		"httpcache: Options.MaxBody is 67108865 and MaxCost is 67108864: want a MaxBody of at most MaxCost, or a Redis":                        {MaxBody: 64<<20 + 1},
		"httpcache: Options.KeyHeaders has \"X-Tenant:\": want a field's name":                                                                 {KeyHeaders: []string{"X-Tenant:"}},
		"httpcache: Options.KeyHeaders has \"\": want a field's name":                                                                          {KeyHeaders: []string{""}},
		"httpcache: Options.Encodings has \"br, gzip\": want a content coding's name":                                                          {Encodings: []string{"br, gzip"}},
		"httpcache: Options.IgnoreQuery has \"utm_*x\": want a parameter's name, with a * at its end at most":                                  {IgnoreQuery: []string{"utm_*x"}},
	} {
		if _, err := httpcache.New(o); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	newCache(t, httpcache.Options{MaxCost: 1 << 20}) // less than the default of MaxBody, which is less then
	_, err := httpcache.New(httpcache.Options{Name: "a:b"})
	if err == nil || !strings.HasPrefix(err.Error(), "httpcache: ") || !strings.Contains(err.Error(), `Name is "a:b"`) {
		t.Errorf("%v", err)
	}
}
