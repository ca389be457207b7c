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

// newHandler returns the handler that forwards requests. It doesn't know of the cache around it.
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

// forwarded sets the fields that say where a request came from. It runs before the cache.
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

// httpServer is net/http's server with the methods of Fiber's.
type httpServer struct{ http.Server }

func newServer(h http.Handler) *httpServer {
	return &httpServer{http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}}
}

// Serve returns nil after Shutdown.
func (s *httpServer) Serve(l net.Listener) error {
	if err := s.Server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown waits for running requests. If ctx ends first, it closes their connections.
func (s *httpServer) Shutdown(ctx context.Context) error {
	if err := s.Server.Shutdown(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}
