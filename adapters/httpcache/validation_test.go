package httpcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
)

// validating is an origin that answers with 304 where it can. Each answer is numbered in X-Run.
func validating(tag *string, fields ...string) *origin {
	o := &origin{}
	o.handler = func(w http.ResponseWriter, r *http.Request) {
		setFields(w.Header(), append([]string{"ETag", *tag, "X-Run", fmt.Sprint(o.runs.Load())}, fields...))
		if r.Header.Get("If-None-Match") == *tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "body of ", *tag)
	}
	return o
}

// A 304 makes what is stored fresh again, with its fields, for all; a 200 replaces it.
func TestValidation(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	tag := `"1"`
	o := validating(&tag, "Cache-Control", "max-age=10")
	first := newCache(t, httpcache.Options{Redis: connect(t, server)})
	second := newCache(t, httpcache.Options{Redis: connect(t, server)})
	get(first.Handler(o), "/a")
	for i, want := range []string{"1", "2", "2"} {
		if i == 1 {
			o.handler = validating(&tag, "Cache-Control", "max-age=100").validatingAs("2").handler
			w := get(first.Handler(o), "/a", "Cache-Control", "no-cache")
			if s := w.Header().Get("Cache-Status"); w.Code != 200 || s != "http; fwd=request; fwd-status=304; stored" {
				t.Errorf("%d, %s", w.Code, s)
			}
		}
		observe.Until(t, "the response", func() bool {
			w := get(second.Handler(o), "/a")
			return w.Body.String() == `body of "1"` && w.Header().Get("X-Run") == want && strings.Contains(w.Header().Get("Cache-Status"), "hit")
		})
	}
	tag = `"2"`
	if w := get(first.Handler(o), "/a", "Cache-Control", "no-cache"); w.Body.String() != `body of "2"` {
		t.Errorf("%v, %q", w.Header(), w.Body)
	}
	observe.Until(t, "the response", func() bool { return get(second.Handler(o), "/a").Body.String() == `body of "2"` })
}

// validatingAs numbers all answers alike.
func (o *origin) validatingAs(run string) *origin {
	next := o.handler
	o.handler = func(w http.ResponseWriter, r *http.Request) {
		next(renumbered{w, run}, r)
	}
	return o
}

type renumbered struct {
	http.ResponseWriter
	run string
}

func (w renumbered) WriteHeader(status int) {
	w.Header().Set("X-Run", w.run)
	w.ResponseWriter.WriteHeader(status)
}

// What the client has already is found out when what the cache has is known to hold, or to be something new.
func TestClientsConditionAfterValidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tag := `"1"`
		o := validating(&tag, "Cache-Control", "max-age=10")
		h := newCache(t, httpcache.Options{}).Handler(o)
		get(h, "/a")
		time.Sleep(11 * time.Second)
		expect(t, get(h, "/a", "If-None-Match", `"0", "1"`), 304, "http; fwd=stale; fwd-status=304; stored", "")
		time.Sleep(11 * time.Second)
		expect(t, get(h, "/a", "If-None-Match", `"0"`), 200, "http; fwd=stale; fwd-status=304; stored", `body of "1"`)
		time.Sleep(11 * time.Second)
		tag = `"2"`
		expect(t, get(h, "/a", "If-None-Match", `"2"`), 304, "http; fwd=stale; fwd-status=200; stored", "")
		expect(t, get(h, "/a"), 200, "http; hit; ttl=10", `body of "2"`)
		time.Sleep(11 * time.Second)
		tag = `"3"`
		expect(t, get(h, "/a", "If-None-Match", `"2"`), 200, "http; fwd=stale; stored", `body of "3"`)
	})
}

// A 304 about another entity tag updates no field: it says no more than that what is stored holds.
func TestNotModifiedWithAnotherETag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			setFields(w.Header(), []string{"Cache-Control", "max-age=10", "ETag", fmt.Sprintf(`"%d"`, o.runs.Load()), "X-Any", fmt.Sprint(o.runs.Load())})
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, "hello")
		}
		h := newCache(t, httpcache.Options{}).Handler(o)
		get(h, "/a")
		time.Sleep(15 * time.Second)
		for range 2 {
			w := get(h, "/a")
			if w.Body.String() != "hello" || w.Header().Get("X-Any") != "1" || w.Header().Get("ETag") != `"1"` {
				t.Errorf("%d, %v, %q", w.Code, w.Header(), w.Body)
			}
		}
		o.expectRuns(t, 2)
	})
}

// A handler that answers 304 to who had no condition isn't asked about anything: nothing is freshened, or stored.
func TestNotModifiedToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.handler = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=10")
			if o.runs.Load() > 1 {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, "hello")
		}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		get(h, "/a")
		time.Sleep(11 * time.Second)
		for range 2 {
			if w := get(h, "/a"); w.Code != 304 {
				t.Errorf("%d, %v, %q", w.Code, w.Header(), w.Body)
			}
		}
		if w := get(h, "/b"); w.Code != 304 {
			t.Errorf("%d", w.Code)
		}
	})
}

// no-cache is asked about each time; those who come together ask once.
func TestNoCacheIsValidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tag := `"1"`
		o := validating(&tag, "Cache-Control", "no-cache")
		answer := o.handler
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			answer(w, r)
		}
		h := newCache(t, httpcache.Options{}).Handler(o)
		for i := range 3 {
			w := get(h, "/a")
			if w.Body.String() != `body of "1"` {
				t.Errorf("%d, %q", w.Code, w.Body)
			}
			o.expectRuns(t, int64(i+1))
		}
		time.Sleep(time.Second)
		answers := concurrently(10, h, "/a")
		for range 10 {
			if w := <-answers; w.Body.String() != `body of "1"` || w.Header().Get("X-Run") != "4" {
				t.Errorf("%d, %v, %q", w.Code, w.Header(), w.Body)
			}
		}
		o.expectRuns(t, 4)
	})
}
