package mounts_test

import (
	"io"
	"log"
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/julienschmidt/httprouter"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// layer is middleware of net/http.
type layer = func(http.Handler) http.Handler

// onServer returns the serve function of a mounting in a handler.
func onServer(build func(a *app, s stack) http.Handler) func(t *testing.T, a *app, s stack) string {
	return func(t *testing.T, a *app, s stack) string { return listen(t, build(a, s)).URL }
}

var everywhere = []recovery{nowhere, inside, outside}

func cacheLayer(c *httpcache.Cache) layer { return c.Handler }

var recoverLayer = handlers.RecoveryHandler(handlers.RecoveryLogger(log.New(io.Discard, "", 0)))

// layers returns the cache and the recovering middleware in their order.
func (s stack) layers() []layer { return arrange(s, cacheLayer, recoverLayer) }

// wrap puts layers around a handler, the first one outermost.
func wrap(h http.Handler, layers []layer) http.Handler {
	for i := len(layers) - 1; i >= 0; i-- {
		h = layers[i](h)
	}
	return h
}

var serveMuxMountings = []mounting{
	{"ServeMux", "outside of all", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		return wrap(serveMux(a, ""), s.layers())
	})},
	{"ServeMux", "per route", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		m := http.NewServeMux()
		m.Handle("/{kind}/{id}", wrap(muxPages(a), s.layers()))
		return m
	})},
	{"ServeMux", "group", "/api", everywhere, onServer(func(a *app, s stack) http.Handler {
		m := http.NewServeMux()
		m.Handle("/api/", wrap(serveMux(a, "/api"), s.layers()))
		return m
	})},
	{"ServeMux", "sub-router with StripPrefix", "/api", everywhere, onServer(func(a *app, s stack) http.Handler {
		m := http.NewServeMux()
		m.Handle("/api/", http.StripPrefix("/api", wrap(serveMux(a, ""), s.layers())))
		return m
	})},
}

func muxPages(a *app) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, r.PathValue("kind"), r.PathValue("id")) }
}

func serveMux(a *app, prefix string) http.Handler {
	m := http.NewServeMux()
	m.Handle(prefix+"/{kind}/{id}", muxPages(a))
	return m
}

func chiLayers(s stack) []layer { return arrange(s, cacheLayer, middleware.Recoverer) }

func chiRoutes(r chi.Router, a *app) chi.Router {
	r.HandleFunc("/{kind}/{id}", func(w http.ResponseWriter, r *http.Request) {
		a.serve(w, r, chi.URLParam(r, "kind"), chi.URLParam(r, "id"))
	})
	return r
}

var chiMountings = []mounting{
	{"chi", "outside of all", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		return wrap(chiRoutes(chi.NewRouter(), a), chiLayers(s))
	})},
	{"chi", "global", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		r := chi.NewRouter()
		r.Use(middleware.RequestID, middleware.StripSlashes)
		r.Use(chiLayers(s)...)
		return chiRoutes(r, a)
	})},
	{"chi", "group", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		r := chi.NewRouter()
		r.Group(func(r chi.Router) {
			r.Use(chiLayers(s)...)
			chiRoutes(r, a)
		})
		return r
	})},
	{"chi", "per route", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		r := chi.NewRouter()
		chiRoutes(r.With(chiLayers(s)...), a)
		return r
	})},
	{"chi", "sub-router of Route", "/api", everywhere, onServer(func(a *app, s stack) http.Handler {
		r := chi.NewRouter()
		r.Route("/api", func(r chi.Router) {
			r.Use(chiLayers(s)...)
			chiRoutes(r, a)
		})
		return r
	})},
	{"chi", "sub-router of Mount", "/api", everywhere, onServer(func(a *app, s stack) http.Handler {
		sub, r := chi.NewRouter(), chi.NewRouter()
		sub.Use(chiLayers(s)...)
		r.Mount("/api", chiRoutes(sub, a))
		return r
	})},
}

func gorillaPages(a *app) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, mux.Vars(r)["kind"], mux.Vars(r)["id"]) }
}

// gorillaLayers returns the layers in the type that the router has for them.
func gorillaLayers(s stack) (list []mux.MiddlewareFunc) {
	for _, l := range s.layers() {
		list = append(list, l)
	}
	return list
}

var gorillaMountings = []mounting{
	{"gorilla/mux", "outside of all", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		r := mux.NewRouter()
		r.HandleFunc("/{kind}/{id}", gorillaPages(a))
		return wrap(r, s.layers())
	})},
	{"gorilla/mux", "global", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		r := mux.NewRouter()
		r.Use(gorillaLayers(s)...)
		r.HandleFunc("/{kind}/{id}", gorillaPages(a))
		return r
	})},
	{"gorilla/mux", "per route", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		r := mux.NewRouter()
		r.Handle("/{kind}/{id}", wrap(gorillaPages(a), s.layers()))
		return r
	})},
	{"gorilla/mux", "sub-router", "/api", everywhere, onServer(func(a *app, s stack) http.Handler {
		r := mux.NewRouter()
		sub := r.PathPrefix("/api").Subrouter()
		sub.Use(gorillaLayers(s)...)
		sub.HandleFunc("/{kind}/{id}", gorillaPages(a))
		return r
	})},
}

// httprouterRoutes returns a router, which recovers from panics itself if recovery is outside.
func httprouterRoutes(a *app, layers []layer, r recovery) http.Handler {
	router := httprouter.New()
	if r == outside {
		router.PanicHandler = func(w http.ResponseWriter, _ *http.Request, _ any) { w.WriteHeader(http.StatusInternalServerError) }
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		router.Handler(method, "/:kind/:id", wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			of := httprouter.ParamsFromContext(r.Context())
			a.serve(w, r, of.ByName("kind"), of.ByName("id"))
		}), layers))
	}
	return router
}

var httprouterMountings = []mounting{
	{"httprouter", "outside of all", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		return wrap(httprouterRoutes(a, nil, nowhere), s.layers())
	})},
	{"httprouter", "per route", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		return httprouterRoutes(a, arrange(s, cacheLayer), s.recovery)
	})},
}
