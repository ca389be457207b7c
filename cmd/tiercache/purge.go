package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/stored"
)

func purgeCommand() *command {
	var p purge
	return &command{
		name:  "purge",
		args:  " cache [key or tag ...]",
		short: "delete keys, what has a tag, or everything of a cache, in all processes",
		long: `
It calls the methods of a cache that a program would call: Delete, InvalidateTags (-tag) or Clear (-all), or with -expire the ones after which
values may still be served as StaleIfError allows: Expire, ExpireTags, ExpireAll. So all processes forget what they have in memory, and no load
that is under way brings it back. Processes with RedisOptions.Invalidation None notice after their LocalTTL.

It tells processes with PubSub too, which takes the rights of PubSub. If all processes use Tracking, -tracking does without these.

It asks before it does anything, unless -yes is set.`,
		define: func(f *flags) {
			f.BoolVar(&p.tags, "tag", false, "the arguments are tags")
			f.BoolVar(&p.all, "all", false, "everything in the cache")
			f.BoolVar(&p.expire, "expire", false, "make stale instead of deleting")
			f.BoolVar(&p.yes, "yes", false, "don't ask")
			f.BoolVar(&p.tracking, "tracking", false, "no process uses PubSub")
		},
		execute: func(ctx context.Context, f *flags, s streams) error {
			if f.NArg() < 1 || p.all != (f.NArg() == 1) || p.all && p.tags {
				return usageError("it takes the name of a cache, and then keys, or -tag and tags, or -all alone")
			}
			p.cache = f.Arg(0)
			for _, arg := range f.Args()[1:] {
				p.names = append(p.names, unquote(arg))
			}
			return p.run(ctx, f, s)
		},
	}
}

// purge is what to delete.
type purge struct {
	cache  string
	names  []string // keys or tags
	tags   bool
	all    bool
	expire bool

	yes      bool
	tracking bool
}

var errNotConfirmed = errors.New("not confirmed, so nothing was done")

func (p *purge) run(ctx context.Context, f *flags, s streams) error {
	target, err := f.target()
	if err != nil {
		return err
	}
	client, err := target.Open(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	err = client.Get(ctx, stored.NewKeys(f.prefix, p.cache).Epoch()).Err()
	switch {
	case errors.Is(err, redis.Nil): // each cache makes one before it stores anything
		fmt.Fprintf(s.err, "tiercache purge: there is no cache %s in Redis; tiercache ls lists them\n", p.cache)
		return errNotFound
	case err != nil:
		return err
	}
	mode := tiered.PubSub // and whoever has Tracking is told by Redis
	if p.tracking {
		mode = tiered.None
	}
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Prefix: f.prefix, Invalidation: mode, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer r.Close()
	cache, err := tiered.New(tiered.Options[json.RawMessage]{Name: p.cache, Redis: r, MaxCost: 1})
	if err != nil {
		return err
	}
	defer cache.Close()
	if !p.yes {
		if err := confirm(s, fmt.Sprintf("%s in the cache %s of %s?", p, p.cache, target.Name)); err != nil {
			return err
		}
	}
	if err := p.do(ctx, cache); err != nil {
		return fmt.Errorf("it may not be done: %w", err)
	}
	if f.json {
		return printJSON(s.out, map[string]any{"cache": p.cache, "done": p.String()})
	}
	_, err = fmt.Fprintln(s.out, "done")
	return err
}

// String says what is done.
func (p *purge) String() string {
	verb := "delete"
	if p.expire {
		verb = "expire"
	}
	switch {
	case p.all:
		return verb + " everything"
	case p.tags:
		return fmt.Sprintf("%s all values with one of the tags %q", verb, p.names)
	case len(p.names) == 1:
		return fmt.Sprintf("%s the key %q", verb, p.names[0])
	}
	return fmt.Sprintf("%s the keys %q", verb, p.names)
}

func (p *purge) do(ctx context.Context, c *tiered.Cache[json.RawMessage]) error {
	switch {
	case p.all && p.expire:
		return c.ExpireAll(ctx)
	case p.all:
		return c.Clear(ctx)
	case p.tags && p.expire:
		return c.ExpireTags(ctx, p.names...)
	case p.tags:
		return c.InvalidateTags(ctx, p.names...)
	case p.expire:
		return c.Expire(ctx, p.names...)
	}
	return c.Delete(ctx, p.names...)
}

// confirm asks a question, and returns an error unless the answer is yes.
func confirm(s streams, question string) error {
	fmt.Fprintf(s.err, "%s [y/N] ", upper(question))
	answer, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errNotConfirmed
}
