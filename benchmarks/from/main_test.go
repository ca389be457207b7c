package from_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// user is what the programs cache.
type user struct {
	ID   int
	Name string
	Bio  string
}

// loads counts the loads of users.
var loads atomic.Int64

// load is the programs' source.
func load(_ context.Context, id string) (user, error) {
	loads.Add(1)
	return user{ID: 42, Name: "user " + id, Bio: strings.Repeat("curious ", 20)}, nil
}

// callers calls read in a number of goroutines at a time, and returns how many loads they made.
func callers(t *testing.T, read func() (user, error)) int64 {
	t.Helper()
	before := loads.Load()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if u, err := read(); err != nil || u.Name != "user 42" {
				t.Errorf("%+v, %v", u, err)
			}
		})
	}
	all.Wait()
	return loads.Load() - before
}

// Each block of Go in docs/from is, except for its indentation, in a test of this package.
func TestBlocksAreCompiled(t *testing.T) {
	flat := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	read := func(pattern string) (all string) {
		names, err := filepath.Glob(pattern)
		if err != nil || names == nil {
			t.Fatal(pattern, err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all += string(b) + "\n"
		}
		return all
	}
	compiled := flat(read("*_test.go"))
	blocks := strings.Split(read("../../docs/from/*.md"), "```go\n")[1:]
	if len(blocks) < 6 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(compiled, flat(block)) {
			t.Error(fmt.Sprint("not in a test:\n", block))
		}
	}
}
