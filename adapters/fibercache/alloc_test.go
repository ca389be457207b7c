package fibercache_test

import (
	"bufio"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// A hit allocates nothing, whatever the client sends with its request.
func TestHitAllocatesNothing(t *testing.T) {
	app := fiber.New()
	app.Get("/users", fibercache.New(newCache(t, httpcache.Options{})), func(c fiber.Ctx) error {
		c.Set("Cache-Control", "max-age=3600")
		c.Set("Etag", `"1"`)
		return c.SendString("hello")
	})
	handler := app.Handler()
	most := 0.0
	if raceDetector() {
		most = 8 // its pools forget some of what they are given
	}
	const browser = "User-Agent: Mozilla/5.0\r\nAccept-Encoding: gzip, br\r\nAccept-Language: de\r\nSec-Fetch-Mode: navigate\r\n"
	for name, request := range map[string]struct {
		fields string
		status int
	}{
		"whole":        {browser, http.StatusOK},
		"not modified": {browser + "If-None-Match: \"1\"\r\n", http.StatusNotModified},
	} {
		t.Run(name, func(t *testing.T) {
			var ctx fasthttp.RequestCtx
			raw := "GET /users?a=b&c HTTP/1.1\r\nHost: a.example\r\n" + request.fields + "\r\n"
			if err := ctx.Request.Read(bufio.NewReader(strings.NewReader(raw))); err != nil {
				t.Fatal(err)
			}
			hit := func() {
				ctx.Response.Header.Reset()
				handler(&ctx)
			}
			hit()
			// A pool may be emptied, and a second may begin: what is beside the point is lost in the mean.
			if n := testing.AllocsPerRun(10_000, hit); n > most {
				t.Errorf("%v allocations, want at most %v", n, most)
			}
			if got := ctx.Response.StatusCode(); got != request.status {
				t.Errorf("status %d, want %d", got, request.status)
			}
		})
	}
}

func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
