package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/connect"
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

// command is a subcommand.
type command struct {
	name    string
	args    string // what follows the flags
	short   string // one line
	long    string // the rest of its help
	define  func(*flags)
	execute func(ctx context.Context, f *flags, s streams) error
}

const (
	urlVariable = "TIERCACHE_REDIS"
	localURL    = "redis://localhost:6379"
)

// flags are those of a command, of which all have some.
type flags struct {
	*flag.FlagSet
	url    string
	prefix string
	json   bool
}

// flagSet returns the command's flags.
func (c *command) flagSet(w io.Writer) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(c.name, flag.ContinueOnError)}
	f.SetOutput(w)
	f.StringVar(&f.url, "redis", "", "`URL` of Redis; default: $"+urlVariable+", or "+localURL)
	f.StringVar(&f.prefix, "prefix", "tc:", "RedisOptions.Prefix of the programs")
	f.BoolVar(&f.json, "json", false, "print JSON")
	if c.define != nil {
		c.define(f)
	}
	f.Usage = func() {
		fmt.Fprintf(w, "tiercache %s [flags]%s\n\n%s.\n\n%s\n\nThe flags:\n\n", c.name, c.args, upper(c.short), strings.TrimSpace(c.long))
		f.PrintDefaults()
	}
	return f
}

func upper(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// parse parses the flags. They may also follow arguments.
func (f *flags) parse(args []string) error {
	var words []string
	for {
		if err := f.Parse(args); err != nil {
			if err == flag.ErrHelp { //nolint:errorlint // package flag returns it itself
				return err
			}
			return usageError(err.Error())
		}
		if f.NArg() == 0 {
			break
		}
		words, args = append(words, f.Arg(0)), f.Args()[1:]
	}
	return f.Parse(append([]string{"--"}, words...))
}

func (c *command) run(ctx context.Context, f *flags, s streams) error { return c.execute(ctx, f, s) }

// target returns the Redis that the flags name.
func (f *flags) target() (connect.Target, error) {
	t, err := connect.Parse(cmp.Or(f.url, os.Getenv(urlVariable), localURL))
	if err != nil {
		return t, usageError(err.Error())
	}
	return t, nil
}

// open returns a client for the Redis that the flags name. The caller must close it.
func (f *flags) open(ctx context.Context) (redis.UniversalClient, error) {
	t, err := f.target()
	if err != nil {
		return nil, err
	}
	return t.Open(ctx)
}

// printJSON prints a value as JSON, in several lines.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// ms formats a number of milliseconds.
func ms(n int64) string { return (time.Duration(n) * time.Millisecond).String() }

// size formats a number of bytes.
func size(n int) string { return fmt.Sprintf("%d B", n) }

// quote returns a key or tag as text: in quotes, with the escapes of Go, if it has characters that a line or a shell can't have,
// such as the zero bytes in the keys of HTTP caches. unquote is the inverse.
func quote(name string) string {
	quoted := strconv.Quote(name)
	if quoted[1:len(quoted)-1] != name {
		return quoted
	}
	return name
}

// unquote returns the key or tag that an argument means.
func unquote(arg string) string {
	if name, err := strconv.Unquote(arg); err == nil && arg[0] == '"' {
		return name
	}
	return arg
}
