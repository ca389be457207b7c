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
	cardType = "text/vcard" // the other media type of a user, besides JSON
)

// newPages makes the cache of whole HTTP responses: pages of the list, and single users. The responses say how long they may be
// cached: see keepable.
func newPages(redis *tiered.Redis) (*httpcache.Cache, error) {
	return httpcache.New(httpcache.Options{
		Name:  "users-pages",
		Redis: redis,
		Key:   pageKey,
	})
}

// keepable lets this service's cache store the response for a minute, and serve it for half a minute more while it is
// renewed. Browsers may store it, too, but must validate it each time: the cache adds an ETag, and answers with a 304.
func keepable(h http.Header, tags ...string) {
	h.Set("Cache-Control", "no-cache")
	h.Set("CDN-Cache-Control", "max-age=60, stale-while-revalidate=30") // RFC 9213: it replaces Cache-Control for this cache
	if len(tags) > 0 {
		h.Set("Cache-Tag", strings.Join(tags, ","))
	}
}

// pageKey gives every spelling of a page the same key: ?limit=20, ?skip=0&limit=20 and no query at all are
//
//	get:/api/v1/users:limit=20&skip=0
//
// and other parameters can't fill the cache with copies of the page. By default the key has the whole URL.
func pageKey(r *http.Request) string {
	u := url.URL{Path: r.URL.Path}
	switch {
	case r.URL.Path == listPath:
		p, err := requestedPage(r)
		if err != nil {
			return "" // not cached
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

// card returns the user as a vCard for address books (RFC 6350).
func card(u userdb.User) []byte {
	text := strings.NewReplacer("\\", "\\\\", ",", "\\,", ";", "\\;", "\r", "", "\n", "\\n").Replace
	return fmt.Appendf(nil, "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:%s\r\nEMAIL:%s\r\nADR:;;;%s;;;\r\nEND:VCARD\r\n",
		text(u.Name), text(u.Email), text(u.City))
}
