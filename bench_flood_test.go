package tiercache_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// A flood has the bytes of SETs that raw clients send to Redis. They are made beforehand, so that the clients cost hardly
// anything.
type flood struct {
	server *redistest.Server
	each   [][]byte // a command
}

func (f *flood) set(key, value string) {
	f.each = append(f.each, fmt.Appendf(nil, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(key), key, len(value), value))
}

const okReply = "+OK\r\n"

// run sends the flood over several connections, with up to depth unanswered commands on each, 0 for any number. It returns
// when the last one is answered.
func (f *flood) run(connections, depth int) error {
	var all errgroup.Group
	for i := range connections {
		all.Go(func() error {
			conn, err := net.Dial("tcp", f.server.Addr())
			if err != nil {
				return err
			}
			defer conn.Close()
			return pour(conn, f.each[i*len(f.each)/connections:(i+1)*len(f.each)/connections], depth)
		})
	}
	return all.Wait()
}

func pour(conn net.Conn, commands [][]byte, depth int) error {
	if depth == 0 {
		depth = len(commands)
	}
	var writing errgroup.Group
	for len(commands) > 0 {
		next := commands[:min(depth, len(commands))]
		commands = commands[len(next):]
		write := func() error {
			var batch net.Buffers
			batch = append(batch, next...)
			_, err := batch.WriteTo(conn)
			return err
		}
		if len(next) > 1000 { // more than sockets hold: the answers are to be read meanwhile
			writing.Go(write)
		} else if err := write(); err != nil {
			return err
		}
		if err := takeOKs(conn, len(next)); err != nil {
			return err
		}
	}
	return writing.Wait()
}

func takeOKs(conn net.Conn, n int) error {
	answers := make([]byte, min(n, 1<<13)*len(okReply))
	for n > 0 {
		part := answers[:min(n*len(okReply), len(answers))]
		if _, err := io.ReadFull(conn, part); err != nil {
			return err
		}
		if string(part[:len(okReply)]) != okReply {
			return fmt.Errorf("redis answered %q", part)
		}
		n -= len(part) / len(okReply)
	}
	return nil
}

const (
	floodKeys = 1_000_000
	floodSize = 400_000 // SETs, of which half are of keys in the local tier
	witness   = "witness"
	floodEnd  = "tc:bench:last"
)

// BenchmarkCoherenceFlood has a raw client overwrite keys as fast as Redis takes it, one half of which are among the
// million in a cache's local tier. set/s is what Redis takes, inv/s what the cache takes in until the last is handled, and
// behind-ms how long after Redis's last answer that is. The floors have nobody listen, or a connection that drops all
// it is told. unproved is how often, of a read a millisecond, the local tier didn't serve a key that nobody wrote,
// since Redis or the stream were too far behind. The cache is patient: at the default Timeout its proofs run out on a
// machine that is busy with other things too, and what is measured is how it recovers.
func BenchmarkCoherenceFlood(b *testing.B) {
	server := redistest.Start(b)
	f := stock(b, server)
	b.Run("impl=untracked", func(b *testing.B) {
		var took time.Duration
		for b.Loop() {
			took += f.timed(b)
		}
		reportRate(b, "set/s", took)
	})
	b.Run("impl=discarded", func(b *testing.B) {
		ears := new(redistest.Tap)
		conn := discardTracked(b, server, ears)
		defer conn.Close()
		var took, heard time.Duration
		for b.Loop() {
			ears.Expect(floodEnd)
			begin := time.Now()
			took += f.timed(b)
			heard += ears.Await(b).Handled.Sub(begin)
		}
		reportRate(b, "set/s", took)
		reportRate(b, "inv/s", heard)
	})
	b.Run("impl=tiercache", func(b *testing.B) { f.invalidates(b) })
}

func reportRate(b *testing.B, unit string, took time.Duration) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.N)*floodSize/took.Seconds(), unit)
}

// stock stores the million keys in Redis, and returns a flood that overwrites them.
func stock(b *testing.B, server *redistest.Server) *flood {
	b.Helper()
	ctx, client := b.Context(), server.Client(b)
	c := newCache(b, tiered.Options[int]{Redis: newRedisOf(b, client, patient(tiered.None))})
	if err := c.Set(ctx, witness, 1); err != nil {
		b.Fatal(err)
	}
	frame, err := client.Get(ctx, "tc:bench:"+witness).Result()
	if err != nil {
		b.Fatal(err)
	}
	all, f := &flood{server: server}, &flood{server: server}
	for i := range floodKeys {
		all.set(floodKey(i), frame)
	}
	for i := range floodSize / 2 {
		f.set(floodKey(i), frame)
		f.set("tc:bench:uncached:"+strconv.Itoa(i), frame)
	}
	f.set(floodEnd, frame)
	all.timed(b)
	f.timed(b)
	return f
}

func floodKey(i int) string { return "tc:bench:" + strconv.Itoa(i) }

// timed returns how long the flood takes over one connection.
func (f *flood) timed(b *testing.B) time.Duration {
	b.Helper()
	begin := time.Now()
	if err := f.run(1, 0); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}

// discardTracked returns a connection that tracks the keys and drops all reports, until it is closed.
func discardTracked(b *testing.B, server *redistest.Server, ears *redistest.Tap) net.Conn {
	b.Helper()
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.WriteString(conn, "HELLO 3\r\nCLIENT TRACKING ON BCAST PREFIX tc:\r\n"); err != nil {
		b.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, ears.Conn(conn)) }()
	return conn
}

func (f *flood) invalidates(b *testing.B) {
	ears := new(redistest.Tap)
	c := newCache(b, tiered.Options[int]{
		Redis:   newRedisOf(b, ears.Client(b, f.server), patient(tiered.Tracking)),
		MaxCost: 2 * floodKeys,
	})
	var took, heard time.Duration
	reads, unproved := 0, 0
	for b.Loop() {
		b.StopTimer()
		fillLocal(b, c)
		b.StartTimer()
		ears.Expect(floodEnd)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for tick := time.Tick(time.Millisecond); ; reads++ {
				if e, _ := c.Lookup(b.Context(), witness); e.Tier != tiered.Local {
					unproved++
				}
				select {
				case <-tick:
				case <-stop:
					return
				}
			}
		}()
		begin := time.Now()
		took += f.timed(b)
		heard += ears.Await(b).Handled.Sub(begin)
		close(stop)
		<-stopped
	}
	b.ReportMetric(max(0, (heard-took).Seconds())*1000/float64(b.N), "behind-ms")
	b.ReportMetric(100*float64(unproved)/float64(reads), "unproved-%")
	reportRate(b, "set/s", took)
	reportRate(b, "inv/s", heard)
}

// fillLocal reads all the keys until the local tier has nearly all.
func fillLocal(b *testing.B, c *tiered.Cache[int]) {
	b.Helper()
	ids := make([]int, floodKeys)
	for i := range ids {
		ids[i] = i
	}
	noInts := func(context.Context, []int) (map[int]int, error) { return nil, errMissing }
	deadline := time.Now().Add(2 * time.Minute)
	for {
		before := c.Stats()
		for part := ids; len(part) > 0; part = part[min(1000, len(part)):] {
			got, err := tiered.GetOrLoadMany(b.Context(), c, part[:min(1000, len(part))], strconv.Itoa, noInts)
			if err != nil || len(got) != min(1000, len(part)) {
				b.Fatalf("got %d, %v", len(got), err)
			}
		}
		_, err := c.Get(b.Context(), witness)
		after := c.Stats()
		switch hits := after.LocalHits - before.LocalHits; {
		case err != nil:
			b.Fatal(err)
		case hits > floodKeys*99/100:
			return
		case time.Now().After(deadline):
			b.Fatalf("the local tier has %d of the keys only", hits)
		}
	}
}

// BenchmarkCoherenceServer measures what it costs Redis that some processes listen: µs of its processor time for a SET
// by a raw client, and beside that how many a second it takes, which the listening processes slow down too, since they
// run on the same machine. Those with caches of other names hear nothing of the SETs, but Redis compares each key with their
// prefixes.
func BenchmarkCoherenceServer(b *testing.B) {
	for _, by := range []struct {
		name                     string
		connections, depth, sets int
	}{{"one", 16, 1, floodSize / 8}, {"pipelined", 1, 100, floodSize}} {
		for _, listen := range []struct {
			impl     string
			trackers int
			name     string // of their caches, with a number; "": that of the keys
		}{{"0-trackers", 0, ""}, {"1-trackers", 1, ""}, {"4-trackers", 4, ""}, {"64-other-names", 64, "other"}} {
			b.Run("sets="+by.name+"/impl="+listen.impl, func(b *testing.B) {
				server := redistest.Start(b)
				client := server.Client(b)
				for i := range listen.trackers {
					o := tiered.Options[int]{Redis: newRedisOf(b, server.Client(b), tiered.RedisOptions{})}
					if listen.name != "" {
						o.Name, o.MaxCost = fmt.Sprint(listen.name, i), 1000
					}
					newCache(b, o)
				}
				f := &flood{server: server}
				for i := range by.sets {
					f.set(floodKey(i), strings.Repeat("x", 200))
				}
				var took, used time.Duration
				for b.Loop() {
					before, begin := redistest.ProcessorTime(b, client), time.Now()
					if err := f.run(by.connections, by.depth); err != nil {
						b.Fatal(err)
					}
					took += time.Since(begin)
					used += redistest.ProcessorTime(b, client) - before
				}
				sets := float64(b.N * by.sets)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(sets/took.Seconds(), "set/s")
				b.ReportMetric(float64(used.Nanoseconds())/1000/sets, "redis-µs/set")
			})
		}
	}
}
