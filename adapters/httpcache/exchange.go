package httpcache

import (
	"context"
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Exchange is one request with the way to answer it, as a server's adapter gives it to [Cache.Answer]. Its methods are
// called in the goroutine that called Answer.
type Exchange interface {
	// Request returns the request: method, host, URL, header with canonical names, ContentLength and context. Strings
	// out of it may be kept; it is itself not read after Answer has returned, unless Run or Detach was called. The body
	// isn't read.
	Request() *http.Request

	// Around returns the lines of a field that handlers around the cache have set in the answer so far. name is canonical. It isn't
	// called once the handler has run, and the lines aren't changed.
	Around(name string) []string

	// Serve answers with what was stored, and doesn't keep the Reply. It is called at most once, and after that nothing is. It
	// may be called after a Run that was held.
	Serve(*Reply)

	// Run runs the handler on the request with the Recording's Edits, answers with what that makes, and shows it to the
	// Recording: first Head, when the status and the header fields are final, then Body, in the order in which the body
	// goes to the client, and Stream if parts of it are sent while it is being made. Where something goes wrong it calls
	// Drop. A response whose head wasn't shown when Run returns is not stored. If the Recording is Held after Head, nothing
	// of the response is sent, nor kept in the answer, of the header fields neither. A panic before the head, where the
	// response MayHold, is shown as the Head of a 500: if that is Held, it goes to Panicked and no further.
	Run(*Recording)

	// Detach returns an Exchange that may be run after Answer has returned, in another goroutine, and sends nothing to anybody.
	// Its Run sends a copy of the request, as the client sent it but with GET as its method and without a body, through the server's
	// outermost handler, on the Recording's Context. Where that comes to a cache, Answer is called with an Exchange and with that
	// context, or one made of it. Its Request needs a context with nothing in it that ends with this request, and only
	// has to be good for a load's own context. Serve isn't called on it. nil: the server can't do that; then what is stale is
	// renewed before it is served.
	Detach() Exchange
}

// Previewer is an Exchange whose Request has to be made first, where most hits need little of it.
type Previewer interface {
	Exchange

	// Preview returns the request like Request, and before it, but without the header fields that aren't relevant, and with the
	// context beside it. Strings out of it, except for the method, are only good until Request, Run or Detach is called, or
	// Answer returns. nil: there is no such thing.
	Preview() (*http.Request, context.Context)
}

// RelevantField reports whether a Preview has the field, and returns its canonical name; else "". The name may be in any case.
func RelevantField(name string) (canonical string) { return rfc9111.RelevantField(name) }

// Edit is a change of a header: of a request's for the handler, or of an answer's.
type Edit struct {
	Name  string // canonical
	Value string // "": the field is removed
}
