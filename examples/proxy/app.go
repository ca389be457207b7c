package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

const (
	maxUpload  = 64 << 20 // bytes of a request's body, which Fiber reads before it is forwarded
	maxCollect = 8 << 20  // bytes of a response's body: longer ones are streamed, and not cached
	maxHead    = 64 << 10 // bytes of a request's header
)

// methods are Fiber's own, which refuses others, and those of WebDAV and its extensions.
var methods = append(slices.Clone(fiber.DefaultMethods),
	"COPY", "LOCK", "M-SEARCH", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH", "REPORT", "SEARCH", "UNLOCK")

// app is Fiber's server with the methods of net/http's.
type app struct{ fiber *fiber.App }

// newApp returns the proxy on Fiber: the cache is in front of the handler that forwards.
func newApp(cache *httpcache.Cache, o *origin) *app {
	a := fiber.New(fiber.Config{
		RequestMethods:               methods,
		BodyLimit:                    maxUpload,
		ReadBufferSize:               maxHead,
		ReadTimeout:                  time.Minute,
		DisableDefaultDate:           true, // it would replace the origin's
		DisablePreParseMultipartForm: true, // forms pass unchanged
	})
	a.Use(forwardedFiber, fibercache.New(cache), (&forwarder{origin: o}).handle)
	return &app{a}
}

// Serve returns nil after Shutdown.
func (a *app) Serve(l net.Listener) error {
	return a.fiber.Listener(l, fiber.ListenConfig{DisableStartupMessage: true})
}

// Shutdown waits for running requests.
func (a *app) Shutdown(ctx context.Context) error { return a.fiber.ShutdownWithContext(ctx) }

// forwarder does on Fiber what httputil.ReverseProxy does on net/http, but doesn't switch protocols. Of 1xx responses it forwards
// those that fasthttp can send: see hints.go.
type forwarder struct{ origin *origin }

func (f *forwarder) handle(c fiber.Ctx) error {
	in, err := newRequest(c)
	if err != nil {
		return send(c, failure(http.StatusBadRequest))
	}
	out := in.Clone(in.Context())
	out.RequestURI = ""
	dropHopByHop(out.Header)
	f.origin.rewrite(&httputil.ProxyRequest{In: in, Out: out})
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", "") // otherwise the Transport sets its own
	}
	early := &hints{c: c}
	answer, err := f.origin.transport.RoundTrip(out.WithContext(early.trace(out.Context())))
	early.end()
	if err == nil {
		err = send(c, answer)
	}
	if err != nil {
		return send(c, failure(status(in, err)))
	}
	return nil
}

// forwardedFiber is forwarded for Fiber.
func forwardedFiber(c fiber.Ctx) error {
	said := forwardedBy(c.RequestCtx().RemoteAddr().String(), c.Host(), c.RequestCtx().IsTLS())
	for _, name := range forwardedFields {
		if c.Request().Header.Del(name); said[name] != "" {
			c.Request().Header.Set(name, said[name])
		}
	}
	return c.Next()
}

// failure returns a response of the proxy itself.
func failure(code int) *http.Response {
	text := http.StatusText(code) + "\n"
	return &http.Response{
		StatusCode:    code,
		Header:        http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
		ContentLength: int64(len(text)),
		Body:          io.NopCloser(strings.NewReader(text)),
	}
}

// newRequest copies everything: Fiber reuses its memory when the handler has returned, and the Transport may still be
// sending then.
func newRequest(c fiber.Ctx) (*http.Request, error) {
	target := string(c.Request().Header.RequestURI())
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, err
	}
	body := bytes.Clone(c.Request().Body()) // as it was sent; c.Body would undo a Content-Encoding
	r, err := http.NewRequestWithContext(c.Context(), strings.Clone(c.Method()), target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.URL, r.RequestURI = u, target
	r.Host = strings.Clone(c.Host())
	r.RemoteAddr = c.RequestCtx().RemoteAddr().String()
	for name, value := range c.Request().Header.All() {
		r.Header.Add(string(name), string(value))
	}
	for _, name := range []string{"Host", "Content-Length", "Expect"} { // the Transport sets the first two; Fiber has handled Expect
		r.Header.Del(name)
	}
	return r, nil
}

// send copies a response to Fiber's. If it returns an error, nothing was sent.
func send(c fiber.Ctx, answer *http.Response) error {
	dropHopByHop(answer.Header)
	out := c.Response()
	if err := sendHead(out, answer); err != nil {
		return errors.Join(err, answer.Body.Close())
	}
	if c.Method() == http.MethodHead {
		out.SkipBody = true
		return answer.Body.Close()
	}
	if live(answer) {
		out.SetBodyStream(answer.Body, int(answer.ContentLength)) // it closes the body
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxCollect+1))
	if err != nil {
		return errors.Join(fmt.Errorf("the body broke off: %w", err), answer.Body.Close())
	}
	if len(body) > maxCollect {
		out.SetBodyStream(rest{io.MultiReader(bytes.NewReader(body), answer.Body), answer.Body}, -1)
		return nil
	}
	out.SetBodyRaw(body)
	return answer.Body.Close()
}

// rest is the remainder of a body.
type rest struct {
	io.Reader
	io.Closer
}

// sendHead lets fasthttp parse the head, which is the only way to set Date: its setters ignore that field. Without it
// the cache couldn't tell how old the response was when it arrived.
func sendHead(out *fasthttp.Response, answer *http.Response) error {
	if answer.Header.Get("Date") == "" {
		answer.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %03d %s\r\n", answer.StatusCode, http.StatusText(answer.StatusCode))
	if err := answer.Header.Write(&head); err != nil {
		return err
	}
	head.WriteString("\r\n")
	if err := out.Header.Read(bufio.NewReaderSize(&head, head.Len())); err != nil {
		return err
	}
	out.Header.ResetConnectionClose()
	out.Header.SetNoDefaultContentType(true)
	return nil
}

// live reports whether the body must be streamed. One of unknown length may be endless, unless the response
// says that it may be stored.
func live(answer *http.Response) bool {
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") || answer.ContentLength > maxCollect {
		return true
	}
	return answer.ContentLength < 0 && answer.Header.Get("Cache-Control") == "" && answer.Header.Get("Expires") == ""
}

// dropHopByHop removes the hop-by-hop fields (RFC 9110, section 7.6.1).
func dropHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade",
	} {
		h.Del(name)
	}
}
