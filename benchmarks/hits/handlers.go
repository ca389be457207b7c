package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v3"
	fibers "github.com/gofiber/fiber/v3/middleware/cache"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

const (
	path = "/api/v1/users?skip=0&limit=20"
	etag = `"3c59dc048e8850243be8079a5c74d079"`
)

// page is the body of the responses: 3 KB.
var page = []byte("[" + strings.Repeat(`{"id":7,"name":"Ada Lovelace","email":"ada@analytical.example","city":"London"},`, 39)[:3070] + "]")

// The fields of the origin's response, and those that a cache adds on a hit.
var (
	fields = http.Header{
		"Content-Type":   {"application/json"},
		"Content-Length": {strconv.Itoa(len(page))},
		"Cache-Control":  {"max-age=3600"},
		"Etag":           {etag},
		"Date":           {time.Now().UTC().Format(http.TimeFormat)},
	}
	added = http.Header{"Age": {"0"}, "Cache-Status": {"http; hit; ttl=3600"}}
)

// origin returns a net/http handler that writes the page with these fields.
func origin(header http.Header) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), header)
		_, _ = w.Write(page)
	})
}

// unmodified returns a net/http handler whose response is a 304 with those of the fields that belong to one.
func unmodified(header http.Header) http.Handler {
	brief := maps.Clone(header)
	delete(brief, "Content-Type")
	delete(brief, "Content-Length")
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), brief)
		w.WriteHeader(http.StatusNotModified)
	})
}

// fiberOrigin is origin for Fiber, which sets Date and Content-Length itself.
func fiberOrigin(header http.Header) fiber.Handler {
	names := slices.Sorted(maps.Keys(header))
	return func(c fiber.Ctx) error {
		out := c.Response()
		for _, name := range names {
			if name != "Date" && name != "Content-Length" {
				out.Header.Set(name, header[name][0])
			}
		}
		out.SetBodyRaw(page)
		return nil
	}
}

func both(a, b http.Header) http.Header {
	sum := maps.Clone(a)
	maps.Copy(sum, b)
	return sum
}

// serve runs one of the servers.
func serve(name string, in io.Reader, out io.Writer) (err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	cache, err := httpcache.New(httpcache.Options{SharedBodies: name == "fibercache, shared"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cache.Close()) }()

	ended := make(chan error, 1)
	go func() {
		switch name {
		case "origin":
			ended <- http.Serve(listener, origin(fields))
		case "net/http":
			ended <- http.Serve(listener, origin(both(fields, added)))
		case "net/http, 304":
			ended <- http.Serve(listener, unmodified(both(fields, added)))
		case "httpcache":
			ended <- http.Serve(listener, cache.Handler(origin(fields)))
		case "Fiber":
			ended <- serveFiber(listener, fiberOrigin(both(fields, added)))
		case "fibercache", "fibercache, shared":
			ended <- serveFiber(listener, fibercache.New(cache), fiberOrigin(fields))
		case "Fiber's cache":
			ended <- serveFiber(listener, fibers.New(fibers.Config{StoreResponseHeaders: true, MaxBytes: 64 << 20}), fiberOrigin(fields))
		default:
			ended <- fmt.Errorf("-serve is %q: there is no such server", name)
		}
	}()
	go func() {
		_, err := io.Copy(io.Discard, in) // until the parent exits
		ended <- err
	}()
	fmt.Fprintf(out, "http://%s\n", listener.Addr())
	return <-ended
}

func serveFiber(listener net.Listener, handlers ...fiber.Handler) error {
	app := fiber.New()
	for _, h := range handlers {
		app.Use(h)
	}
	return app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true})
}
