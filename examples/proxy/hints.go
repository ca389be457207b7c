package main

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"

	"github.com/gofiber/fiber/v3"
)

// hints forwards the 103 answers of an origin on Fiber. Of their fields fasthttp sends Link, and it has no other 1xx answer to
// send, but for the 100 that is its own.
type hints struct {
	c     fiber.Ctx
	mu    sync.Mutex
	ended bool // the final answer is there, or the client has left: the Ctx is the handler's again
}

// trace returns a context with which the transport, which calls in a goroutine of its own, says what 1xx answers have come.
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
	_ = h.c.RequestCtx().EarlyHints() // if the client has left, nobody is left to be told
	set(around)
	return nil
}

// end is called when RoundTrip has returned. It waits for an answer that is being forwarded.
func (h *hints) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
}
