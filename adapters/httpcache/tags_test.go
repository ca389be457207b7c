package httpcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

func tagList(n int) string {
	tags := make([]string, n)
	for i := range tags {
		tags[i] = fmt.Sprintf("%0256d", i)
	}
	return strings.Join(tags, ",")
}

// A response with more tags than can be kept goes to the client, and isn't stored: PurgeTags couldn't reach it.
func TestMoreTagsThanCanBeKept(t *testing.T) {
	for n, stored := range map[int]bool{64: true, 65: false} {
		c := newCache(t, httpcache.Options{TTL: minute})
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Tag", tagList(n))
			fmt.Fprint(w, "body")
		}))
		w := get(h, "/a")
		if status := w.Header().Get("Cache-Status"); w.Code != 200 || w.Body.String() != "body" || strings.Contains(status, "stored") != stored ||
			strings.Contains(status, "detail=tags") == stored {
			t.Errorf("%d tags: %d, %q", n, w.Code, status)
		}
		if w := get(h, "/a"); strings.HasPrefix(w.Header().Get("Cache-Status"), "http; hit") != stored {
			t.Errorf("%d tags, again: %v", n, w.Header()["Cache-Status"])
		}
		if err := c.PurgeTags(t.Context(), fmt.Sprintf("%0256d", n-1)); err != nil {
			t.Error(err)
		}
		if w := get(h, "/a"); strings.HasPrefix(w.Header().Get("Cache-Status"), "http; hit") {
			t.Errorf("%d tags, purged: %v", n, w.Header()["Cache-Status"])
		}
	}
}

// A 304 that gives a response too many tags answers the request, but what is stored isn't kept with some of them, or none.
func TestTooManyTagsByValidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		validated := false
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`)
			if r.Header.Get("If-None-Match") == "" {
				fmt.Fprint(w, "body")
				return
			}
			validated = true
			w.Header().Set("Cache-Tag", tagList(65))
			w.WriteHeader(http.StatusNotModified)
		}))
		get(h, "/a")
		time.Sleep(2 * minute)
		if w := get(h, "/a"); w.Code != 200 || w.Body.String() != "body" || !validated {
			t.Errorf("%d, %q", w.Code, w.Body)
		}
		if w := get(h, "/a"); strings.HasPrefix(w.Header().Get("Cache-Status"), "http; hit") {
			t.Errorf("again: %v", w.Header()["Cache-Status"])
		}
	})
}
