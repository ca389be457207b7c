package httpcache

import (
	"context"
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Exchange is one request, and a way to respond to it. A server's adapter passes it to [Cache.Answer]. Its methods are
// called in the goroutine that called Answer.
type Exchange interface {
	// Request returns the request: method, host, URL, header with canonical names, ContentLength and context. Its strings
	// may be kept; the request itself isn't read after Answer has returned, unless Run or Detach was called. The body
	// isn't read.
	Request() *http.Request

	// Around returns the lines of a field that handlers around the cache have set in the response. name is canonical. It isn't
	// called after the handler has run, and the lines aren't changed.
	Around(name string) []string

	// Serve sends a stored response, and must not keep the Reply. It is called at most once, and is the last call. It
	// may be called after a Run that was held.
	Serve(*Reply)

	// Run runs the handler on the request with the Recording's Edits, sends its response, and passes it to the
	// Recording: first Head, when the status and the header fields are final, then Body, in the order in which the body
	// is sent to the client, and Stream if parts of it are sent while it is being made. After an error it calls
	// Drop. A response is not stored if Head wasn't called when Run returns. If the Recording is Held after Head, nothing
	// of the response may be sent, including its header fields. A panic before the head, if the
	// response MayHold, is passed as the Head of a 500: if that is Held, the panic is passed to Panicked and doesn't continue.
	Run(*Recording)

	// Detach returns an Exchange that may be run after Answer has returned, in another goroutine, and sends nothing to a client.
	// Its Run passes a copy of the request, as the client sent it but with the method GET and without a body, through the server's
	// outermost handler, with the Recording's Context. If that arrives at a cache, Answer is called with an Exchange and with that
	// context, or one derived from it. The context of its Request must have nothing that ends with this request, and is only
	// used for a load's own context. Serve isn't called on it. If it returns nil, which means that the server can't do that, stale responses
	// are renewed before they are served.
	Detach() Exchange
}

// clientExchange is an Exchange that can end without a response.
type clientExchange interface {
	Exchange

	// deliver passes on a response or an error.
	deliver(*http.Response, error)
}

func isClient(x Exchange) bool {
	_, ok := x.(clientExchange)
	return ok
}

// Previewer is an Exchange whose Request is expensive to make, while most hits need little of it.
type Previewer interface {
	Exchange

	// Preview returns the request like Request, and is called before it. The request has only the relevant header fields, and the
	// context is returned separately. Its strings, except the method, are only valid until Request, Run or Detach is called, or
	// Answer returns. It returns nil if there is no preview.
	Preview() (*http.Request, context.Context)
}

// RelevantField returns the canonical name of a field that a Preview must have; "" for other fields. The name may be in any case.
func RelevantField(name string) (canonical string) { return rfc9111.RelevantField(name) }
