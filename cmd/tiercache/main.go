package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	redis.SetLogger(discard{}) // the commands return the same errors
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

func writeUsage(w io.Writer) {
	fmt.Fprint(w, `tiercache looks into the caches that programs with tiercache have in Redis.

    tiercache command [flags] [arguments]

The commands:

`)
	for _, c := range commands() {
		fmt.Fprintf(w, "    %-8s %s\n", c.name, c.short)
	}
	fmt.Fprintf(w, `
tiercache help command describes one of them.

All take -redis URL, or the variable %s: redis://user:password@host:port/db, rediss:// for TLS. A node of a Cluster stands for
the whole. For Sentinel: redis://host:26379?master_name=name.

Exit codes: 0 success; 1 failure, or doctor found one; 2 wrong usage; 3 the key isn't in Redis.
`, urlVariable)
}

// discard is a logger of go-redis.
type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}

// commands returns the subcommands in the order of the usage.
func commands() []*command {
	return []*command{doctorCommand(), getCommand(), lsCommand(), purgeCommand(), tailCommand(), statsCommand()}
}

func find(name string) (*command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return nil, false
}

// run runs a command and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	if len(args) == 0 {
		writeUsage(s.err)
		return exitUsage
	}
	name, args := args[0], args[1:]
	if name == "help" || name == "-h" || name == "-help" || name == "--help" {
		return help(args, s)
	}
	c, ok := find(name)
	if !ok {
		fmt.Fprintf(s.err, "tiercache: there is no command %q; tiercache help lists them\n", name)
		return exitUsage
	}
	flags := c.flagSet(s.err)
	err := flags.parse(args)
	if err == nil {
		err = c.run(ctx, flags, s)
	}
	return exitCode(err, c, s.err)
}

// exitCode says what went wrong, and returns the exit code.
func exitCode(err error, c *command, w io.Writer) int {
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errNotFound):
		return exitNotFound
	case errors.Is(err, errUnhealthy):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(w, "tiercache %s: %v; tiercache help %s has the usage\n", c.name, err, c.name)
		return exitUsage
	}
	fmt.Fprintf(w, "tiercache %s: %v\n", c.name, err)
	return exitFailed
}

// help describes a command, or lists all.
func help(args []string, s streams) int {
	if len(args) == 0 {
		writeUsage(s.out)
		return exitOK
	}
	c, ok := find(args[0])
	if !ok {
		fmt.Fprintf(s.err, "tiercache: there is no command %q\n", args[0])
		return exitUsage
	}
	c.flagSet(s.out).Usage()
	return exitOK
}
