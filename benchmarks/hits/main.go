// Command hits measures how many hits per second HTTP caches serve: a stored page of 3 KB of JSON, over loopback, requested
// by wrk with one thread and 32 connections. make bench-http runs it:
//
//	go run ./benchmarks/hits -rounds 5 -seconds 5
//
// The caches are httpcache on net/http and fibercache on Fiber, each beside a bare handler that writes the same bytes,
// Fiber's own middleware, and nginx and Varnish if they are installed. A second measurement of each has a client with a copy of
// the page, which gets a 304, beside a bare handler of net/http that writes one; Fiber's middleware doesn't support that.
// "shared" is with httpcache.Options.SharedBodies. They take turns, round by round, so that
// a busy moment of the machine affects all alike, and each ratio is the median of the rounds' ratios. Each runs in a
// process of its own, and on one core with wrk on another if taskset is installed. The processor time per request measures the
// same as requests per second, but is affected less by other work on the machine.
//
// handlers.go and proxies.go have the servers; process.go starts them; round.go and cpu.go measure; table.go prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "hits:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("hits", flag.ContinueOnError)
	rounds := flags.Int("rounds", 5, "the number of measurements of each server")
	seconds := flags.Int("seconds", 5, "the duration of each measurement")
	name := flags.String("serve", "", "run one of the `servers` until standard input is closed; the program starts itself with this flag")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *name != "" {
		return serve(*name, os.Stdin, out)
	}
	if *rounds < 1 || *seconds < 1 {
		return errors.New("-rounds and -seconds are 1 at least")
	}
	return compare(ctx, out, *rounds, time.Duration(*seconds)*time.Second)
}

// compare starts the servers, measures them, and stops them.
func compare(ctx context.Context, out io.Writer, rounds int, length time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "hits")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c := &contest{dir: dir, cores: findCores()}
	defer func() { err = errors.Join(err, c.end()) }()
	if err := c.begin(ctx, out); err != nil {
		return err
	}
	if err := c.measure(ctx, out, rounds, length); err != nil {
		return err
	}
	return c.writeTable(out, rounds, length)
}
