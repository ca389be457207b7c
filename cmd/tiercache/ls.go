package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/keylist"
	"github.com/tiercache/tiercache/tiered/stored"
)

const maxPage = 100_000

func lsCommand() *command {
	var n int
	var cursor string
	var tags, long bool
	return &command{
		name:  "ls",
		args:  " [cache [prefix]]",
		short: "list the caches, or the keys or tags of a cache",
		long: `
Without arguments it lists the caches, otherwise the cache's keys that begin with the prefix, in no order, one a line. Keys that a process
loads for the first time are among them. Keys with characters that a line or a shell can't have are in quotes, as in Go; all commands take them
so.

Redis has no index of keys: ls reads all of them with SCAN (the right +scan), 1,000 with each command, up to the end of the page. If there are
more, the last line on the standard error has the -cursor of the next page. A key that is there all the time is on one page at least.`,
		define: func(f *flags) {
			f.IntVar(&n, "n", 1000, "keys of a page, about")
			f.StringVar(&cursor, "cursor", "", "begin at this place, which the page before has named")
			f.BoolVar(&tags, "tags", false, "list the tags of the cache instead of its keys")
			f.BoolVar(&long, "l", false, "also print the time until Redis drops each, and its size in bytes (+pttl +strlen)")
		},
		execute: func(ctx context.Context, f *flags, s streams) error {
			if f.NArg() > 2 || n < 1 || n > maxPage {
				return usageError(fmt.Sprintf("it takes the name of a cache and a prefix at most, and -n of 1 to %d", maxPage))
			}
			client, err := f.open(ctx)
			if err != nil {
				return err
			}
			defer client.Close()
			l := lister{flags: f, client: client, tags: tags}
			items, next, err := l.page(ctx, cursor, n)
			if err == nil && long {
				err = l.measure(ctx, items)
			}
			if err != nil {
				return err
			}
			if next != "" {
				defer fmt.Fprintf(s.err, "more: -cursor %s\n", next)
			}
			return l.write(s, items, long)
		},
	}
}

// lister lists what the arguments of ls name.
type lister struct {
	flags  *flags
	client redis.UniversalClient
	tags   bool
}

// item is one line.
type item struct {
	Name  string `json:"name"`
	TTL   *int64 `json:"ttlMs,omitempty"` // -1: Redis keeps it for ever
	Bytes *int64 `json:"bytes,omitempty"`

	key string // in Redis
}

// kind returns what begins the keys in Redis of what is listed, apart from the caches.
func (l *lister) kind() string {
	keys := stored.NewKeys(l.flags.prefix, l.flags.Arg(0))
	if l.tags {
		return keys.Tag("")
	}
	return keys.Value("")
}

// page returns a page, each name once, and the cursor of the next.
func (l *lister) page(ctx context.Context, cursor string, n int) (items []item, next string, err error) {
	s := keylist.List{Client: l.client, Prefix: l.flags.prefix}
	name := func(key string) string { return stored.ParseKey(l.flags.prefix, key).Cache }
	if l.flags.NArg() > 0 {
		kind := l.kind()
		s.Prefix = kind + unquote(l.flags.Arg(1))
		name = func(key string) string { return strings.TrimPrefix(key, kind) }
	}
	seen := make(map[string]bool)
	next, err = s.Each(ctx, cursor, func(keys []string) bool {
		for _, key := range keys {
			if one := name(key); one != "" && !seen[one] {
				seen[one], items = true, append(items, item{Name: one, key: key})
			}
		}
		return len(items) < n
	})
	if l.flags.NArg() == 0 {
		slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.Name, b.Name) })
	}
	return items, next, err
}

// measure asks for the TTL and size of each item.
func (l *lister) measure(ctx context.Context, items []item) error {
	for chunk := range slices.Chunk(items, 500) {
		ttls, sizes := make([]*redis.DurationCmd, len(chunk)), make([]*redis.IntCmd, len(chunk))
		_, err := l.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, one := range chunk {
				ttls[i], sizes[i] = pipe.PTTL(ctx, one.key), pipe.StrLen(ctx, one.key)
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "WRONGTYPE") {
			return err
		}
		for i := range chunk {
			ttl, bytes := max(-1, ttls[i].Val().Milliseconds()), sizes[i].Val()
			if ttls[i].Val() < 0 {
				ttl = -1
			}
			chunk[i].TTL, chunk[i].Bytes = &ttl, &bytes
		}
	}
	return nil
}

// write writes the items, as lines of JSON or of text.
func (l *lister) write(s streams, items []item, long bool) error {
	lines := json.NewEncoder(s.out)
	lines.SetEscapeHTML(false)
	for _, one := range items {
		var err error
		switch {
		case l.flags.json:
			err = lines.Encode(one)
		case long && *one.TTL < 0:
			_, err = fmt.Fprintf(s.out, "%12s %9d %s\n", "-", *one.Bytes, quote(one.Name))
		case long:
			_, err = fmt.Fprintf(s.out, "%12s %9d %s\n", ms(*one.TTL), *one.Bytes, quote(one.Name))
		default:
			_, err = fmt.Fprintln(s.out, quote(one.Name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
