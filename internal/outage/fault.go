//go:build !windows

package outage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
)

// injector is the fault of a run.
type injector struct {
	*run
	rng *rand.Rand
}

// hold leaves things as they are.
func (in *injector) hold(d time.Duration) { pause(context.Background(), d) }

func (in *injector) each(f func(*faultproxy.Proxy)) {
	for _, p := range in.processes {
		f(p.proxy)
	}
}

// kill is a crash of Redis that loses its data: whatever was cached is invalid then.
func (in *injector) kill() {
	in.server.Kill()
	in.hold(in.options.Time)
	in.loses()
	in.server.Restart()
}

func (in *injector) killKeepingData() {
	in.server.Kill()
	in.hold(in.options.Time)
	in.server.Restart()
}

func (in *injector) freeze() {
	in.server.Freeze()
	in.hold(in.options.Time)
	in.server.Thaw()
}

// flap has Redis be away and back, for a while each.
func (in *injector) flap() {
	beat := min(2*time.Second, in.options.Time/8)
	for start := in.clock.now(); in.clock.now()-start < in.options.Time; {
		in.each(func(p *faultproxy.Proxy) { p.Refuse(true); p.Cut() })
		in.hold(beat)
		in.each(func(p *faultproxy.Proxy) { p.Refuse(false) })
		in.hold(beat)
		in.episodes++
	}
}

// delay has round trips take half a second more, which is more than Timeout.
func (in *injector) delay() {
	in.each(func(p *faultproxy.Proxy) { p.Delay(250 * time.Millisecond) })
	in.hold(in.options.Time)
	in.each(func(p *faultproxy.Proxy) { p.Delay(0) })
}

// stallSome is what lost packets make of a network.
func (in *injector) stallSome() {
	in.each(func(p *faultproxy.Proxy) { p.StallSome(0.1, 300*time.Millisecond) })
	in.hold(in.options.Time)
	in.each(func(p *faultproxy.Proxy) { p.StallSome(0, 0) })
	in.episodes += int(in.options.Time / time.Second) // each may be one
}

func pretend(s faultproxy.State) func(*injector) {
	return func(in *injector) {
		in.each(func(p *faultproxy.Proxy) { p.Pretend(s) })
		in.hold(in.options.Time)
		in.each(func(p *faultproxy.Proxy) { p.Pretend(faultproxy.Well) })
	}
}

// mistype is another program that makes lists, hashes and streams of the caches' keys, and leaves them there. All that a
// cache has may be invalid when its ledger is lost.
func (in *injector) mistype() {
	in.loses()
	client := redis.NewClient(&redis.Options{Addr: in.server.Addr()})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), in.options.Time)
	defer cancel()
	for ctx.Err() == nil {
		key := in.anyRedisKey()
		if _, err := client.TxPipelined(context.Background(), func(p redis.Pipeliner) error {
			p.Del(ctx, key)
			switch in.rng.IntN(3) {
			case 0:
				p.RPush(ctx, key, "of no cache's")
			case 1:
				p.HSet(ctx, key, "field", "of no cache's")
			case 2:
				p.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"field", "of no cache's"}})
			}
			return nil
		}); err != nil && ctx.Err() == nil {
			in.t.Errorf("outage: another program's write: %v", err)
		}
		pause(ctx, time.Duration(in.rng.Int64N(int64(4*time.Millisecond))))
	}
	in.episodes += int(in.options.Time / time.Second)
}

// anyRedisKey is a value's most of the time, else a tag's or the era's.
func (in *injector) anyRedisKey() string {
	m := roster[in.rng.IntN(len(roster))]
	p := in.rng.IntN(processes)
	switch in.rng.IntN(20) {
	case 0:
		return fmt.Sprintf("%s%s!era{%s}", prefix, m.name, m.name)
	case 1:
		return fmt.Sprintf("%s%s!count{%s}", prefix, m.name, m.name)
	case 2, 3:
		return prefix + lasting.name + "!tag:" + groupOf(p, in.rng.IntN(groups)).tag
	}
	keys := keysOf(m, p)
	return prefix + m.name + ":" + keys[in.rng.IntN(len(keys))]
}
