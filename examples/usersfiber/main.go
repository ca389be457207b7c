// Command usersfiber is the list endpoint of the example users on Fiber v3, with the same cache around it: 20,000
// made-up users in SQLite, whose pages are kept for a minute in this process's memory and in Redis.
//
//	go run ./examples/usersfiber
//
// With -redis URL, or REDIS_URL in the environment, it uses that Redis; else it brings one of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/examples/internal/redisdb"
	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/keys"
	"github.com/tiercache/tiercache/tiered"
)

const (
	users     = 20_000
	listPath  = "/api/v1/users"
	lastWords = 5 * time.Second // for the requests under way when the service is stopped
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "usersfiber:", err)
		os.Exit(1)
	}
}

// newApp is what there is to it: the cache goes before the handler.
func newApp(db *userdb.DB, pages *httpcache.Cache) *fiber.App {
	app := fiber.New()
	app.Get(listPath, fibercache.New(pages), func(c fiber.Ctx) error {
		p, err := userdb.ParsePage(c.Query("skip"), c.Query("limit"))
		if err != nil {
			return c.Status(http.StatusBadRequest).JSON(fiber.Map{"error": err.Error()})
		}
		users, err := db.List(c.Context(), p)
		if err != nil {
			return err
		}
		return c.JSON(users)
	})
	return app
}

func newPages(redis *tiered.Redis) (*httpcache.Cache, error) {
	return httpcache.New(httpcache.Options{
		Name:  "usersfiber-pages",
		Redis: redis,
		TTL:   time.Minute,
		Key:   keys.Request, // without the host: it answers the same under every name
	})
}

// run puts the service together, and takes it apart in the reverse order when ctx ends.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("usersfiber", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:8081", "where to `listen`; port 0 is any free one")
	redisURL := flags.String("redis", os.Getenv("REDIS_URL"), "a Redis `URL`, like redis://localhost:6379; empty: one is started inside")
	if err := flags.Parse(args); err != nil {
		return err
	}

	server, err := redisdb.Open(*redisURL)
	if err != nil {
		return err
	}
	defer closing(server, &err)
	redis, err := tiered.NewRedis(server.Client, tiered.RedisOptions{Invalidation: server.Invalidation})
	if err != nil {
		return err
	}
	defer closing(redis, &err)
	db, err := userdb.Open(ctx, users)
	if err != nil {
		return err
	}
	defer closing(db, &err)
	pages, err := newPages(redis)
	if err != nil {
		return err
	}
	defer closing(pages, &err)

	fmt.Fprintf(out, "%d users in SQLite, %s.\n", users, server.Describe)
	return serve(ctx, out, *addr, newApp(db, pages))
}

// serve answers requests until ctx ends, and then those that have come.
func serve(ctx context.Context, out io.Writer, addr string, app *fiber.App) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	fmt.Fprintf(out, "Listening. Twice, and look at Cache-Status, Age and ETag:\n\n  curl -i 'http://%s%s?limit=3'\n\nCtrl-C stops.\n",
		listener.Addr(), listPath)

	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(out, "Stopping.")
	if err := app.ShutdownWithTimeout(lastWords); err != nil {
		return fmt.Errorf("requests were still running: %w", err)
	}
	return <-ended
}

func closing(c io.Closer, err *error) { *err = errors.Join(*err, c.Close()) }
