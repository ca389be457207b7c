package main

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"

	"github.com/gofiber/fiber/v3"
)

// hints forwards an origin's 103 responses on Fiber. fasthttp sends only their Link fields, and can't send other 1xx responses,
// except for its own 100.
type hints struct {
	c     fiber.Ctx
	mu    sync.Mutex
	ended bool // the final response has arrived, or the client has disconnected: only the handler may use the Ctx
}

// trace returns a context with which the transport reports 1xx responses. It does so in a goroutine of its own.
func (h *hints) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: h.got})
}

func (h *hints) got(code int, header textproto.MIMEHeader) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	links := header["Link"]
	if h.ended || code != http.StatusEarlyHints || len(links) == 0 || !h.c.Request().Header.IsHTTP11() {
		return nil
	}
	out := &h.c.Response().Header
	var around []string // of handlers around this one
	for _, line := range out.PeekAll(fiber.HeaderLink) {
		around = append(around, string(line))
	}
	set := func(lines []string) {
		out.Del(fiber.HeaderLink)
		for _, line := range lines {
			out.Add(fiber.HeaderLink, line)
		}
	}
	set(links)
	_ = h.c.RequestCtx().EarlyHints() // it fails if the client has disconnected
	set(around)
	return nil
}

// end is called when RoundTrip has returned. It waits for a response that is being forwarded.
func (h *hints) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
}
