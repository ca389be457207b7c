package budget_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

var duration = flag.Duration("budget.time", 0, "how long each kind of read is profiled; 0: not at all")

// user is about 170 bytes of JSON.
type user struct {
	ID          int
	Name, Email string
	Roles       []string
}

func load(_ context.Context, e *tiered.Entry[*user]) (*user, error) {
	return &user{len(e.Key), "Ada Lovelace the " + e.Key, e.Key + "@analytical.example", []string{"reader", "writer", "admin"}}, nil
}

const keys = 10_000

func key(i int) string { return "user:" + strconv.Itoa(i) }

// result is a column of the table.
type result struct {
	name  string
	ops   int
	took  time.Duration
	spent map[string]int64 // nanoseconds by part
}

// TestBudget prints where the time of a read goes, for one caller.
func TestBudget(t *testing.T) {
	if *duration == 0 {
		t.Skip("see make bench-budget")
	}
	names := make([]string, keys)
	for i := range names {
		names[i] = key(i)
	}
	fresh := 0
	printTable([]result{
		measure(t, "local hit", tiered.Policy{TTL: time.Hour}, func(i int) string { return names[i%keys] },
			func(s tiered.Stats) uint64 { return s.LocalHits }),
		// LocalTTL is over before a key is read again.
		measure(t, "Redis hit", tiered.Policy{TTL: time.Hour, LocalTTL: time.Millisecond}, func(i int) string { return names[i%keys] },
			func(s tiered.Stats) uint64 { return s.RemoteHits }),
		measure(t, "miss", tiered.Policy{TTL: time.Hour}, func(int) string { fresh++; return key(keys + fresh) },
			func(s tiered.Stats) uint64 { return s.Loads }),
	})
}

// measure reads under the CPU profiler, and checks with the counter that nearly all reads are of the kind. The keys below are in Redis, and
// in the local tier for as long as the policy says.
func measure(t *testing.T, name string, p tiered.Policy, next func(i int) string, counter func(tiered.Stats) uint64) result {
	t.Helper()
	client := redistest.Start(t).Client(t)
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c, err := tiered.New(tiered.Options[*user]{Name: "budget", Redis: r, Codec: codec.Msgpack, Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), r.Close() })
	ctx := t.Context()
	for i := range keys {
		if _, err := c.GetOrLoad(ctx, key(i), load); err != nil {
			t.Fatal(err)
		}
	}
	var profiled bytes.Buffer
	before, began, ops := counter(c.Stats()), time.Now(), 0
	if err := pprof.StartCPUProfile(&profiled); err != nil {
		t.Fatal(err)
	}
	for time.Since(began) < *duration {
		for range 64 { // so that the clock isn't read for each hit
			if _, err := c.GetOrLoad(ctx, next(ops), load); err != nil {
				t.Fatal(err)
			}
			ops++
		}
	}
	pprof.StopCPUProfile()
	took := time.Since(began)
	if n := counter(c.Stats()) - before; n*100 < uint64(ops)*95 {
		t.Errorf("%s: %d of %d reads are of this kind", name, n, ops)
	}
	samples, err := profile.Parse(&profiled)
	if err != nil {
		t.Fatal(err)
	}
	return result{name, ops, took, divide(samples)}
}

// printTable prints a table in Markdown, in nanoseconds for an operation.
func printTable(results []result) {
	var b strings.Builder
	row := func(name string, cell func(r result) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, r := range results {
			fmt.Fprintf(&b, " %s |", cell(r))
		}
		fmt.Fprintln(&b)
	}
	row("nanoseconds", func(r result) string { return r.name })
	row("---", func(result) string { return "---" })
	for _, p := range append(parts, part{name: elsewhere}) {
		row(p.name, func(r result) string { return perOp(r, r.spent[p.name]) })
	}
	row("**processor time, on all cores**", func(r result) string {
		var sum int64
		for _, ns := range r.spent {
			sum += ns
		}
		return "**" + perOp(r, sum) + "**"
	})
	row("time, with Redis's", func(r result) string { return perOp(r, r.took.Nanoseconds()) })
	_, _ = os.Stdout.WriteString(b.String())
}

func perOp(r result, ns int64) string { return strconv.FormatInt(ns/int64(r.ops), 10) }
