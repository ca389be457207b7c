package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/keylist"
	"github.com/tiercache/tiercache/cmd/tiercache/internal/listen"
	"github.com/tiercache/tiercache/tiered/stored"
)

func tailCommand() *command {
	var t tail
	return &command{
		name:  "tail",
		args:  " [cache]",
		short: "show invalidations as they happen, until it is interrupted",
		long: `
It listens as the caches do: Redis reports the names of the keys that anyone changes (Tracking). For Redis without RESP3, -messages
shows what processes with PubSub publish. Each line has the time, the cache, the kind of key, and the key or tag:

    value    it was stored, deleted, expired or evicted, or a process began to load it
    tag      it was invalidated or expired, or a value has it for the first time
    epoch    the whole cache was cleared or expired
    flush    a database of Redis was flushed

With -v also leases beside values, and the count of invalidations. It takes the rights of Tracking, or of PubSub, and reads nothing.`,
		define: func(f *flags) {
			f.BoolVar(&t.messages, "messages", false, "listen to the messages of processes with PubSub")
			f.BoolVar(&t.verbose, "v", false, "all kinds of keys")
			f.DurationVar(&t.lasts, "for", 0, "end after this time; 0: when it is interrupted")
		},
		execute: func(ctx context.Context, f *flags, s streams) error {
			if f.NArg() > 1 || t.lasts < 0 {
				return usageError("it takes the name of a cache at most, and -for can't be negative")
			}
			t.prefix, t.cache, t.json, t.streams = f.prefix, f.Arg(0), f.json, s
			return t.run(ctx, f)
		},
	}
}

// tail shows what servers report.
type tail struct {
	streams
	prefix   string
	cache    string // "": all
	messages bool
	verbose  bool
	json     bool
	lasts    time.Duration

	mu sync.Mutex // held while a line is written
}

// change is a line.
type change struct {
	At    time.Time `json:"at"`
	Cache string    `json:"cache,omitempty"`
	Kind  string    `json:"kind"`
	Name  string    `json:"name,omitempty"`
}

const (
	connecting = 5 * time.Second
	flushed    = "flush"
)

func (t *tail) run(ctx context.Context, f *flags) error {
	client, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	masters, err := keylist.Masters(ctx, client)
	if err != nil {
		return err
	}
	if t.messages {
		masters = masters[:1] // which gets the messages of all nodes
	}
	var listeners []*listen.Listener
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	for _, m := range masters {
		within, stop := context.WithTimeout(ctx, connecting)
		o := listen.Options{Redis: m.Options(), Channels: []string{stored.ChangesChannel(t.prefix)}}
		if !t.messages {
			o.Prefixes, o.Channels = []string{t.prefix}, []string{strings.TrimSuffix(t.prefix, ":") + "!tail-" + rand.Text()}
			if t.cache != "" {
				of := stored.Prefixes(t.prefix, t.cache)
				o.Prefixes = of[:]
			}
		}
		l, err := listen.Open(within, o)
		stop()
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
	}
	if t.lasts > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, t.lasts)
		defer stop()
	}
	fmt.Fprintln(t.err, "listening")
	return t.follow(ctx, listeners)
}

// follow shows what the servers report until ctx ends, or nothing can be written any more.
func (t *tail) follow(ctx context.Context, listeners []*listen.Listener) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var all sync.WaitGroup
	for _, l := range listeners {
		all.Go(func() {
			for {
				select {
				case e := <-l.Events:
					if err := t.show(e); err != nil {
						fail(err)
					}
				case <-ctx.Done():
					return
				}
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// show writes what a server reported.
func (t *tail) show(e listen.Event) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Now()
	keys := e.Keys
	switch {
	case e.Lost != nil:
		fmt.Fprintf(t.err, "the connection is lost, and what happens now isn't shown: %v\n", e.Lost)
	case e.Resumed:
		fmt.Fprintln(t.err, "connected again")
	case e.Flushed:
		return t.write(change{At: at, Kind: flushed})
	case t.messages:
		var err error
		if keys, err = stored.ParseMessage(e.Message); err != nil {
			fmt.Fprintf(t.err, "a message that isn't from tiercache: %q\n", e.Message)
		}
	}
	for _, key := range keys {
		k := stored.ParseKey(t.prefix, key)
		hidden := k.Kind == stored.LeaseKey || k.Kind == stored.CountKey || k.Kind == stored.Other
		if k.Cache == "" || t.cache != "" && k.Cache != t.cache || hidden && !t.verbose {
			continue
		}
		if err := t.write(change{at, k.Cache, k.Kind.String(), k.Name}); err != nil {
			return err
		}
	}
	return nil
}

func (t *tail) write(c change) (err error) {
	if t.json {
		lines := json.NewEncoder(t.out)
		lines.SetEscapeHTML(false)
		return lines.Encode(c)
	}
	_, err = fmt.Fprintf(t.out, "%s %-12s %-6s %s\n", c.At.Format("15:04:05.000"), c.Cache, c.Kind, quote(c.Name))
	return err
}
