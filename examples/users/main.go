// Command users is an HTTP service over 20,000 made-up users in SQLite, cached in two tiers: this process's memory and
// Redis.
//
//	go run ./examples/users          # serve, and print what to try
//	go run ./examples/users -demo    # measure, print a table and exit
//
// With -redis URL, or REDIS_URL in the environment, it uses that Redis. Otherwise it starts an embedded one.
//
// Read service.go first, which caches values with tiered.Cache. Then pages.go, which caches HTTP responses with httpcache. api.go
// has the handlers, which hardly depend on either, inspector.go the pages at /debug/cache/ that show both caches, metrics.go the
// metrics at /metrics for Prometheus, main.go puts everything together, and demo.go measures. The database and the choice of a Redis
// are in examples/internal. examples/deploy runs three such services beside each other.
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

	"github.com/tiercache/tiercache/adapters/promcache"
	"github.com/tiercache/tiercache/examples/internal/redisdb"
	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/tiered"
)

const (
	users       = 20_000
	samples     = 21              // requests per median in the demo's table
	gracePeriod = 5 * time.Second // for running requests when the service is stopped
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "users:", err)
		os.Exit(1)
	}
}

// run starts the service, and stops it when ctx ends.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("users", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:8080", "the `address` to listen on; with port 0, on any free port")
	redisURL := flags.String("redis", os.Getenv("REDIS_URL"), "a Redis `URL`, like redis://localhost:6379; empty: an embedded one")
	file := flags.String("db", "", "the `file` of the database, which several services on a machine may share; empty: a new one, removed at the end")
	measure := flags.Bool("demo", false, "measure with and without the cache, print a table and exit")
	if err := flags.Parse(args); err != nil {
		return err
	}

	server, err := redisdb.Open(*redisURL)
	if err != nil {
		return err
	}
	defer closing(server, &err)
	// The list of all users has megabytes, which may take longer than the default on a slow network.
	redis, err := tiered.NewRedis(server.Client, tiered.RedisOptions{Invalidation: server.Invalidation, Timeout: time.Second})
	if err != nil {
		return err
	}
	defer closing(redis, &err)
	db, err := openDB(ctx, *file)
	if err != nil {
		return err
	}
	defer closing(db, &err)
	metrics := promcache.New()
	service, err := NewService(db, redis, metrics.Trace(userCache))
	if err != nil {
		return err
	}
	defer closing(service, &err)

	fmt.Fprintf(out, "%d users in SQLite, %s.\n", users, server.Describe)
	if *measure {
		return runDemo(ctx, out, &demo{db: db, service: service, redis: redis, samples: samples})
	}
	pages, err := newPages(redis)
	if err != nil {
		return err
	}
	defer closing(pages, &err)
	site, err := newSite(&api{db: db, service: service, pages: pages}, metrics, redis)
	if err != nil {
		return err
	}
	return serve(ctx, out, *addr, site)
}

// newSite puts beside the API what those who run the service look at.
func newSite(a *api, metrics *promcache.Collector, redis *tiered.Redis) (http.Handler, error) {
	site := http.NewServeMux()
	site.Handle("/", a.handler())
	inspector, err := newInspector(a.service, a.pages)
	if err != nil {
		return nil, err
	}
	site.Handle(inspectorPath+"/", inspector)
	scraped, err := newMetrics(metrics, a, redis)
	if err != nil {
		return nil, err
	}
	site.Handle("GET /metrics", scraped)
	return site, nil
}

// openDB opens the database in the file, or a new one.
func openDB(ctx context.Context, file string) (*userdb.DB, error) {
	if file == "" {
		return userdb.Open(ctx, users)
	}
	return userdb.OpenFile(ctx, file, users)
}

// serve serves requests until ctx ends, and then lets running ones finish.
func serve(ctx context.Context, out io.Writer, addr string, h http.Handler) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	welcome(out, addr, listener.Addr())

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(out, "Stopping.")
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), gracePeriod)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return errors.Join(fmt.Errorf("requests were still running: %w", err), server.Close())
	}
	return nil
}

func closing(c io.Closer, err *error) { *err = errors.Join(*err, c.Close()) }
