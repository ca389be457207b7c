package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"time"
)

// newHandler forwards requests. It knows nothing of the cache around it.
func newHandler(o *origin) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:   o.rewrite,
		Transport: o.transport,
		ErrorLog:  slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			code := status(r, err)
			http.Error(w, http.StatusText(code), code)
		},
	}
}

// forwarded says before the cache where a request came from.
func forwarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := forwardedBy(r.RemoteAddr, r.Host, r.TLS != nil)
		for _, name := range forwardedFields {
			if r.Header.Del(name); said[name] != "" {
				r.Header.Set(name, said[name])
			}
		}
		next.ServeHTTP(w, r)
	})
}

// httpServer is net/http's server with the ways of Fiber's.
type httpServer struct{ http.Server }

func newServer(h http.Handler) *httpServer {
	return &httpServer{http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}}
}

// Serve returns nil where Shutdown ended it.
func (s *httpServer) Serve(l net.Listener) error {
	if err := s.Server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown leaves no connection behind, even when ctx ends first.
func (s *httpServer) Shutdown(ctx context.Context) error {
	if err := s.Server.Shutdown(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}
