package fiber2cache_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/adapters/fiber2cache"
	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
)

func TestMain(m *testing.M) {
	// fasthttp keeps the Date field in a goroutine that never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

func newCache(t *testing.T, o httpcache.Options) *httpcache.Cache {
	t.Helper()
	c, err := httpcache.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// get sends a request to the app, and returns the body and the Cache-Status.
func get(t *testing.T, app *fiber.App, target string, fields ...string) (body, status string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "a.example:81"
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	res, err := app.Test(r, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), res.Header.Get("Cache-Status")
}

// numbered returns a handler that counts its runs.
func numbered(control string) fiber.Handler {
	var runs atomic.Int64
	return func(c *fiber.Ctx) error {
		c.Set("Cache-Control", control)
		return c.SendString(fmt.Sprint("run ", runs.Add(1)))
	}
}

// Middleware around the cache may change a body in place, and Fiber reuses its buffers: neither changes what is stored.
func TestHit(t *testing.T) {
	app := fiber.New()
	app.Use(func(c *fiber.Ctx) error {
		err := c.Next()
		if c.Get("X-Loud") != "" {
			body := c.Response().Body()
			copy(body, bytes.ToUpper(body))
		}
		return err
	}, fiber2cache.New(newCache(t, httpcache.Options{})))
	app.All("/*", numbered("max-age=60"))
	for i, want := range []string{"http; fwd=uri-miss; stored", "http; hit; ttl=59", "http; hit; ttl=59"} {
		if body, status := get(t, app, "/a?b=c", "X-Loud", "1"); status != want || body != "RUN 1" {
			t.Errorf("%d: %q, %q", i, body, status)
		}
		if body, _ := get(t, app, fmt.Sprint("/other?n=", i)); body != fmt.Sprint("run ", i+2) {
			t.Errorf("another page: %q", body)
		}
	}
	if body, _ := get(t, app, "/a?b=c"); body != "run 1" {
		t.Errorf("%q", body)
	}
}

// The host and the scheme are those that Fiber has for the request.
func TestHostAndScheme(t *testing.T) {
	var keys []string
	cache := newCache(t, httpcache.Options{TTL: time.Minute, Key: func(r *http.Request) string {
		key := r.URL.Scheme + " " + r.Host + r.URL.Path
		keys = append(keys, strings.Clone(key))
		return key
	}})
	for _, check := range []bool{false, true} {
		keys = nil
		app := fiber.New(fiber.Config{EnableTrustedProxyCheck: check})
		app.Get("/*", fiber2cache.New(cache), numbered("max-age=60"))
		get(t, app, "/", "X-Forwarded-Host", "b.example", "X-Forwarded-Proto", "https")
		want := "https b.example/"
		if check { // and no proxy is trusted
			want = " a.example:81/"
		}
		if len(keys) == 0 || keys[0] != want {
			t.Errorf("%q, want %q", keys, want)
		}
	}
}

// An error with the code of a server error counts as that status if a stale response may be served; others are the app's.
func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		failure error
		stale   bool
	}{
		{fiber.ErrServiceUnavailable, true}, {fmt.Errorf("wrapped: %w", fiber.ErrBadGateway), true},
		{fiber.ErrNotFound, false}, {errors.New("plain"), false},
	} {
		fails := false
		app := fiber.New()
		app.Get("/*", fiber2cache.New(newCache(t, httpcache.Options{})), func(c *fiber.Ctx) error {
			if fails {
				return tc.failure
			}
			c.Set("Cache-Control", "max-age=0, stale-if-error=60")
			return c.SendString("fine")
		})
		get(t, app, "/")
		fails = true
		body, status := get(t, app, "/")
		if stale := strings.Contains(status, "stale-if-error"); stale != tc.stale || (body == "fine") != tc.stale || !stale && body != tc.failure.Error() {
			t.Errorf("%v: %q, %q", tc.failure, body, status)
		}
	}
}

type userKey struct{}

// A background run passes the whole app, with the context that handlers around the cache set.
func TestBackground(t *testing.T) {
	app := fiber.New()
	app.Use(func(c *fiber.Ctx) error {
		c.SetUserContext(context.WithValue(c.UserContext(), userKey{}, c.Get("X-User")))
		return c.Next()
	})
	var runs atomic.Int64
	app.Get("/*", fiber2cache.New(newCache(t, httpcache.Options{})), func(c *fiber.Ctx) error {
		c.Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		return c.SendString(fmt.Sprint(c.UserContext().Value(userKey{}), " ", runs.Add(1)))
	})
	observe.Until(t, "the page is renewed", func() bool {
		body, _ := get(t, app, "/", "X-User", "ada")
		if !strings.HasPrefix(body, "ada ") {
			t.Errorf("%q", body)
		}
		return body != "ada 1"
	})
}

// A hit allocates its key, and what Fiber does for UserContext.
func TestHitAllocates(t *testing.T) {
	app := fiber.New()
	app.Get("/users", fiber2cache.New(newCache(t, httpcache.Options{})), numbered("max-age=3600"))
	handler := app.Handler()
	var ctx fasthttp.RequestCtx
	if err := ctx.Request.Read(bufio.NewReader(strings.NewReader("GET /users?a=b HTTP/1.1\r\nHost: a.example\r\n\r\n"))); err != nil {
		t.Fatal(err)
	}
	hit := func() {
		ctx.Response.Header.Reset()
		handler(&ctx)
	}
	hit()
	info, _ := debug.ReadBuildInfo()
	if n := testing.AllocsPerRun(10_000, hit); n > 3 && !slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Errorf("%v allocations", n)
	}
	if status := string(ctx.Response.Header.Peek("Cache-Status")); !strings.HasPrefix(status, "http; hit") {
		t.Error(status)
	}
}

func Example() {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	app := fiber.New()
	app.Get("/users", fiber2cache.New(cache), func(c *fiber.Ctx) error {
		fmt.Println("(the handler runs)")
		return c.SendString("alice, bob")
	})

	for range 2 {
		res, err := app.Test(httptest.NewRequest("GET", "/users", nil))
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Println(res.Status, string(body))
	}
	// Output:
	// (the handler runs)
	// 200 OK alice, bob
	// 200 OK alice, bob
}
