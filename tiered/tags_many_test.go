package tiered_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func manyTags(prefix string, n int) []string {
	tags := make([]string, n)
	for i := range tags {
		tags[i] = prefix + strconv.Itoa(i)
	}
	return tags
}

// More tags at once than there is room for in a message.
func TestInvalidateManyTags(t *testing.T) {
	t.Parallel()
	for mode, how := range listeningModes {
		t.Run(mode, func(t *testing.T) {
			_, a, b := twoProcesses(t, how)
			tags := manyTags(strings.Repeat("long", 25), 2000)
			for _, i := range []int{0, 1000, 1999} {
				if err := a.Set(t.Context(), fmt.Sprint(i), "v", tags[i]); err != nil {
					t.Fatal(err)
				}
				keep(t, b, fmt.Sprint(i), "v")
			}
			if err := a.InvalidateTags(t.Context(), tags...); err != nil {
				t.Fatal(err)
			}
			for _, i := range []int{0, 1000, 1999} {
				follows(t, b, fmt.Sprint(i), "")
			}
		})
	}
}

// Values that are loaded at the same time and are the first to have a tag.
func TestFirstTagOfManyLoads(t *testing.T) {
	t.Parallel()
	_, a, _ := twoProcesses(t, tiered.Tracking)
	const n = 20
	var loading, done sync.WaitGroup
	loading.Add(n)
	for i := range n {
		done.Go(func() {
			_, err := a.GetOrLoad(t.Context(), fmt.Sprint(i), func(_ context.Context, e *tiered.Entry[string]) (string, error) {
				loading.Done()
				loading.Wait()
				e.Tags = []string{"tag"}
				return "v", nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	lost := 0
	for i := range n {
		if _, err := a.Get(t.Context(), fmt.Sprint(i)); err != nil {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d loaded values weren't kept", lost, n)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What a process remembers of tags is bounded, even if each value has tags of its own.
func TestMemoryOfTags(t *testing.T) {
	c := newCache(t, tiered.Options[string]{MaxCost: 10})
	set := func(from, to int) {
		for i := from; i < to; i++ {
			if err := c.Set(t.Context(), fmt.Sprint("k", i), "v", manyTags(fmt.Sprint("tag/", i, "/"), 100)...); err != nil {
				t.Fatal(err)
			}
		}
	}
	set(0, 10)
	empty := heap()
	set(10, 1010)
	some := heap() - empty
	set(1010, 5010)
	all := heap() - empty
	t.Logf("100,000 tags: %d bytes a tag; 500,000 tags: %d MB", some/100_000, all>>20)
	if all > 60<<20 {
		t.Errorf("500,000 tags take %d MB", all>>20)
	}
}

func TestMemoryOfTagsInRedis(t *testing.T) {
	s := redistest.Start(t)
	c := newProcess(t, s, tiered.RedisOptions{}, longLived)
	used := func() int { return s.Number("memory", "used_memory") }
	before := used()
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprint("k", i)
		if err := c.Set(t.Context(), keys[i], "v", manyTags(fmt.Sprint("tag/", i, "/"), 100)...); err != nil {
			t.Fatal(err)
		}
	}
	inRedis := (used() - before) / 100_000
	reader := newProcess(t, s, tiered.RedisOptions{}, longLived)
	empty := heap()
	if got, err := reader.GetMany(t.Context(), keys...); err != nil || len(got) != len(keys) {
		t.Fatalf("%d values, %v", len(got), err)
	}
	here := (heap() - empty) / 100_000
	t.Logf("a tag takes %d bytes in a process that reads its value and %d in Redis", here, inRedis)
	if inRedis > 400 || here > 600 {
		t.Error("too much")
	}
	if n := s.Do("DBSIZE").(int64); n < 101_000 || n > 101_200 {
		t.Errorf("%d keys", n)
	}
	if left := s.Do("PTTL", "tc:test!tag:tag/1/1").(int64); left <= 0 {
		t.Errorf("a tag's record has a PTTL of %d", left)
	}
}
