package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"
)

// origin is the server to which requests are forwarded.
type origin struct {
	url       *url.URL
	host      string // the Host field of forwarded requests; empty: the client's
	transport *http.Transport
}

func newOrigin(raw, host string) (*origin, error) {
	if raw == "" {
		return nil, errors.New("-origin is missing: want the URL to forward to, like http://localhost:8000")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("-origin: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("-origin is %q: want http://host or https://host", raw)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("-origin is %q: want a scheme, a host and perhaps a path", u.Redacted())
	}
	return &origin{url: u, host: host, transport: newTransport()}, nil
}

// newTransport returns a Transport with settings for a proxy.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext, // so that a dead origin is noticed soon
		TLSHandshakeTimeout: 5 * time.Second,
		// Uvicorn and Node close a connection after 5 idle seconds. A request at that moment gets an
		// error, and a POST can't be retried: the proxy closes idle connections earlier.
		IdleConnTimeout:       4 * time.Second,
		MaxIdleConnsPerHost:   256, // there is one host; the default is 2
		ExpectContinueTimeout: time.Second,
		ResponseHeaderTimeout: time.Minute,
		DisableCompression:    true, // the client negotiates the coding, so that bodies pass unchanged
		ForceAttemptHTTP2:     true,
	}
}

// rewrite turns a client's request into the one that is forwarded.
func (o *origin) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(o.url)
	r.Out.Host = o.host
	if o.host == "" {
		r.Out.Host = r.In.Host
	}
	for _, name := range forwardedFields {
		if lines := r.In.Header[name]; len(lines) > 0 {
			r.Out.Header[name] = lines
		}
	}
}

// forwardedFields say where a request came from. The client's aren't trusted: the proxy sets them, and does so before
// the cache, so that the origin's Vary refers to what the origin received.
var forwardedFields = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

func forwardedBy(remoteAddr, host string, tls bool) map[string]string {
	said := map[string]string{"X-Forwarded-Host": host, "X-Forwarded-Proto": "http"}
	if tls {
		said["X-Forwarded-Proto"] = "https"
	}
	if client, _, err := net.SplitHostPort(remoteAddr); err == nil {
		said["X-Forwarded-For"] = client
	}
	return said
}

// status returns the status for a request that the origin failed to answer.
func status(r *http.Request, err error) int {
	if !errors.Is(err, context.Canceled) {
		slog.WarnContext(r.Context(), "forwarding", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || timedOut(err) {
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
