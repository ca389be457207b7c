package local_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// shareOf returns a key's share of the hits, and how many there are a second; 0: it has none.
func shareOf(all []local.Hot, key string) (share, perSecond float64) {
	for _, h := range all {
		if h.Key == key {
			return h.Share, h.PerSecond
		}
	}
	return 0, 0
}

func TestSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, nil)
		read := func(key string, times int) {
			for range times {
				if got(l, key, seconds(1), nil) == 0 {
					t.Fatalf("%s isn't served", key)
				}
			}
		}
		const lasting = 10 * time.Minute
		for i := range 20 {
			put(l, fmt.Sprint("rare", i), 1, record.Meta{}, always)
		}
		put(l, "hot", 1, record.Meta{}, always)
		put(l, "warm", 1, record.Meta{}, always)
		read("hot", 100)
		if all := l.Sample(lasting); len(all) > 0 {
			t.Errorf("hits from before the first call: %v", all)
		}
		for range 180 { // seconds: if both are in one stripe, that has a sample of either each second
			read("hot", 600)
			read("warm", 300)
			for i := range 20 {
				read(fmt.Sprint("rare", i), 5)
			}
			time.Sleep(time.Second)
		}
		all := l.Sample(lasting)
		hot, hotRate := shareOf(all, "hot")
		warm, warmRate := shareOf(all, "warm")
		if hot < 0.5 || hot > 0.7 || warm < 0.2 || warm > 0.4 {
			t.Errorf("shares of %.2f and %.2f, want about 0.6 and 0.3: %v", hot, warm, all)
		}
		if hotRate < 450 || hotRate > 750 || warmRate < 200 || warmRate > 400 {
			t.Errorf("%.0f and %.0f a second, want about 600 and 300", hotRate, warmRate)
		}
		time.Sleep(lasting)
		read("warm", 1) // ends the sampling
		read("warm", 100)
		if all := l.Sample(lasting); len(all) > 0 {
			t.Errorf("hits from before the time in which samples are taken: %v", all)
		}
	})
}

// A key that is read once counts, however busy others are.
func TestSampleOfIdleStripes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, nil)
		for i := range 200 {
			put(l, fmt.Sprint(i), 1, record.Meta{}, always)
		}
		l.Sample(time.Minute)
		for i := range 200 {
			got(l, fmt.Sprint(i), seconds(1), nil)
		}
		sum := 0.0
		all := l.Sample(time.Minute)
		for _, h := range all {
			sum += h.Share
		}
		if len(all) < 64 || sum < 0.999 || sum > 1.001 {
			t.Errorf("%d keys with %.3f of the hits, want one or more of each of 64 stripes with all", len(all), sum)
		}
	})
}

func TestPeekAndEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, nil)
		put(l, "a", 1, record.Meta{}, always)
		put(l, "b", 2, record.Meta{Expired: true}, always)
		put(l, "gone", 3, record.Meta{}, always)
		l.Delete("gone", hash("gone"))
		synctest.Wait()
		before := l.Stats()
		if it := l.Peek("b", hash("b")); it == nil || it.Value != 2 {
			t.Errorf("peek at a stale item: %v", it)
		}
		if it := l.Peek("gone", hash("gone")); it != nil && !it.Deleted() {
			t.Errorf("peek at a deleted item: %v", it)
		}
		if it := l.Peek("another key", hash("a")); it != nil {
			t.Errorf("peek at another key's item: %v", it)
		}
		if after := l.Stats(); after != before {
			t.Errorf("stats were %+v, and are %+v", before, after)
		}
		var all []string
		l.Each(func(it *local.Item[int]) bool { all = append(all, it.Key); return true })
		if slices.Sort(all); !slices.Equal(all, []string{"a", "b"}) {
			t.Errorf("all items: %q", all)
		}
		n := 0
		l.Each(func(*local.Item[int]) bool { n++; return false })
		if n != 1 {
			t.Errorf("%d items after f has returned false", n)
		}
	})
}

// A reader that stops after each part and goes on with the next one sees what one that doesn't stop sees.
func TestEachPart(t *testing.T) {
	for _, n := range []int{0, 1, 300, 20_000} {
		synctest.Test(t, func(t *testing.T) {
			l := open(t, func(o *local.Options) { o.MaxCost = 100_000 })
			for i := range n {
				put(l, fmt.Sprint(i), i, record.Meta{}, always)
			}
			synctest.Wait()
			inOneGo, partByPart := make(map[int]int), make(map[int]int)
			last := -1
			l.EachPart(0, func(part int, items []*local.Item[int]) bool {
				if part <= last || len(items) == 0 {
					t.Errorf("part %d after %d, with %d items", part, last, len(items))
				}
				last = part
				for _, it := range items {
					inOneGo[it.Value]++
				}
				return true
			})
			for from, more := 0, true; more; {
				more = false
				l.EachPart(from, func(part int, items []*local.Item[int]) bool {
					if part < from || more {
						t.Errorf("part %d from %d on, after another: %v", part, from, more)
					}
					for _, it := range items {
						partByPart[it.Value]++
					}
					from, more = part+1, true
					return false
				})
			}
			if len(inOneGo) != n || !maps.Equal(inOneGo, partByPart) {
				t.Errorf("%d items in one go, and %d part by part, of %d", len(inOneGo), len(partByPart), n)
			}
		})
	}
}

func TestPeekAndSampleAfterClose(t *testing.T) {
	l, err := local.New[int](local.Options{MaxCost: 10, Retention: new(record.Retention), Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	put(l, "a", 1, record.Meta{}, always)
	l.Close()
	l.Each(func(*local.Item[int]) bool { t.Error("a closed tier has items"); return false })
	l.EachPart(0, func(int, []*local.Item[int]) bool { t.Error("a closed tier has parts"); return false })
	if l.Peek("a", hash("a")) != nil || len(l.Sample(time.Minute)) > 0 {
		t.Error("a closed tier has an item, or samples")
	}
}
