package inspect

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// New returns a handler of the pages, whose URLs are relative: it may be mounted anywhere, with http.StripPrefix. It returns an error
// if an option is invalid. The handler starts no goroutine.
func New(o Options) (http.Handler, error) {
	if len(o.Caches) == 0 {
		return nil, errors.New("inspect: Options.Caches is empty: want at least one cache")
	}
	if o.AllowWrites && o.Authorize == nil {
		return nil, errors.New("inspect: Options.AllowWrites is set, and Authorize is nil: want a function that decides who may delete values")
	}
	if o.Title == "" {
		o.Title = "Caches"
	}
	h := &handler{options: o, caches: make(map[string]*observed)}
	for i, c := range o.Caches {
		if c == nil {
			return nil, fmt.Errorf("inspect: Options.Caches[%d] is nil: want a cache", i)
		}
		if _, twice := h.caches[c.Name()]; twice {
			return nil, fmt.Errorf("inspect: Options.Caches has two caches named %q: want different names", c.Name())
		}
		h.caches[c.Name()] = &observed{Cache: c}
	}
	return h.routes(), nil
}

// policy lets the pages load nothing but their own style sheet, run no script, be framed by nobody and send their forms only back.
const policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const stylePath = "/style.css"

// routes returns the handler with what guards it: Authorize first, then the protection against requests that another site's page makes.
func (h *handler) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.overview)
	for path, page := range map[string]cachePage{
		"cache": h.cache, "keys": h.keys, "key": h.key, "tags": h.tags, "tag": h.tag, "hot": h.hot, "events": h.events, "purge": h.confirm,
	} {
		mux.HandleFunc("GET /"+path, h.of(page))
	}
	mux.HandleFunc("POST /purge", h.of(h.purge))
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", policy)
		head.Set("Cache-Control", "no-store")
		head.Set("Referrer-Policy", "same-origin")
		head.Set("X-Content-Type-Options", "nosniff")
		if r.URL.Path == stylePath { // the page that refuses a person needs it, too
			http.ServeFileFS(w, r, files, "pages/style.css")
			return
		}
		if h.options.Authorize != nil && h.options.Authorize(r) != nil {
			h.refuse(w, http.StatusForbidden, "You may not see this page.")
			return
		}
		// http.StripPrefix of a mount without a slash at its end leaves "", to which relative URLs can't refer.
		if r.URL.Path == "" {
			h.refuse(w, http.StatusNotFound, "There is no such page. Does the URL lack a slash at its end?")
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// cachePage serves a page of a cache.
type cachePage func(w http.ResponseWriter, r *http.Request, o *observed)

// of calls the page of the cache that the query, or a form, names.
func (h *handler) of(page cachePage) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		o := h.caches[r.FormValue("c")]
		if o == nil {
			h.refuse(w, http.StatusNotFound, "There is no cache of this name.")
			return
		}
		o.observe(time.Now())
		page(w, r, o)
	}
}

// maxForm is the size of the largest form that is read, which may have a key.
const maxForm = 1 << 20
