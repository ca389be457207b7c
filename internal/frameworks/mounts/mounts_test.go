package mounts_test

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/mux"
	"github.com/julienschmidt/httprouter"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// pages is an application: it answers for a path "/u/{id}" and for "/private".
type pages interface {
	user(w http.ResponseWriter, r *http.Request, id string)
	private(w http.ResponseWriter, r *http.Request)
}

// mount is a way to put a cache in front of pages, in one of the frameworks. prefix is what the paths begin with.
type mount struct {
	name, prefix string
	build        func(c *httpcache.Cache, p pages) http.Handler
}

var mounts = []mount{
	{"ServeMux, cache outside", "", func(c *httpcache.Cache, p pages) http.Handler { return c.Handler(serveMux(p)) }},
	{"ServeMux, cache inside", "", func(c *httpcache.Cache, p pages) http.Handler {
		m := http.NewServeMux()
		m.Handle("GET /u/{id}", c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.user(w, r, r.PathValue("id")) })))
		m.Handle("GET /private", c.Handler(http.HandlerFunc(p.private)))
		return m
	}},
	{"StripPrefix", "/api", func(c *httpcache.Cache, p pages) http.Handler {
		m := http.NewServeMux()
		m.Handle("/api/", http.StripPrefix("/api", c.Handler(serveMux(p))))
		return m
	}},
	{"chi Use", "", func(c *httpcache.Cache, p pages) http.Handler {
		r := chi.NewRouter()
		r.Use(middleware.RequestID, middleware.Recoverer, c.Handler)
		chiRoutes(r, p)
		return r
	}},
	{"chi With", "", func(c *httpcache.Cache, p pages) http.Handler {
		r := chi.NewRouter()
		chiRoutes(r.With(c.Handler), p)
		return r
	}},
	{"chi Route and Group", "/api", func(c *httpcache.Cache, p pages) http.Handler {
		r := chi.NewRouter()
		r.Route("/api", func(r chi.Router) {
			r.Group(func(r chi.Router) {
				r.Use(c.Handler)
				chiRoutes(r, p)
			})
		})
		return r
	}},
	{"chi Mount", "/api", func(c *httpcache.Cache, p pages) http.Handler {
		sub, r := chi.NewRouter(), chi.NewRouter()
		sub.Use(c.Handler)
		chiRoutes(sub, p)
		r.Mount("/api", sub)
		return r
	}},
	{"echo v4", "", func(c *httpcache.Cache, p pages) http.Handler {
		e := echo4.New()
		e.Use(echo4.WrapMiddleware(c.Handler))
		e.GET("/u/:id", func(c echo4.Context) error { p.user(c.Response(), c.Request(), c.Param("id")); return nil })
		e.GET("/private", func(c echo4.Context) error { p.private(c.Response(), c.Request()); return nil })
		return e
	}},
	{"echo v4 Group", "/api", func(c *httpcache.Cache, p pages) http.Handler {
		e := echo4.New()
		g := e.Group("/api", echo4.WrapMiddleware(c.Handler))
		g.GET("/u/:id", func(c echo4.Context) error { p.user(c.Response(), c.Request(), c.Param("id")); return nil })
		g.GET("/private", func(c echo4.Context) error { p.private(c.Response(), c.Request()); return nil })
		return e
	}},
	{"echo v5", "", func(c *httpcache.Cache, p pages) http.Handler {
		e := echo5.New()
		e.Use(echo5.WrapMiddleware(c.Handler))
		e.GET("/u/:id", func(c *echo5.Context) error { p.user(c.Response(), c.Request(), c.Param("id")); return nil })
		e.GET("/private", func(c *echo5.Context) error { p.private(c.Response(), c.Request()); return nil })
		return e
	}},
	{"gin, cache outside", "", func(c *httpcache.Cache, p pages) http.Handler {
		e := gin.New()
		ginRoutes(e, p)
		return c.Handler(e)
	}},
	{"gin Use", "", func(c *httpcache.Cache, p pages) http.Handler {
		e := gin.New()
		e.Use(gin.Recovery(), ginWrap(c.Handler))
		ginRoutes(e, p)
		return e
	}},
	{"gin Group", "/api", func(c *httpcache.Cache, p pages) http.Handler {
		e := gin.New()
		ginRoutes(e.Group("/api", ginWrap(c.Handler)), p)
		return e
	}},
	{"gorilla Use", "", func(c *httpcache.Cache, p pages) http.Handler {
		r := mux.NewRouter()
		r.Use(c.Handler)
		gorillaRoutes(r, p)
		return r
	}},
	{"gorilla Subrouter", "/api", func(c *httpcache.Cache, p pages) http.Handler {
		r := mux.NewRouter()
		sub := r.PathPrefix("/api").Subrouter()
		sub.Use(c.Handler)
		gorillaRoutes(sub, p)
		return r
	}},
	{"httprouter", "", func(c *httpcache.Cache, p pages) http.Handler {
		r := httprouter.New()
		r.Handler("GET", "/u/:id", c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.user(w, r, httprouter.ParamsFromContext(r.Context()).ByName("id"))
		})))
		r.Handler("GET", "/private", c.Handler(http.HandlerFunc(p.private)))
		return r
	}},
}

func serveMux(p pages) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /u/{id}", func(w http.ResponseWriter, r *http.Request) { p.user(w, r, r.PathValue("id")) })
	m.HandleFunc("GET /private", p.private)
	return m
}

func chiRoutes(r chi.Router, p pages) {
	r.Get("/u/{id}", func(w http.ResponseWriter, r *http.Request) { p.user(w, r, chi.URLParam(r, "id")) })
	r.Get("/private", p.private)
}

func ginRoutes(r gin.IRouter, p pages) {
	r.GET("/u/:id", func(c *gin.Context) { p.user(c.Writer, c.Request, c.Param("id")) })
	r.GET("/private", func(c *gin.Context) { p.private(c.Writer, c.Request) })
}

func gorillaRoutes(r *mux.Router, p pages) {
	r.HandleFunc("/u/{id}", func(w http.ResponseWriter, r *http.Request) { p.user(w, r, mux.Vars(r)["id"]) })
	r.HandleFunc("/private", p.private)
}

// ginWrap is how middleware of net/http is commonly used in gin: the handlers after it run in its next.
func ginWrap(m func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			before, request := c.Writer, c.Request
			defer func() { c.Writer, c.Request = before, request }()
			c.Writer, c.Request, passed = &ginWriter{before, w}, r, true
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
		if !passed {
			c.Abort()
		}
	}
}

// ginWriter is gin's writer over another one.
type ginWriter struct {
	gin.ResponseWriter
	w http.ResponseWriter
}

func (w *ginWriter) Header() http.Header { return w.w.Header() }

func (w *ginWriter) WriteHeader(status int) { w.w.WriteHeader(status) }

func (w *ginWriter) Write(p []byte) (int, error) { return w.w.Write(p) }

func (w *ginWriter) WriteString(s string) (int, error) { return w.w.Write([]byte(s)) }
