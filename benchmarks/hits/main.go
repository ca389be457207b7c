// Command hits measures how many requests a second HTTP caches answer from what they have stored: a 3 KB page of JSON,
// over loopback, asked for by wrk with one thread and 32 connections. make bench-http runs it:
//
//	go run ./benchmarks/hits -rounds 5 -seconds 5
//
// The caches are httpcache on net/http and fibercache on Fiber, each beside a bare handler that writes the same bytes,
// Fiber's own middleware, and, where they are installed, nginx and Varnish. They are asked once more by a client that has
// the page already, which gets a 304; but for Fiber's middleware, which has none. They take turns, round by round, so that
// a busy moment of the machine hits all alike, and each ratio is the median of the rounds' ratios. Each runs in a
// process of its own; where taskset is, on one core, with wrk on another. The processor time of a request says the same
// as requests a second do, less what other work on the machine adds to them.
//
// handlers.go and proxies.go are what is compared; process.go starts it; round.go and cpu.go measure; table.go prints.
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
	rounds := flags.Int("rounds", 5, "how often each is measured")
	seconds := flags.Int("seconds", 5, "how long each time")
	name := flags.String("serve", "", "be one of the `servers`, until the input ends; this is how the others are started")
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

// compare starts the servers, measures, and ends them.
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
