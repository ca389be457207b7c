package mounts_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/alexedwards/scs/v2"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/compress"
	fibercors "github.com/gofiber/fiber/v3/middleware/cors"
	fiberrecover "github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/julienschmidt/httprouter"
	"github.com/klauspost/compress/gzhttp"
	echo4 "github.com/labstack/echo/v4"
	echo4middleware "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5middleware "github.com/labstack/echo/v5/middleware"
	"github.com/rs/cors"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// The functions of this file are the blocks of docs/mounting.md.

func mountInServeMux(cache *httpcache.Cache, users, update http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /users/{id}", cache.Handler(gzhttp.GzipHandler(users)))
	mux.Handle("PUT /users/{id}", cache.Handler(update)) // it removes what it changes
	return cors.Default().Handler(mux)
}

func mountInChi(cache *httpcache.Cache, user http.HandlerFunc) http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.RequestID, middleware.Recoverer, cors.Default().Handler)
	r.Group(func(r chi.Router) {
		r.Use(cache.Handler, middleware.Compress(5))
		r.Get("/users/{id}", user)
	})
	return r
}

func mountInEcho4(cache *httpcache.Cache, user echo4.HandlerFunc) http.Handler {
	e := echo4.New()
	e.Use(echo4middleware.Recover(), echo4middleware.CORS())
	e.Use(echo4.WrapMiddleware(cache.Handler), echo4Answers, echo4middleware.Gzip())
	e.GET("/users/:id", user)
	return e
}

// echo4Answers lets echo write the response for an error before the cache returns, not after it.
func echo4Answers(next echo4.HandlerFunc) echo4.HandlerFunc {
	return func(c echo4.Context) error {
		switch err := next(c); {
		case err == nil:
		case c.Response().Committed: // the body may be incomplete
			panic(http.ErrAbortHandler)
		default:
			c.Error(err)
		}
		return nil
	}
}

func mountInEcho5(cache *httpcache.Cache, user echo5.HandlerFunc) http.Handler {
	e := echo5.New()
	e.Use(echo5middleware.Recover(), echo5middleware.CORS("https://app.example"))
	e.Use(echo5.WrapMiddleware(cache.Handler), echo5Answers, echo5middleware.Gzip())
	e.GET("/users/:id", user)
	return e
}

// echo5Answers lets echo write the response for an error before the cache returns, not after it.
func echo5Answers(next echo5.HandlerFunc) echo5.HandlerFunc {
	return func(c *echo5.Context) error {
		err := next(c)
		if err == nil {
			return nil
		}
		if res, _ := echo5.UnwrapResponse(c.Response()); res != nil && res.Committed { // the body may be incomplete
			panic(http.ErrAbortHandler)
		}
		c.Echo().HTTPErrorHandler(c, err)
		return nil
	}
}

func mountInGorilla(cache *httpcache.Cache, user http.HandlerFunc) http.Handler {
	r := mux.NewRouter()
	api := r.PathPrefix("/api").Subrouter()
	api.Use(cache.Handler, handlers.CompressHandler)
	api.HandleFunc("/users/{id}", user)
	return handlers.RecoveryHandler()(cors.Default().Handler(r))
}

func mountInHttprouter(cache *httpcache.Cache, user http.Handler) http.Handler {
	r := httprouter.New()
	r.Handler(http.MethodGet, "/users/:id", cache.Handler(user)) // it reads httprouter.ParamsFromContext
	return r
}

func mountInFiber(cache *httpcache.Cache, user fiber.Handler) *fiber.App {
	app := fiber.New()
	app.Use(fiberrecover.New(), fibercors.New(), fibercache.New(cache), compress.New())
	app.Get("/users/:id", user)
	return app
}

func mountWithSessions(cache *httpcache.Cache, sessions *scs.SessionManager, pages http.Handler) http.Handler {
	return sessions.LoadAndSave(cache.Handler(pages)) // sets Vary: Cookie before the cache runs
}

func mountWithBaseContext(ctx context.Context, pages http.Handler) (*http.Server, *httpcache.Cache, error) {
	outermost := http.NewServeMux()
	cache, err := httpcache.New(httpcache.Options{Outermost: outermost})
	if err != nil {
		return nil, nil, err
	}
	outermost.Handle("/", cache.Handler(pages))
	return &http.Server{Handler: outermost, BaseContext: func(net.Listener) context.Context { return ctx }}, cache, nil
}

func mountInProxy(cache *httpcache.Cache, origin *url.URL) http.Handler {
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(origin) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Forwarded")
		r.Header.Set("X-Forwarded-Host", r.Host) // before the cache: the origin's Vary may name it
		cache.Handler(proxy).ServeHTTP(w, r)
	})
}
