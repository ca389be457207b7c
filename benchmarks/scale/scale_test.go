package scale_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tiercache/tiercache/internal/redistest"
)

// BenchmarkScale measures the cells, each beside the floor of the same numbers. An op is 100 SETs.
func BenchmarkScale(b *testing.B) {
	for _, names := range []names{oneName, ownNames, otherNames} {
		for _, rate := range []int{100, 1000, 10_000} {
			for _, trackers := range []int{1, 16, 64, 256, 1000} {
				for _, w := range ways {
					if names.compares(w) {
						b.Run(fmt.Sprintf("names=%s/rate=%d/trackers=%d/impl=%s", names, rate, trackers, w.name), cell{names, rate, trackers, w}.run)
					}
				}
			}
		}
	}
}

func (c cell) run(b *testing.B) {
	s := c.open(b)
	const each, misses = 100, 20
	used := redistest.ProcessorTime(b, s.client)
	messages, bytes := s.received()
	for b.Loop() {
		if err := s.writers.run(b.Context(), each); err != nil {
			b.Fatal(err)
		}
	}
	used = redistest.ProcessorTime(b, s.client) - used
	window, sets := b.Elapsed(), float64(b.N*each)
	messagesAfter, bytesAfter := s.received()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(micros(used)/sets, "redis-µs/set")
	b.ReportMetric(sets/window.Seconds(), "set/s")
	b.ReportMetric(float64(messagesAfter-messages)/sets, "msgs/set")
	b.ReportMetric(float64(bytesAfter-bytes)/window.Seconds()/float64(c.trackers), "process-B/s")

	f := s.beside(b, min(max(window, 300*time.Millisecond), time.Second))
	reportQuantiles(b, "get", f.gets)
	if f.observer != nil {
		reportQuantiles(b, "answer", f.answers)
		reportQuantiles(b, "hear", f.hears)
		b.ReportMetric(s.perMiss(b, f.observer, misses), "msgs/miss")
	}
	if c.way.heartbeat != nil {
		const beats = 3
		used := redistest.ProcessorTime(b, s.client)
		for range beats {
			s.beat(b)
		}
		used = redistest.ProcessorTime(b, s.client) - used
		b.ReportMetric(micros(used)/float64(beats*c.trackers), "redis-µs/heartbeat")
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func reportQuantiles(b *testing.B, name string, of []time.Duration) {
	slices.Sort(of)
	b.ReportMetric(micros(of[len(of)/2]), name+"-p50-µs")
	b.ReportMetric(micros(of[(len(of)-1)*99/100]), name+"-p99-µs")
}

// found is what an observer and a reader find beside the SETs.
type found struct {
	observer             observer // nil with the floor
	gets, answers, hears []time.Duration
}

// beside has the writers go on for a while. Meanwhile a program reads a key with GET, and another one changes what the observer has.
func (s *stage) beside(t testing.TB, window time.Duration) (f found) {
	t.Helper()
	getter := newAsker(t, s.server.Addr())
	if s.way.observe != nil {
		f.observer = s.way.observe(t, s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), window)
	defer cancel()
	var all errgroup.Group
	all.Go(func() error { return s.writers.run(ctx, 0) })
	all.Go(func() (err error) {
		f.gets, err = getter.timeGets(ctx)
		return err
	})
	if f.observer != nil {
		s.hearBeside(ctx, t, &f)
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	return f
}

// timeGets measures a GET every two milliseconds.
func (a *asker) timeGets(ctx context.Context) (took []time.Duration, err error) {
	const key = "get"
	if err := a.ask(command("SET", key, value), 1); err != nil {
		return nil, err
	}
	for len(took) == 0 || ctx.Err() == nil {
		begin := time.Now()
		if err := a.ask(get(key), 2); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
		time.Sleep(2 * time.Millisecond)
	}
	return took, nil
}

// change has another program change the observer's key, and returns when Redis has answered.
func (s *stage) change(t testing.TB, to string) time.Time {
	t.Helper()
	c := s.way.changeOf(s.names.key(0, probe), to)
	if err := s.asker.ask(c.commands, c.lines); err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

// hearBeside changes what the observer has, at least once and at most as often as it adds a tenth to the SETs. It measures how long
// the answer to a change takes, and from the answer until the observer has dropped the old value: 0 if it had done so before.
func (s *stage) hearBeside(ctx context.Context, t testing.TB, f *found) {
	t.Helper()
	for n := 1; n == 1 || ctx.Err() == nil; n++ {
		f.observer.keep(t)
		begin := time.Now()
		answered := s.change(t, f.observer.stored(n))
		f.answers = append(f.answers, answered.Sub(begin))
		f.hears = append(f.hears, max(0, f.observer.dropped(t).Sub(answered)))
		select {
		case <-ctx.Done():
		case <-time.After(max(5*time.Millisecond, 10*time.Second/time.Duration(s.rate))):
		}
	}
}

// perMiss returns how many messages all listeners together get for each miss of the observer.
func (s *stage) perMiss(t testing.TB, o observer, misses int) float64 {
	t.Helper()
	s.settle(t)
	before, _ := s.received()
	for i := range misses {
		o.miss(t, fmt.Sprintf("missing-%d", i))
	}
	s.settle(t)
	after, _ := s.received()
	return float64(after-before) / float64(misses)
}

// Each way tells those that are concerned of the changes, and with prefix and pubsub all others too.
func TestScale(t *testing.T) {
	t.Parallel()
	const sets, misses = 20, 2
	for _, names := range []names{oneName, ownNames, otherNames} {
		for _, w := range ways {
			if !names.compares(w) {
				continue
			}
			t.Run(fmt.Sprintf("names=%s/impl=%s", names, w.name), func(t *testing.T) {
				t.Parallel()
				s := cell{names, 1000, 2, w}.open(t)
				if err := s.writers.run(t.Context(), sets); err != nil {
					t.Fatal(err)
				}
				s.settle(t)
				messages, bytes := s.received()
				everyone := w.name == "prefix" || w.name == "pubsub"
				if told := messages > 0; told != (w.name != floor.name && (names != otherNames || everyone)) || bytes == 0 {
					t.Errorf("%d messages, %d bytes", messages, bytes)
				}
				if w.heartbeat != nil {
					before, _ := s.received()
					s.beat(t)
					if after, _ := s.received(); after < before+2 {
						t.Errorf("two heartbeats were reported in %d messages", after-before)
					}
				}
				f := s.beside(t, time.Millisecond)
				if len(f.gets) == 0 || (f.observer != nil) != (len(f.hears) > 0) {
					t.Errorf("%d GETs, %d reports", len(f.gets), len(f.hears))
				}
				if f.observer == nil {
					return
				}
				// Redis may send one message for two changes.
				if told := s.perMiss(t, f.observer, misses) > 0; told != (everyone || w.name == "name") {
					t.Errorf("told of misses: %v", told)
				}
			})
		}
	}
}
