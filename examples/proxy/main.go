// Command proxy is a caching reverse proxy: it forwards requests to an origin, such as a FastAPI service, and stores the
// responses that may be stored by RFC 9111 in this process's memory and in Redis.
//
//	go run ./examples/proxy -origin http://localhost:8000
//	curl -i http://localhost:8080/items    # twice: see Cache-Status and Age
//
// With -redis URL, or REDIS_URL in the environment, several proxies share stored responses. With -fiber it runs on Fiber v3
// instead of net/http.
//
// Read cache.go first, which configures the cache. handler.go is the proxy on net/http, app.go the one on Fiber; origin.go has
// what both need to reach the origin.
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
	"syscall"
	"time"
)

const gracePeriod = 5 * time.Second // for running requests when the proxy is stopped

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(1)
	}
}

// settings has the values of the flags.
type settings struct {
	listen, redis string
	origin, host  string
	ttl           time.Duration
	fiber         bool
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("proxy", flag.ContinueOnError)
	flags.StringVar(&s.origin, "origin", "", "the `URL` to forward to, like http://localhost:8000; required")
	flags.StringVar(&s.host, "host", "", "the Host `name` that the origin is sent; empty: the client's")
	flags.StringVar(&s.listen, "listen", "localhost:8080", "the `address` to listen on; port 0 is any free one")
	flags.StringVar(&s.redis, "redis", os.Getenv("REDIS_URL"), "a Redis `URL`, like redis://localhost:6379; empty: memory only")
	flags.DurationVar(&s.ttl, "ttl", 0, "how long responses are fresh that don't say so themselves; 0: not stored")
	flags.BoolVar(&s.fiber, "fiber", false, "run on Fiber v3 instead of net/http")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q: only flags are accepted", flags.Arg(0))
	}
	return s, nil
}

// run starts the proxy, and stops it when ctx ends.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	s, err := parse(args)
	if err != nil {
		return err
	}
	o, err := newOrigin(s.origin, s.host)
	if err != nil {
		return err
	}
	defer o.transport.CloseIdleConnections()
	redis, err := openRedis(s.redis)
	if err != nil {
		return err
	}
	defer closing(redis, &err)
	cache, err := newCache(s, redis)
	if err != nil {
		return err
	}
	defer closing(cache, &err)

	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	var srv server = newServer(forwarded(cache.Handler(newHandler(o))))
	if s.fiber {
		srv = newApp(cache, o)
	}
	fmt.Fprintf(out, "http://%s forwards to %s. Ctrl-C stops.\n", listener.Addr(), o.url)
	return serve(ctx, out, srv, listener)
}

// server is net/http's or Fiber's.
type server interface {
	Serve(net.Listener) error // returns nil after Shutdown
	Shutdown(context.Context) error
}

// serve serves requests until ctx ends, and then lets running ones finish.
func serve(ctx context.Context, out io.Writer, srv server, listener net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(out, "Stopping.")
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), gracePeriod)
	defer cancel()
	if err := srv.Shutdown(last); err != nil {
		return fmt.Errorf("requests were still running: %w", err)
	}
	return <-ended
}

func closing(c io.Closer, err *error) { *err = errors.Join(*err, c.Close()) }
