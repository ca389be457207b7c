package mounts_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	gincors "github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v3"
	fibercors "github.com/gofiber/fiber/v3/middleware/cors"
	"github.com/rs/cors"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// A page depends on the session, and the middleware of scs around the cache sets Vary: Cookie.
func TestSessionsAround(t *testing.T) {
	for name, fields := range map[string][]string{
		"fresh":     {"Cache-Control", "max-age=60"},
		"behind":    {"Cache-Control", "max-age=0, stale-while-revalidate=60"},
		"validated": {"Cache-Control", "no-cache", "ETag", `"greeting"`},
		"varies":    {"Cache-Control", "max-age=60", "Vary", "Accept-Encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			sessions := scs.New()
			greet := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				name := sessions.GetString(r.Context(), "name")
				for i := 0; i < len(fields); i += 2 {
					value := fields[i+1]
					if fields[i] == "ETag" {
						if value = fmt.Sprintf("%q", "for "+name); r.Header.Get("If-None-Match") == value {
							w.WriteHeader(http.StatusNotModified)
							return
						}
					}
					w.Header().Add(fields[i], value)
				}
				fmt.Fprintf(w, "hello %s", name)
			})
			mux := http.NewServeMux()
			mux.HandleFunc("POST /login", func(_ http.ResponseWriter, r *http.Request) {
				sessions.Put(r.Context(), "name", r.URL.Query().Get("name"))
			})
			mux.Handle("GET /", newCache(t, httpcache.Options{}).Handler(greet))
			s := listen(t, sessions.LoadAndSave(mux))
			clients := map[string]*http.Client{"": {}}
			for _, name := range []string{"ann", "bob"} {
				jar, err := cookiejar.New(nil)
				if err != nil {
					t.Fatal(err)
				}
				clients[name] = &http.Client{Jar: jar}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/login?name="+name, nil)
				if err != nil {
					t.Fatal(err)
				}
				res, err := clients[name].Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
			}
			defer http.DefaultClient.CloseIdleConnections()
			for range 20 {
				for _, name := range []string{"ann", "", "bob", "ann", ""} {
					a := get(t, clients[name], s.URL+"/")
					if a.body != "hello "+name || !slices.Contains(members(a.header["Vary"]), "cookie") {
						t.Fatalf("%q is answered %q, %v", name, a.body, a.header)
					}
				}
			}
		})
	}
}

// members returns the members of a list, in lower case, sorted, and without duplicates.
func members(lines []string) []string {
	var list []string
	for m := range strings.SplitSeq(strings.ToLower(strings.Join(lines, ",")), ",") {
		if m = strings.TrimSpace(m); m != "" {
			list = append(list, m)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// corsFields are the fields of the application's responses in the tests of CORS. Middleware sets some of them, too.
var corsFields = []string{"Cache-Control", "max-age=60", "Vary", "Accept-Encoding", "Link", "</a.css>; rel=preload", "Server-Timing", "db;dur=1"}

func servePage(w http.ResponseWriter, r *http.Request) {
	for i := 0; i < len(corsFields); i += 2 {
		w.Header().Add(corsFields[i], corsFields[i+1])
	}
	fmt.Fprint(w, "hello")
}

func fiberPage(c fiber.Ctx) error {
	for i := 0; i < len(corsFields); i += 2 {
		c.Append(corsFields[i], corsFields[i+1])
	}
	return c.SendString("hello")
}

// linked is middleware that adds to the same lists.
func linked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Link", "</outer.css>; rel=preload")
		w.Header().Add("Server-Timing", "outer")
		next.ServeHTTP(w, r)
	})
}

var origins = []string{"https://a.test", "https://b.test"}

// arounds has servers with middleware around the cache. If the cache is nil they have none.
var arounds = map[string]func(t *testing.T, c *httpcache.Cache) string{
	"rs/cors": func(t *testing.T, c *httpcache.Cache) string {
		return listen(t, linked(cors.New(cors.Options{AllowedOrigins: origins}).Handler(wrapped(c, servePage)))).URL
	},
	"rs/cors with credentials": func(t *testing.T, c *httpcache.Cache) string {
		return listen(t, cors.New(cors.Options{AllowedOrigins: origins, AllowCredentials: true}).Handler(wrapped(c, servePage))).URL
	},
	"gin-contrib/cors": func(t *testing.T, c *httpcache.Cache) string {
		e := gin.New()
		e.Use(gincors.New(gincors.Config{AllowOrigins: origins, AllowMethods: []string{"GET"}}))
		e.GET("/", gin.WrapH(wrapped(c, servePage)))
		return listen(t, e).URL
	},
	"fiber cors": func(t *testing.T, c *httpcache.Cache) string {
		app := fiber.New()
		app.Use(fibercors.New(fibercors.Config{AllowOrigins: origins}), func(c fiber.Ctx) error {
			c.Append("Link", "</outer.css>; rel=preload")
			return c.Next()
		})
		if c != nil {
			app.Use(fibercache.New(c))
		}
		app.Get("/", fiberPage)
		return listenFiber(t, app)
	},
}

func wrapped(c *httpcache.Cache, h http.HandlerFunc) http.Handler {
	if c == nil {
		return h
	}
	return c.Handler(h)
}

// listenFiber serves an app on loopback, and returns its URL.
func listenFiber(t *testing.T, app *fiber.App) string {
	t.Helper()
	serve := func(ln net.Listener) error { return app.Listener(ln, fiber.ListenConfig{DisableStartupMessage: true}) }
	return serveUntilEnd(t, serve, func() error { return app.ShutdownWithTimeout(5 * time.Second) })
}

// The lists in a response have the same members with the cache, on a miss and on a hit, as without it.
func TestCORSAround(t *testing.T) {
	for name, start := range arounds {
		t.Run(name, func(t *testing.T) {
			cached, plain := start(t, newCache(t, httpcache.Options{})), start(t, nil)
			client := &http.Client{}
			defer client.CloseIdleConnections()
			hits := 0
			for i := range 24 {
				var fields []string
				if origin := append(origins, "", "https://other.test")[i%4]; origin != "" {
					fields = []string{"Origin", origin}
				}
				a, want := get(t, client, cached, fields...), get(t, client, plain, fields...)
				if strings.Contains(a.header.Get("Cache-Status"), "; hit") {
					hits++
				}
				for _, field := range []string{"Vary", "Link", "Server-Timing", "Set-Cookie", "Cache-Control", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"} {
					if got, want := members(a.header[field]), members(want.header[field]); !slices.Equal(got, want) {
						t.Errorf("%d, %v: %s: %q, without the cache %q; %s", i, fields, field, got, want, a.header.Get("Cache-Status"))
					}
				}
				if a.status != want.status || a.body != want.body {
					t.Errorf("%v: %d %q, without the cache %d %q", fields, a.status, a.body, want.status, want.body)
				}
			}
			if hits == 0 {
				t.Error("no hits")
			}
		})
	}
}

// Middleware marks one user's responses private, and the handler doesn't: they go to that user only, whatever is stored.
func TestPrivateAround(t *testing.T) {
	options := httpcache.Options{TTL: time.Millisecond, StaleWhileRevalidate: time.Minute}
	const control = "private, no-store"
	for name, start := range map[string]func(t *testing.T, c *httpcache.Cache) string{
		"net/http": func(t *testing.T, c *httpcache.Cache) string {
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello "+r.Header.Get("X-User")) }))
			return listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-User") != "" {
					w.Header().Set("Cache-Control", control)
				}
				h.ServeHTTP(w, r)
			})).URL
		},
		"fiber": func(t *testing.T, c *httpcache.Cache) string {
			app := fiber.New()
			app.Use(func(c fiber.Ctx) error {
				if c.Get("X-User") != "" {
					c.Set("Cache-Control", control)
				}
				return c.Next()
			}, fibercache.New(c), func(c fiber.Ctx) error { return c.SendString("hello " + c.Get("X-User")) })
			return listenFiber(t, app)
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := start(t, newCache(t, options))
			client := &http.Client{}
			defer client.CloseIdleConnections()
			for range 20 {
				for _, user := range []string{"", "ann", "bob"} {
					var fields []string
					if user != "" {
						fields = []string{"X-User", user}
					}
					a := get(t, client, url, fields...)
					if a.body != "hello "+user || (user != "") != (a.header.Get("Cache-Control") == control) {
						t.Fatalf("%q is answered %q, %v", user, a.body, a.header)
					}
					if user == "" && !strings.Contains(a.header.Get("Cache-Status"), "stored") && !strings.Contains(a.header.Get("Cache-Status"), "hit") {
						t.Errorf("%v: the stored response is gone", a.header)
					}
				}
			}
		})
	}
}
