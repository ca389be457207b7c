package httpcache

import "net/http"

// Exchange is one request with the way to answer it, as a server's adapter gives it to [Cache.Answer]. Its methods are
// called in the goroutine that called Answer.
type Exchange interface {
	// Request returns the request: method, host, URL, header with canonical names, ContentLength and context. What is
	// in it may be kept. The body isn't read.
	Request() *http.Request

	// Serve answers with what was stored. It is called at most once, and then Run isn't.
	Serve(*Reply)

	// Run runs the handler, answers with what that makes, and shows it to the Recording: first Head, when the status
	// and the header fields are final, then Body, in the order in which the body goes to the client, and Stream if parts
	// of it are sent while it is being made. Where something goes wrong it calls Drop. A response whose head wasn't
	// shown when Run returns is not stored.
	Run(*Recording)
}
