package httpcache

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// A reply's header on net/http has its Fields, in arrays of its own, and replies with the same place for what is made of them have the same.
func TestFieldsOfReplies(t *testing.T) {
	c := &Cache{options: Options{Name: "c"}}
	for name, header := range map[string][]string{
		"none":          {},
		"single lines":  {"Cache-Control", "max-age=60", "Content-Type", "text/plain", "Etag", `"1"`},
		"several lines": {"Cache-Control", "max-age=60", "Link", "<a>", "Link", "<b>", "X", "1", "X", "2"},
		"two caches":    {"Cache-Status", "other; hit", "Content-Type", "text/plain", "Etag", `"1"`},
	} {
		stored := &response{Status: 200, Header: header, Body: []byte("hello"), Lifetime: time.Minute}
		stored.prepare()
		kept := 0
		for _, request := range []*http.Request{
			{Method: "GET"}, {Method: "HEAD"}, {Method: "GET", Header: http.Header{"If-None-Match": {`"1"`}}},
			{Method: "GET", Header: http.Header{"Range": {"bytes=1-2"}}}, {Method: "GET", Header: http.Header{"Range": {"bytes=9-"}}},
		} {
			for i := range 30 {
				age := time.Duration(i) * 100 * time.Millisecond
				reply := c.reply(request, stored, age, rfc9111.Status{Cache: "c", Hit: true, TTL: stored.Lifetime - age})
				want := make(http.Header)
				for name, value := range reply.Fields() {
					want[name] = append(want[name], value)
				}
				got := make(http.Header)
				typed := reply.setIn(got)
				if _, ok := want["Content-Type"]; !maps.EqualFunc(got, want, slices.Equal[[]string]) || typed != ok {
					t.Errorf("%s, %v: %v, typed %v, want %v", name, request.Header, got, typed, want)
				}
				for _, values := range got { // as a handler may
					values[0] = "changed"
					_ = append(values, "added")
				}
				made := reply.Made()
				if made == nil {
					continue
				}
				if earlier := made.Load(); earlier == nil {
					var own any = want
					made.Store(&own)
				} else if kept++; !maps.EqualFunc((*earlier).(http.Header), want, slices.Equal[[]string]) {
					t.Errorf("%s, %v: what was made is for %v, want %v", name, request.Header, *earlier, want)
				}
			}
		}
		if kept == 0 {
			t.Errorf("%s: nothing that was made could be used", name)
		}
	}
}
