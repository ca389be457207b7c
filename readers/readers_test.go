// Package readers_test compares the readers for other languages with the library.
package readers_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/need"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/stored"
)

// question is what Redis has of a key, in hex; nil: nothing.
type question struct {
	Value string    `json:"value"`
	Now   int64     `json:"now"`
	Epoch *string   `json:"epoch"`
	Count *string   `json:"count"`
	Tags  []*string `json:"tags"`
}

// frame is a frame as the drivers print it.
type frame struct {
	Codec    string   `json:"codec"`
	Payload  string   `json:"payload"`
	Absent   bool     `json:"absent"`
	Expired  bool     `json:"expired"`
	Schema   string   `json:"schema"`
	Created  int64    `json:"created"`
	FreshFor int64    `json:"freshFor"`
	Took     int64    `json:"took"`
	Windows  []int64  `json:"windows"`
	Tags     []string `json:"tags"`
	State    string   `json:"state"`
}

// answer returns what the library says of it; nil: it isn't a frame or a lease.
func (q *question) answer(t *testing.T) []frame {
	t.Helper()
	text := func(digits *string) string {
		if digits == nil {
			return ""
		}
		return string(unhex(t, *digits))
	}
	v := stored.Parse(unhex(t, q.Value))
	if v.Damaged || v.Lease == nil && v.Frames == nil {
		return nil
	}
	all := []frame{}
	in := stored.Invalidations{Epoch: text(q.Epoch), Count: text(q.Count)}
	for _, tag := range q.Tags {
		in.Tags = append(in.Tags, text(tag))
	}
	for _, f := range v.Frames {
		s, _ := f.State(time.UnixMilli(q.Now), in)
		x := frame{
			Codec: f.Codec, Payload: hex.EncodeToString(f.Payload), Absent: f.Absent, Expired: f.Expired, Schema: strconv.FormatUint(f.Schema, 10),
			Created: f.Created.UnixMilli(), FreshFor: f.FreshFor.Milliseconds(), Took: f.Took.Milliseconds(), Tags: append([]string{}, f.Tags...), State: s.String(),
		}
		if w := f.Windows; w != nil {
			x.Windows = []int64{w.RefreshAfter.Milliseconds(), w.StaleWhileRevalidate.Milliseconds(), w.StaleIfError.Milliseconds()}
		}
		all = append(all, x)
	}
	return all
}

func unhex(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vectors returns questions about the vectors of package wire, in time and too late, and about each with a bit changed.
func vectors(t *testing.T) (all []question) {
	t.Helper()
	file, err := os.Open("../tiered/internal/wire/testdata/frames.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	none, count := strings.Repeat("00", 8), hex.EncodeToString([]byte("1"))
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, digits, ok := strings.Cut(lines.Text(), ": ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		value := strings.ReplaceAll(digits, " ", "")
		for _, now := range []int64{0, 1_700_000_000_123, 1_700_000_060_122, 1_700_000_060_123, 1_800_000_000_000} {
			all = append(all, question{Value: value, Now: now, Epoch: &none, Count: &count})
		}
		if name == "two releases" {
			continue // of a damaged second frame the library still uses the first
		}
		for i := range unhex(t, value) {
			b := unhex(t, value)
			b[i] ^= 1 << (i % 8)
			all = append(all, question{Value: hex.EncodeToString(b), Now: 1_700_000_000_123, Epoch: &none, Count: &count}, question{Value: value[:2*i]})
		}
	}
	return all
}

// fromRedis returns questions about what caches keep in a real Redis, after changes of each kind.
func fromRedis(t *testing.T) (all []question) {
	t.Helper()
	client := redistest.Start(t).Client(t)
	r, err := tiered.NewRedis(client, tiered.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	older, err := tiered.New(tiered.Options[string]{Name: "users", Redis: r, Policy: tiered.Policy{NotFoundTTL: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	second, err := tiered.NewRedis(client, tiered.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	newer, err := tiered.New(tiered.Options[string]{Name: "users", Redis: second, Version: "2"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(older.Close(), newer.Close(), r.Close(), second.Close()) })
	ctx := t.Context()
	load := func(c *tiered.Cache[string], key string, tags ...string) {
		if _, err := c.GetOrLoad(ctx, key, func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			e.Tags = tags
			e.Policy.StaleIfError = time.Hour
			if key == "absent" {
				return "", tiered.ErrNotFound
			}
			return "value of " + key, nil
		}); err != nil && err != tiered.ErrNotFound {
			t.Fatal(err)
		}
	}
	for _, change := range []func() error{
		func() error { return nil },
		func() error { return older.Expire(ctx, "plain") },
		func() error { return older.ExpireTags(ctx, "b") },
		func() error { return older.InvalidateTags(ctx, "a") },
		func() error { return older.ExpireAll(ctx) },
		func() error { return client.Set(ctx, "tc:users:plain", "another program's", 0).Err() },
		func() error { return client.Del(ctx, "tc:users!tag:a").Err() },
		func() error { return older.Clear(ctx) },
		func() error { return client.Del(ctx, "tc:users!count{users}").Err() },
	} {
		load(older, "plain")
		load(newer, "plain")
		load(older, "tagged", "a", "b")
		load(older, "absent", "b")
		if err := change(); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"plain", "tagged", "absent", "missing"} {
			all = append(all, ask(ctx, client, key))
		}
	}
	return all
}

// ask reads what Redis has of a key.
func ask(ctx context.Context, client *redis.Client, key string) (q question) {
	keys := stored.NewKeys("tc:", "users")
	read := func(key string) *string {
		s, err := client.Get(ctx, key).Result()
		if err != nil {
			return nil
		}
		digits := hex.EncodeToString([]byte(s))
		return &digits
	}
	value := client.Get(ctx, keys.Value(key)).Val()
	q = question{Value: hex.EncodeToString([]byte(value)), Now: client.Time(ctx).Val().UnixMilli(), Epoch: read(keys.Epoch()), Count: read(keys.Count())}
	for _, f := range stored.Parse([]byte(value)).Frames {
		if len(f.Tags) > 0 {
			q.Tags = nil
			for _, tag := range f.Tags {
				q.Tags = append(q.Tags, read(keys.Tag(tag)))
			}
		}
	}
	return q
}

// The readers say of each value what the library says.
func TestReaders(t *testing.T) {
	questions := append(vectors(t), fromRedis(t)...)
	for name, command := range map[string]func(*testing.T) *exec.Cmd{"Python": python, "TypeScript": typescript} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t)
			var in, out, errs bytes.Buffer
			for i := range questions {
				if questions[i].Tags == nil {
					questions[i].Tags = []*string{}
				}
				if err := json.NewEncoder(&in).Encode(questions[i]); err != nil {
					t.Fatal(err)
				}
			}
			cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &errs
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, &errs)
			}
			answers := json.NewDecoder(&out)
			states := make(map[string]int)
			for _, q := range questions {
				var got []frame
				if err := answers.Decode(&got); err != nil {
					t.Fatal(err)
				}
				if want := q.answer(t); !reflect.DeepEqual(got, want) {
					t.Errorf("of %+v it says\n%+v\nwant\n%+v", q, got, want)
				}
				for _, f := range got {
					states[f.State]++
				}
			}
			for _, s := range []string{"fresh", "stale", "invalid"} {
				if states[s] == 0 {
					t.Errorf("no value is %s", s)
				}
			}
		})
	}
}

func python(t *testing.T) *exec.Cmd {
	t.Helper()
	need.Program(t, "python3")
	cmd := exec.Command("python3", "testdata/drive.py")
	cmd.Env = append(os.Environ(), "PYTHONPATH=python", "PYTHONDONTWRITEBYTECODE=1")
	return cmd
}

// typescript compiles the reader, with the compiler that npm installs.
func typescript(t *testing.T) *exec.Cmd {
	t.Helper()
	need.Program(t, "node")
	compiler := "typescript/node_modules/typescript/bin/tsc"
	if _, err := os.Stat(compiler); err != nil {
		need.Program(t, "npm")
		install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
		install.Dir = "typescript"
		if b, err := install.CombinedOutput(); err != nil {
			t.Fatalf("npm ci: %v\n%s", err, b)
		}
	}
	dir := t.TempDir()
	compile := exec.Command("node", compiler, "--strict", "--noUnusedLocals", "--target", "es2022", "--module", "es2022", "--lib", "es2022", "--outDir", dir, "typescript/frame.ts")
	if b, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("tsc: %v\n%s", err, b)
	}
	module := filepath.Join(dir, "frame.mjs")
	if err := os.Rename(filepath.Join(dir, "frame.js"), module); err != nil {
		t.Fatal(err)
	}
	return exec.Command("node", "testdata/drive.mjs", module)
}
