package httpcache_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// A Date at the beginning of time makes a response old, and never fresh because the age is more than can be said.
func TestDateAtTheBeginningOfTime(t *testing.T) {
	for _, fields := range [][]string{
		{"Date", "Mon, 01 Jan 0001 00:00:00 GMT"},
		{"Date", "Mon, 01 Jan 1700 00:00:00 GMT"},
		{"Age", "9223372036854775807"},
	} {
		synctest.Test(t, func(t *testing.T) {
			runs := 0
			h := newCache(t, httpcache.Options{StaleIfError: math.MaxInt64}).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				runs++
				setFields(w.Header(), append(fields, "Etag", `"1"`, "Cache-Control", "max-age=60"))
				fmt.Fprint(w, runs)
			}))
			for i := range 5 {
				if w := get(h, "/a"); w.Body.String() != fmt.Sprint(i+1) {
					t.Errorf("%v, request %d: %q, %v", fields, i, w.Body, w.Header())
				}
				time.Sleep(61 * time.Second)
			}
		})
	}
}

// What is fresh, or may be served stale, for as long as can be said is so a day later, whoever says it.
func TestFreshForEver(t *testing.T) {
	t.Parallel()
	const never = "Fri, 31 Dec 9999 23:59:59 GMT"
	for name, tc := range map[string]struct {
		options httpcache.Options
		fields  []string
		fails   bool // later on
	}{
		"TTL":                           {options: httpcache.Options{TTL: math.MaxInt64}},
		"everything":                    {options: httpcache.Options{TTL: math.MaxInt64, StaleWhileRevalidate: math.MaxInt64, StaleIfError: math.MaxInt64, Keep: math.MaxInt64}},
		"StaleIfError":                  {options: httpcache.Options{TTL: minute, StaleIfError: math.MaxInt64}, fails: true},
		"StaleWhileRevalidate":          {options: httpcache.Options{TTL: minute, StaleWhileRevalidate: math.MaxInt64}, fails: true},
		"max-age":                       {fields: []string{"Cache-Control", "max-age=9223372036854775807"}},
		"max-age that is over 64 bits":  {fields: []string{"Cache-Control", "max-age=99999999999999999999999"}},
		"Expires":                       {fields: []string{"Expires", never}},
		"Expires, and a Date long ago":  {fields: []string{"Expires", never, "Date", "Mon, 01 Jan 1900 00:00:00 GMT"}},
		"stale-if-error":                {fields: []string{"Cache-Control", "max-age=60, stale-if-error=9223372036854775807"}, fails: true},
		"stale-while-revalidate":        {fields: []string{"Cache-Control", "max-age=60, stale-while-revalidate=9223372036854775807"}, fails: true},
		"max-age and options for ever":  {options: httpcache.Options{StaleIfError: math.MaxInt64, Keep: math.MaxInt64}, fields: []string{"Cache-Control", "max-age=60"}, fails: true},
		"s-maxage, and a Keep for ever": {options: httpcache.Options{Keep: math.MaxInt64}, fields: []string{"Cache-Control", "s-maxage=9223372036854775807"}},
		"CDN-Cache-Control":             {fields: []string{"CDN-Cache-Control", "max-age=2147483648"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			failing := false
			h := newCache(t, tc.options).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if failing {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				setFields(w.Header(), tc.fields)
				fmt.Fprint(w, "body")
			}))
			get(h, "/a")
			time.Sleep(24 * time.Hour)
			failing = true
			w := get(h, "/a")
			if status := w.Header().Get("Cache-Status"); w.Body.String() != "body" || !tc.fails && !strings.HasPrefix(status, "http; hit; ttl=") {
				t.Errorf("%s: %d, %q, %q", name, w.Code, w.Body, status)
			}
		})
	}
}

// The same in Redis, from where another process has it.
func TestFreshForEverInRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for i, o := range []httpcache.Options{
		{TTL: math.MaxInt64}, {TTL: math.MaxInt64, StaleIfError: math.MaxInt64, StaleWhileRevalidate: math.MaxInt64, Keep: math.MaxInt64},
	} {
		o.Name = fmt.Sprint("c", i)
		open := func() *httpcache.Cache {
			o.Redis = connect(t, s)
			return newCache(t, o)
		}
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Tag", "t")
			fmt.Fprint(w, "body")
		})
		get(open().Handler(h), "/a")
		other := open()
		if w := get(other.Handler(h), "/a"); !strings.Contains(w.Header().Get("Cache-Status"), "; hit; ttl=9") {
			t.Errorf("%v: %v", o.TTL, w.Header()["Cache-Status"])
		}
		if err := other.PurgeTags(t.Context(), "t"); err != nil {
			t.Error(err)
		}
		if w := get(open().Handler(h), "/a"); strings.Contains(w.Header().Get("Cache-Status"), "; hit") {
			t.Errorf("purged: %v", w.Header())
		}
	}
}
