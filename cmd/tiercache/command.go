package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/connect"
)

// command is a subcommand.
type command struct {
	name    string
	args    string // what follows the flags
	short   string // one line
	long    string // the rest of its help
	define  func(*flags)
	execute func(ctx context.Context, f *flags, s streams) error
}

// commands returns the subcommands in the order of the usage.
func commands() []*command { return []*command{doctorCommand()} }

func find(name string) (*command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return nil, false
}

const (
	urlVariable = "TIERCACHE_REDIS"
	localURL    = "redis://localhost:6379"
)

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

// printJSON prints a value as JSON, in several lines.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
