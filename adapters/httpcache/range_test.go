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

const digits = "0123456789"

// file is an origin that knows conditions and ranges.
func file(fields ...string) *origin {
	return &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		setFields(w.Header(), append([]string{"ETag", `"f"`, "Content-Type", "text/plain"}, fields...))
		http.ServeContent(w, r, "", time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), strings.NewReader(digits))
	}}
}

// Ranges of what is stored whole.
func TestRangeOfTheWhole(t *testing.T) {
	const date = "Fri, 01 Jan 1999 00:00:00 GMT"
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(file())
	get(h, "/a")
	for _, tc := range []struct {
		bytes   string
		ifRange string
		code    int
		body    string
		content string
	}{
		{"bytes=0-3", "", 206, "0123", "bytes 0-3/10"},
		{"bytes=7-", "", 206, "789", "bytes 7-9/10"},
		{"bytes=-2", "", 206, "89", "bytes 8-9/10"},
		{"bytes=-99", "", 206, digits, "bytes 0-9/10"},
		{"bytes=9-99", "", 206, "9", "bytes 9-9/10"},
		{"bytes=10-", "", 416, "", "bytes */10"},
		{"bytes=-0", "", 416, "", "bytes */10"},
		{"bytes=0-1,4-5", "", 200, digits, ""},
		{"bytes=" + strings.Repeat("0-9,", 2000) + "0-9", "", 200, digits, ""},
		{"bytes=5-2", "", 200, digits, ""},
		{"bytes=18446744073709551616-", "", 416, "", "bytes */10"},
		{"lines=0-1", "", 200, digits, ""},
		{"bytes=0-3", `"f"`, 206, "0123", "bytes 0-3/10"},
		{"bytes=0-3", `W/"f"`, 200, digits, ""},
		{"bytes=0-3", `"g"`, 200, digits, ""},
		{"bytes=0-3", date, 206, "0123", "bytes 0-3/10"},
		{"bytes=0-3", "Fri, 01 Jan 1999 00:00:01 GMT", 200, digits, ""},
	} {
		fields := []string{"Range", tc.bytes}
		if tc.ifRange != "" {
			fields = append(fields, "If-Range", tc.ifRange)
		}
		w := get(h, "/a", fields...)
		got := w.Header()
		if w.Code != tc.code || w.Body.String() != tc.body || got.Get("Content-Range") != tc.content ||
			got.Get("Content-Length") != fmt.Sprint(len(tc.body)) || !strings.Contains(got.Get("Cache-Status"), "; hit") {
			t.Errorf("%.40s, If-Range %s: %d, %v, %q", tc.bytes, tc.ifRange, w.Code, got, w.Body)
		}
		head := serve(h, request("HEAD", "/a", fields...))
		if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != "10" {
			t.Errorf("HEAD %.40s: %d, %v", tc.bytes, head.Code, head.Header())
		}
	}
	if w := get(h, "/a", "Range", "bytes=0-3", "If-None-Match", `"f"`); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
}

// A part of what isn't stored comes from the handler, and serves what lies in it.
func TestRangeOfAPart(t *testing.T) {
	o := file("Cache-Control", "max-age=60")
	h := newCache(t, httpcache.Options{}).Handler(o)
	expect(t, get(h, "/a", "Range", "bytes=2-6"), 206, stored, "23456")
	for _, tc := range []struct{ bytes, body string }{{"bytes=2-6", "23456"}, {"bytes=3-3", "3"}, {"bytes=-5", ""}, {"bytes=0-3", ""}} {
		w := get(h, "/a", "Range", tc.bytes, "Cache-Control", "only-if-cached")
		if tc.body == "" && w.Code != 504 || tc.body != "" && (w.Code != 206 || w.Body.String() != tc.body) {
			t.Errorf("%s: %d, %v, %q", tc.bytes, w.Code, w.Header(), w.Body)
		}
	}
	if w := get(h, "/a", "Range", "bytes=3-3", "If-Range", `"other"`); w.Code != 200 || w.Body.String() != digits {
		t.Errorf("%d, %q", w.Code, w.Body)
	}
	// Nor is it anything else than a part to who asks for the whole.
	expect(t, get(h, "/a"), 200, stored, digits)
	expect(t, get(h, "/a", "Range", "bytes=-5"), 206, "http; hit; ttl=59", "56789")
}

// A handler that doesn't know ranges answers with the whole, which is for the next range, too; one that answers with a part
// to who didn't ask is passed on.
func TestRangeUnknownToTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := text(digits, "Cache-Control", "max-age=60")
		h := newCache(t, httpcache.Options{}).Handler(o)
		expect(t, get(h, "/a", "Range", "bytes=2-6"), 200, stored, digits)
		expect(t, get(h, "/a", "Range", "bytes=4-5"), 206, "http; hit; ttl=60", "45")
		o.handler = func(w http.ResponseWriter, _ *http.Request) {
			setFields(w.Header(), []string{"Cache-Control", "max-age=60", "Content-Range", "bytes 0-1/10"})
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, "01")
		}
		for range 2 {
			expect(t, get(h, "/b"), 206, missed, "01")
		}
	})
}

// The client's own conditions go to the handler with its range: only that can tell what they come to.
func TestConditionalRangeOfNothingStored(t *testing.T) {
	h := newCache(t, httpcache.Options{}).Handler(file("Cache-Control", "max-age=60"))
	if w := get(h, "/a", "Range", "bytes=0-1", "If-None-Match", `"f"`); w.Code != 304 {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
}
