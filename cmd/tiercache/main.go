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

// The exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
	exitNotFound
)

// errNotFound ends a command with exitNotFound. The command has said what wasn't found.
var errNotFound = errors.New("not found")

// errUnhealthy ends a command with exitFailed. The command has said why.
var errUnhealthy = errors.New("unhealthy")

// usageError is the error of arguments that a command doesn't take.
type usageError string

func (e usageError) Error() string { return string(e) }

// streams are those of the process.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	redis.SetLogger(discard{}) // the commands return the same errors
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// discard is a logger of go-redis.
type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}

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
