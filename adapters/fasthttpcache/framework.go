package fasthttpcache

import (
	"context"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// Call is a request on its way through the handlers of a framework on fasthttp.
type Call interface {
	RequestCtx() *fasthttp.RequestCtx

	// Context returns the context that the handlers see, which is context.Background() if nothing has set one.
	Context() context.Context
	SetContext(context.Context)

	// Host and Scheme return those of the client's request. Behind a proxy that the framework trusts they are those which the
	// proxy received. The strings are valid while the request is.
	Host() string
	Scheme() string

	// Next runs the handlers inside the cache.
	Next() error
}

// Framework is what frameworks on fasthttp differ in. It is for those who adapt one: packages fibercache and fiber2cache have theirs. Its
// fields are set before the first Answer, and it must not be copied after that.
type Framework[C Call] struct {
	// Server returns the server of a request: its Handler is where background runs begin. Required.
	Server func(C) *fasthttp.Server
	// Method returns the method, if handlers may have replaced it. nil: it is that of the RequestCtx.
	Method func(C) string
	// Status returns the status that an error of Next stands for, or 0. nil: none does.
	Status func(error) int

	exchanges sync.Pool // of *exchange[C]
}

// Answer answers a request with a stored response, or else calls its Next. It returns Next's error, if the framework is to write
// the response for that.
func (f *Framework[C]) Answer(cache *httpcache.Cache, c C) error {
	if d, ok := c.RequestCtx().UserValue(detachedKey{}).(*detached); ok {
		d.adoptContext(c)
	}
	x, ok := f.exchanges.Get().(*exchange[C])
	if !ok {
		x = new(exchange[C])
	}
	x.f, x.c = f, c
	if !x.preview() {
		if err := x.parse(); err != nil {
			return c.Next() // net/http would have rejected it, or parsed it differently
		}
	}
	cache.Answer(x)
	err := x.err
	x.release()
	return err
}

func (f *Framework[C]) method(c C) string {
	if f.Method != nil {
		return f.Method(c)
	}
	return viewString(c.RequestCtx().Request.Header.Method())
}
