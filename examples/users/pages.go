package main

import (
	"net/http"
	"net/url"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/keys"
	"github.com/tiercache/tiercache/tiered"
)

const listPath = "/api/v1/users"

// newPages makes the cache of the list's pages: whole HTTP responses, kept for a minute. A user that is updated is seen
// there when the page expires. That is a choice to make for each endpoint: a list may often be a little old, a user who
// has just saved a form wants to see what they saved.
func newPages(redis *tiered.Redis) (*httpcache.Cache, error) {
	return httpcache.New(httpcache.Options{
		Name:  "users-pages",
		Redis: redis,
		TTL:   time.Minute,
		Key:   pageKey,
	})
}

// pageKey gives every spelling of a page the same key: ?limit=20, ?skip=0&limit=20 and no query at all are
//
//	get:/api/v1/users:limit=20&skip=0
//
// and whatever else is in the query can't fill the cache with copies. Without the option the key is all of the URL.
func pageKey(r *http.Request) string {
	p, err := requestedPage(r)
	if err != nil {
		return "" // nothing for the cache
	}
	return keys.Request(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: listPath, RawQuery: p.Query()}})
}

func requestedPage(r *http.Request) (userdb.Page, error) {
	q := r.URL.Query()
	return userdb.ParsePage(q.Get("skip"), q.Get("limit"))
}
