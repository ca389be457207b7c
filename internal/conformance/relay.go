package main

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
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
	log    *os.File
	done   chan error // the result of Serve
}

// startRelay starts a relay to an origin. Its options are those of examples/proxy, for the private cache of one user, whatever the
// cookies are.
func startRelay(log, origin string) (r *relay, err error) {
	target, err := url.Parse(origin)
	if err != nil {
		return nil, err
	}
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
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
	r = &relay{url: "http://" + listener.Addr().String(), cache: cache, origin: transport, log: file, done: make(chan error, 1)}
	errorLog := slog.NewLogLogger(slog.NewTextHandler(file, nil), slog.LevelWarn)
	r.server = &http.Server{ReadHeaderTimeout: patience, ErrorLog: errorLog, Handler: &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: cache.Transport(transport),
		ErrorLog:  errorLog,
	}}
	go func() { r.done <- r.server.Serve(listener) }()
	return r, nil
}

// end closes the relay and its connections.
func (r *relay) end() error {
	err := r.server.Close()
	if served := <-r.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	r.origin.CloseIdleConnections()
	return errors.Join(err, r.cache.Close(), r.log.Close())
}
