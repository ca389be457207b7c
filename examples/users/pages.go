package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/keys"
	"github.com/tiercache/tiercache/tiered"
)

const (
	listPath = "/api/v1/users"
	listTag  = "users"      // of all pages of the list
	cardType = "text/vcard" // what a user may be had as, beside JSON
)

// newPages makes the cache of whole HTTP responses: pages of the list, and single users. How long it keeps them, the
// responses say: see keepable.
func newPages(redis *tiered.Redis) (*httpcache.Cache, error) {
	return httpcache.New(httpcache.Options{
		Name:  "users-pages",
		Redis: redis,
		Key:   pageKey,
	})
}

// keepable says that this service's cache may keep the response for a minute, and serve it for half a minute more while
// it gets a new one; and that browsers may keep it if they ask each time whether it still holds. They are told so by the
// cache, with a 304, which makes the ETag for that.
func keepable(h http.Header, tags ...string) {
	h.Set("Cache-Control", "no-cache")
	h.Set("CDN-Cache-Control", "max-age=60, stale-while-revalidate=30") // RFC 9213: goes before it here
	if len(tags) > 0 {
		h.Set("Cache-Tag", strings.Join(tags, ","))
	}
}

// pageKey gives every spelling of a page the same key: ?limit=20, ?skip=0&limit=20 and no query at all are
//
//	get:/api/v1/users:limit=20&skip=0
//
// and whatever else is in the query can't fill the cache with copies. Without the option the key is all of the URL.
func pageKey(r *http.Request) string {
	u := url.URL{Path: r.URL.Path}
	switch {
	case r.URL.Path == listPath:
		p, err := requestedPage(r)
		if err != nil {
			return "" // nothing for the cache
		}
		u.RawQuery = p.Query()
	case !strings.HasPrefix(r.URL.Path, listPath+"/"):
		return ""
	}
	return keys.Request(&http.Request{Method: http.MethodGet, URL: &u})
}

func requestedPage(r *http.Request) (userdb.Page, error) {
	q := r.URL.Query()
	return userdb.ParsePage(q.Get("skip"), q.Get("limit"))
}

// card is the user as an address book takes it (RFC 6350).
func card(u userdb.User) []byte {
	text := strings.NewReplacer("\\", "\\\\", ",", "\\,", ";", "\\;", "\r", "", "\n", "\\n").Replace
	return fmt.Appendf(nil, "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:%s\r\nEMAIL:%s\r\nADR:;;;%s;;;\r\nEND:VCARD\r\n",
		text(u.Name), text(u.Email), text(u.City))
}
