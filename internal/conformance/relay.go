package main

import (
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// relay is a server that sends each request on through an http.RoundTripper with a private cache: the suite's client can only talk to a
// server. It has no cache itself.
type relay struct {
	url    string
	server *http.Server
	cache  *httpcache.Cache
	origin *http.Transport
	done   chan error // the result of Serve
}

// startRelay starts a relay to an origin. Its options are those of examples/proxy, for the private cache of one user, whatever the
// cookies are.
func startRelay(origin string) (*relay, error) {
	target, err := url.Parse(origin)
	if err != nil {
		return nil, err
	}
	cache, err := httpcache.New(httpcache.Options{
		Name:         "client",
		Private:      true,
		User:         func(*http.Request) string { return "the suite" },
		Heuristic:    true,
		StaleIfError: time.Hour,
		StorePosts:   true,
	})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, cache.Close())
	}
	// Node closes idle connections after 5 seconds.
	transport := &http.Transport{DisableCompression: true, IdleConnTimeout: 4 * time.Second, MaxIdleConnsPerHost: 256}
	r := &relay{url: "http://" + listener.Addr().String(), cache: cache, origin: transport, done: make(chan error, 1)}
	r.server = &http.Server{ReadHeaderTimeout: patience, Handler: &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: cache.Transport(transport),
	}}
	go func() { r.done <- r.server.Serve(listener) }()
	return r, nil
}

// end closes the relay and its connections.
func (r *relay) end() error {
	err := r.server.Close()
	<-r.done
	r.origin.CloseIdleConnections()
	return errors.Join(err, r.cache.Close())
}
