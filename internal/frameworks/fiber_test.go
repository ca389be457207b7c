package frameworks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// users is a service whose handlers use Fiber's parameters as keys, tags and ids without copying them.
type users struct{ cache *tiered.Cache[string] }

func of(id string) string { return "the user " + id }

func (u *users) load(_ context.Context, e *tiered.Entry[string]) (string, error) {
	time.Sleep(time.Millisecond) // as long as a source takes
	e.Tags = append(e.Tags[:0], e.Key)
	return of(e.Key), nil
}

func (u *users) loadAll(_ context.Context, ids []string) (map[string]string, error) {
	time.Sleep(time.Millisecond)
	all := make(map[string]string)
	for _, id := range ids {
		all[id] = of(id)
	}
	return all, nil
}

func (u *users) app() *fiber.App {
	app := fiber.New()
	answer := func(c fiber.Ctx, user string, err error) error {
		switch {
		case errors.Is(err, tiered.ErrNotFound):
			return c.SendStatus(fiber.StatusNotFound)
		case errors.Is(err, tiered.ErrQueued):
			return c.SendStatus(fiber.StatusAccepted)
		case err != nil:
			return err
		}
		return c.SendString(user)
	}
	app.Get("/load/:id", func(c fiber.Ctx) error {
		user, err := u.cache.GetOrLoad(c.Context(), c.Params("id"), u.load)
		return answer(c, user, err)
	})
	app.Get("/refresh/:id", func(c fiber.Ctx) error {
		user, err := u.cache.Refresh(c.Context(), c.Params("id"), u.load)
		return answer(c, user, err)
	})
	app.Get("/loadMany/:id", func(c fiber.Ctx) error {
		id := c.Params("id")
		got, err := tiered.GetOrLoadMany(c.Context(), u.cache, []string{id}, func(id string) string { return id }, u.loadAll)
		return answer(c, got[id], err)
	})
	app.Get("/get/:id", func(c fiber.Ctx) error {
		user, err := u.cache.Get(c.Context(), c.Params("id"))
		return answer(c, user, err)
	})
	app.Get("/lookup/:id", func(c fiber.Ctx) error {
		e, err := u.cache.Lookup(c.Context(), c.Params("id"))
		return answer(c, e.Value, err)
	})
	app.Get("/getMany/:id", func(c fiber.Ctx) error {
		got, err := u.cache.GetMany(c.Context(), c.Params("id"))
		if len(got) == 0 && err == nil {
			err = tiered.ErrNotFound
		}
		return answer(c, got[c.Params("id")], err)
	})
	app.Get("/set/:id", func(c fiber.Ctx) error {
		id := c.Params("id")
		return answer(c, of(id), u.cache.Set(c.Context(), id, of(id), id))
	})
	app.Get("/setMany/:id", func(c fiber.Ctx) error {
		id := c.Params("id")
		return answer(c, of(id), u.cache.SetMany(c.Context(), map[string]string{id: of(id)}, id))
	})
	app.Get("/delete/:id", func(c fiber.Ctx) error {
		return answer(c, of(c.Params("id")), u.cache.Delete(c.Context(), c.Params("id")))
	})
	app.Get("/expire/:id", func(c fiber.Ctx) error {
		return answer(c, of(c.Params("id")), u.cache.Expire(c.Context(), c.Params("id")))
	})
	app.Get("/invalidate/:id", func(c fiber.Ctx) error {
		return answer(c, of(c.Params("id")), u.cache.InvalidateTags(c.Context(), c.Params("id")))
	})
	return app
}

// serve starts the service on loopback, and returns a function that sends it requests.
func serve(t *testing.T, app *fiber.App) (get func(target string) (status int, body string, err error)) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Listener(ln, fiber.ListenConfig{DisableStartupMessage: true}) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	client := &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := errors.Join(app.ShutdownWithTimeout(10*time.Second), <-served); err != nil {
			t.Error(err)
		}
	})
	return func(target string) (int, string, error) {
		res, err := client.Get("http://" + ln.Addr().String() + target)
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		return res.StatusCode, string(text), err
	}
}

// acts has the paths of the service, repeated by how often they are requested.
var acts = strings.Fields(strings.Repeat("load loadMany ", 8) + strings.Repeat("get lookup getMany ", 2) + "refresh set setMany delete expire invalidate")

// No response has another user's value, though Fiber reuses the memory of parameters for other requests.
func TestFiberParamsAsKeys(t *testing.T) {
	for name, p := range map[string]tiered.Policy{
		"StaleWhileRevalidate": {TTL: 2 * time.Millisecond, StaleWhileRevalidate: time.Hour},
		"RefreshAfter":         {TTL: time.Hour, RefreshAfter: time.Millisecond},
		"SoftTimeout":          {TTL: 2 * time.Millisecond, SoftTimeout: time.Millisecond, StaleIfError: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			tiers(t, func(t *testing.T, r *tiered.Redis) { askAll(t, &users{newCache(t, r, p)}) })
		})
	}
}

// askAll requests many users concurrently.
func askAll(t *testing.T, u *users) {
	get := serve(t, u.app())
	const clients, requests = 16, 200
	var wrong, found atomic.Int64
	var all sync.WaitGroup
	for i := range clients {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		all.Go(func() {
			for range requests {
				id := fmt.Sprintf("%03d", rng.IntN(100))
				act := acts[rng.IntN(len(acts))]
				status, body, err := get("/" + act + "/" + id)
				switch {
				case err != nil:
					t.Errorf("%s: %v", act, err)
				case status == fiber.StatusNotFound && !strings.HasPrefix(act, "load"):
				case status != fiber.StatusOK || body != of(id):
					if wrong.Add(1) == 1 {
						t.Errorf("%s of %s: %d, %q", act, id, status, body)
					}
				default:
					found.Add(1)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d answers were wrong, and %d right", wrong.Load(), found.Load())

	for i := range 100 { // the values left in the cache, and those with a tag
		id := fmt.Sprintf("%03d", i)
		if status, body, err := get("/load/" + id); status != fiber.StatusOK || body != of(id) || err != nil {
			t.Errorf("%s: %d, %q, %v", id, status, body, err)
		}
	}
}

// A value that is tagged with a request's parameter can be invalidated by that tag.
func TestFiberParamsAsTags(t *testing.T) {
	tiers(t, func(t *testing.T, r *tiered.Redis) {
		get := serve(t, (&users{newCache(t, r, tiered.Policy{TTL: time.Hour})}).app())
		ask := func(want int, target string) {
			t.Helper()
			if status, body, err := get(target); status != want || err != nil {
				t.Errorf("%s: %d, %q, %v", target, status, body, err)
			}
		}
		for _, fill := range []string{"load", "set", "setMany", "refresh"} {
			ask(200, "/"+fill+"/001")
			ask(200, "/"+fill+"/002")
			ask(200, "/invalidate/001")
			ask(404, "/get/001")
			ask(200, "/get/002")
			ask(200, "/invalidate/002")
			ask(404, "/get/002")
		}
	})
}

// A queued write is replayed for the key that its request named, though Fiber has reused the parameter's memory since.
func TestFiberParamsInTheQueue(t *testing.T) {
	for _, write := range []string{"delete", "expire", "set", "setMany", "invalidate"} {
		t.Run(write, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			proxy := faultproxy.Start(t, s.Addr())
			o := tiered.RedisOptions{
				Heartbeat: 100 * time.Millisecond, Timeout: 400 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
			}
			cache := newCache(t, newRedis(t, proxy.Addr(), o), tiered.Policy{TTL: time.Hour})
			other := newCache(t, newRedis(t, s.Addr(), o), tiered.Policy{TTL: time.Hour, LocalTTL: time.Millisecond})
			get := serve(t, (&users{cache}).app())
			for _, id := range []string{"001", "002"} {
				if status, _, err := get("/set/" + id); status != 200 || err != nil {
					t.Fatal(status, err)
				}
			}
			proxy.Refuse(true)
			proxy.Cut()
			observe.Until(t, "queued", func() bool {
				status, _, err := get("/" + write + "/001")
				return err == nil && status == fiber.StatusAccepted
			})
			for range 10 {
				_, _, _ = get("/load/002") // Fiber reuses the memory
			}
			proxy.Refuse(false)
			observe.Until(t, "replayed", func() bool { return cache.Stats().Queued == 0 })
			got, err := other.GetMany(t.Context(), "001", "002")
			if err != nil || len(got) != 1 || got["002"] != of("002") {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}
