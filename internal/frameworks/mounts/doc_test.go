package mounts_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v3"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
)

// Each Go block in docs/mounting.md is, except for its indentation, in an example file, which is compiled.
func TestMountingBlocksAreCompiled(t *testing.T) {
	page, err := os.ReadFile("../../../docs/mounting.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("example_*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var compiled strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		compiled.WriteString(flat(string(text)))
	}
	blocks := strings.Split(string(page), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("docs/mounting.md has no Go blocks")
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(compiled.String(), flat(block)) {
			t.Errorf("not in an example:\n%s", block)
		}
	}
}

// The examples in docs/mounting.md serve hits, to clients that accept gzip and to those that don't.
func TestMountedAsDocumented(t *testing.T) {
	user := longPage([]string{"Cache-Control", "max-age=60"})
	origin, err := url.Parse(listen(t, user).URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, serve := range map[string]func(c *httpcache.Cache) string{
		"ServeMux": func(c *httpcache.Cache) string {
			return listen(t, mountInServeMux(c, user, http.NotFoundHandler())).URL + "/users/1"
		},
		"chi":  func(c *httpcache.Cache) string { return listen(t, mountInChi(c, user)).URL + "/users/1" },
		"huma": func(c *httpcache.Cache) string { return listen(t, mountInHuma(c, getHumaUser)).URL + "/users/1" },
		"echo v4": func(c *httpcache.Cache) string {
			return listen(t, mountInEcho4(c, echo4.WrapHandler(user))).URL + "/users/1"
		},
		"echo v5": func(c *httpcache.Cache) string {
			return listen(t, mountInEcho5(c, echo5.WrapHandler(user))).URL + "/users/1"
		},
		"gin":     func(c *httpcache.Cache) string { return listen(t, mountInGin(c, gin.WrapH(user))).URL + "/users/1" },
		"gorilla": func(c *httpcache.Cache) string { return listen(t, mountInGorilla(c, user)).URL + "/api/users/1" },
		"httprouter": func(c *httpcache.Cache) string {
			return listen(t, mountInHttprouter(c, user)).URL + "/users/1"
		},
		"Fiber": func(c *httpcache.Cache) string {
			return listenFiber(t, mountInFiber(c, func(c fiber.Ctx) error {
				c.Set("Cache-Control", "max-age=60")
				return c.SendString(long)
			})) + "/users/1"
		},
		"sessions": func(c *httpcache.Cache) string { return listen(t, mountWithSessions(c, scs.New(), user)).URL },
		"proxy":    func(c *httpcache.Cache) string { return listen(t, mountInProxy(c, origin)).URL },
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(newCache(t, httpcache.Options{}))
			client := newClient(t)
			for _, coding := range []string{"gzip", ""} {
				first := get(t, client, url, accepting(coding, "")...)
				again := get(t, client, url, accepting(coding, "")...)
				if first.status != http.StatusOK || decoded(t, first) != long || first.body != again.body ||
					!strings.Contains(again.header.Get("Cache-Status"), "; hit") {
					t.Errorf("%q: %d, %v, then %v", coding, first.status, first.header, again.header)
				}
			}
		})
	}
}

// With Outermost, a server with a BaseContext renews stale responses in the background.
func TestMountedWithBaseContext(t *testing.T) {
	type key struct{}
	server, cache, err := mountWithBaseContext(context.WithValue(t.Context(), key{}, 1), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		_, _ = io.WriteString(w, time.Now().String())
	}))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(nil)
	s.Config = server
	s.Start()
	client := newClient(t)
	first := get(t, client, s.URL)
	observe.Until(t, "a new response", func() bool {
		a := get(t, client, s.URL)
		if status := a.header.Get("Cache-Status"); !strings.Contains(status, "; hit") {
			t.Fatalf("%q isn't a hit", status)
		}
		return a.body != first.body
	})
	client.CloseIdleConnections()
	s.Close()
	if err := cache.Close(); err != nil {
		t.Error(err)
	}
}

// flat returns the text without indentation and empty lines.
func flat(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
