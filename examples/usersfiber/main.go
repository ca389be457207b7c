// Command usersfiber is the API of the example users on Fiber v3, with the same cache around it: 20,000 made-up users in
// SQLite, whose pages are kept for a minute in this process's memory and in Redis, or until a user changes.
//
//	go run ./examples/usersfiber
//
// With -redis URL, or REDIS_URL in the environment, it uses that Redis. Otherwise it starts an embedded one.
//
// Read api.go, which has the handlers and their cache. main.go puts everything together.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/examples/internal/redisdb"
	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/tiered"
)

const (
	users       = 20_000
	gracePeriod = 5 * time.Second // for the requests under way when the service is stopped
)

const tour = `Listening.

  curl -i '{url}?limit=3'
      Twice, and look at Cache-Status, Age and ETag.
  curl -i -H 'If-None-Match: <that ETag>' '{url}?limit=3'
      304: no body at all.
  curl -i {url}/7
  curl -i -H 'Accept: application/xml' {url}/7
      Each is kept: see Vary.
  curl -i -X PUT -d '{"name":"Grace","email":"grace@example.com","city":"Ghent"}' {url}/7
      The next GET of user 7 shows it, and so do the pages of the list.

Ctrl-C stops.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "usersfiber:", err)
		os.Exit(1)
	}
}

// run starts the service, and stops it when ctx ends.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("usersfiber", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:8081", "the `address` to listen on; with port 0, on any free port")
	redisURL := flags.String("redis", os.Getenv("REDIS_URL"), "a Redis `URL`, like redis://localhost:6379; empty: an embedded one")
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

// serve serves requests until ctx ends, and then lets running ones finish.
func serve(ctx context.Context, out io.Writer, addr string, app *fiber.App) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	fmt.Fprint(out, strings.NewReplacer("{url}", "http://"+listener.Addr().String()+listPath).Replace(tour))

	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(out, "Stopping.")
	if err := app.ShutdownWithTimeout(gracePeriod); err != nil {
		return fmt.Errorf("requests were still running: %w", err)
	}
	return <-ended
}

func closing(c io.Closer, err *error) { *err = errors.Join(*err, c.Close()) }
