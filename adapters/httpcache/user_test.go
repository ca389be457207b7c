package httpcache_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// A crowd of users, of whom each gets what was made for them, as long as it isn't said to be for all; and none of them waits
// for another.
func TestUsersInACrowd(t *testing.T) {
	for _, field := range []string{"Authorization", "Cookie"} {
		for name, control := range map[string]string{"private": "private, max-age=60", "no-store": "no-store"} {
			t.Run(field+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const users = 20
					gate := make(chan struct{})
					o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
						<-gate
						w.Header().Set("Cache-Control", control)
						fmt.Fprint(w, r.Header.Get(field))
					}}
					h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
					var answers []<-chan *httptest.ResponseRecorder
					for i := range users {
						answers = append(answers, concurrently(1, h, "/me", field, fmt.Sprint("user ", i)))
					}
					synctest.Wait()
					o.expectRuns(t, users)
					close(gate)
					for i, ch := range answers {
						if w := <-ch; w.Body.String() != fmt.Sprint("user ", i) {
							t.Errorf("user %d got %q", i, w.Body)
						}
					}
					if w := get(h, "/me"); w.Body.String() != "" {
						t.Errorf("nobody got %q", w.Body)
					}
				})
			})
		}
	}
}

// Options.Collapse has the last word on who waits.
func TestCollapse(t *testing.T) {
	for _, all := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
				<-gate
				fmt.Fprint(w, "hello")
			}}
			h := newCache(t, httpcache.Options{TTL: minute, Collapse: func(*http.Request) bool { return all }}).Handler(o)
			with, without := concurrently(5, h, "/a", "Cookie", "a=b"), concurrently(5, h, "/a")
			synctest.Wait()
			if runs := o.runs.Load(); all && runs != 1 || !all && runs != 10 {
				t.Errorf("%d runs with Collapse %v", runs, all)
			}
			close(gate)
			for range 5 {
				<-with
				<-without
			}
		})
	}
}

// Options.User tells users apart, whatever a URL looks like.
func TestUserKey(t *testing.T) {
	h := newCache(t, httpcache.Options{
		TTL:  minute,
		Key:  func(r *http.Request) string { return r.URL.Path },
		User: func(r *http.Request) string { return r.Header.Get("X-User") },
	}).Handler(&origin{handler: func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL.Path, " of ", r.Header.Get("X-User"))
	}})
	for range 2 {
		for _, tc := range [][2]string{{"/me", "alice"}, {"/me", "bob"}, {"/me", ""}, {"/me:alice", ""}, {"/me%3Aalice", ""}, {"/me:", "alice"}} {
			r := request("GET", "/")
			r.URL.Path = tc[0]
			if tc[1] != "" {
				r.Header.Set("X-User", tc[1])
			}
			if w := serve(h, r); w.Body.String() != tc[0]+" of "+tc[1] {
				t.Errorf("%q got %q", tc, w.Body)
			}
		}
	}
}

// Set-Cookie is one user's, unless the response says that it is for all.
func TestSetCookie(t *testing.T) {
	for _, tc := range []struct {
		control string
		share   bool
		hit     bool
	}{
		{"max-age=60", false, false}, {"max-age=60", true, true}, {"public, max-age=60", false, true}, {"s-maxage=60", false, true},
		{"private, max-age=60", true, false}, {`max-age=60, no-cache="set-cookie"`, false, true}, {"", true, true}, {"", false, false},
	} {
		h := newCache(t, httpcache.Options{TTL: minute, ShareCookies: tc.share}).Handler(text("hello", "Set-Cookie", "a=b", "Cache-Control", tc.control))
		get(h, "/a")
		w := get(h, "/a")
		stripped := tc.control == `max-age=60, no-cache="set-cookie"`
		if isHit(w) != tc.hit || (w.Header().Get("Set-Cookie") == "") != stripped {
			t.Errorf("%q, shared %v: %v", tc.control, tc.share, w.Header())
		}
	}
}

// A private cache in front of a handler is the same as in front of a client.
func TestPrivateHandler(t *testing.T) {
	h := newCache(t, httpcache.Options{Private: true}).Handler(&origin{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60, s-maxage=0")
		fmt.Fprint(w, r.Header.Get("Cookie"))
	}})
	for _, again := range []bool{false, true} {
		for _, user := range []string{"alice", "bob"} {
			if w := get(h, "/a", "Cookie", user); isHit(w) != again || w.Body.String() != user {
				t.Errorf("%s got %q, %v", user, w.Body, w.Header())
			}
		}
	}
}
