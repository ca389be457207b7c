//go:build !windows

package outage

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
)

func (in *injector) each(f func(*faultproxy.Proxy)) {
	for _, p := range in.processes {
		f(p.proxy)
	}
}

// kill crashes Redis, which loses its data: all cached values are then invalid.
func (in *injector) kill() {
	in.server.Kill()
	in.hold(in.options.Time)
	in.recordLoss()
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

// flap makes Redis unreachable and reachable by turns.
func (in *injector) flap() {
	period := min(2*time.Second, in.options.Time/8)
	for start := in.clock.now(); in.clock.now()-start < in.options.Time; {
		in.each(func(p *faultproxy.Proxy) { p.Refuse(true); p.Cut() })
		in.hold(period)
		in.each(func(p *faultproxy.Proxy) { p.Refuse(false) })
		in.hold(period)
		in.episodes++
	}
}

// delayed is how long delay holds back what is sent, in each direction. Together that is more than Timeout.
const delayed = 250 * time.Millisecond

func (in *injector) delay() {
	in.each(func(p *faultproxy.Proxy) { p.Delay(delayed) })
	in.hold(in.options.Time)
	in.each(func(p *faultproxy.Proxy) { p.Delay(0) })
}

// stallSome delays some chunks, as lost packets do.
func (in *injector) stallSome() {
	in.each(func(p *faultproxy.Proxy) { p.StallSome(0.1, 300*time.Millisecond) })
	in.hold(in.options.Time)
	in.each(func(p *faultproxy.Proxy) { p.StallSome(0, 0) })
	in.episodes += int(in.options.Time / time.Second) // each second may have one
}

func pretend(s faultproxy.State) func(*injector) {
	return func(in *injector) {
		in.each(func(p *faultproxy.Proxy) { p.Pretend(s) })
		in.hold(in.options.Time)
		in.each(func(p *faultproxy.Proxy) { p.Pretend(faultproxy.Well) })
	}
}

// storeWrongTypes replaces the caches' keys by lists, hashes and streams, as another program might, and leaves them there. When
// the record of a tag or of the epoch is lost, all values of a cache may be invalid.
func (in *injector) storeWrongTypes() {
	in.recordLoss()
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
				p.RPush(ctx, key, "another program's")
			case 1:
				p.HSet(ctx, key, "field", "another program's")
			case 2:
				p.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"field", "another program's"}})
			}
			return nil
		}); err != nil && ctx.Err() == nil {
			in.t.Errorf("outage: another program's write: %v", err)
		}
		pause(ctx, time.Duration(in.rng.Int64N(int64(4*time.Millisecond))))
	}
	in.episodes += int(in.options.Time / time.Second)
}

// anyRedisKey returns mostly the key of a value, sometimes that of a tag or of the epoch.
func (in *injector) anyRedisKey() string {
	m := cacheConfigs[in.rng.IntN(len(cacheConfigs))]
	p := in.rng.IntN(processes)
	switch in.rng.IntN(20) {
	case 0:
		return fmt.Sprintf("%s%s!era{%s}", prefix, m.name, m.name)
	case 1:
		return fmt.Sprintf("%s%s!count{%s}", prefix, m.name, m.name)
	case 2, 3:
		return prefix + longLived.name + "!tag:" + groupOf(p, in.rng.IntN(groups)).tag
	}
	keys := keysOf(m, p)
	return prefix + m.name + ":" + keys[in.rng.IntN(len(keys))]
}

// inject puts the source in this mode for the time of the fault.
func (w sourceMode) inject(in *injector) {
	defer in.source.setMode(w)()
	in.hold(in.options.Time)
}
