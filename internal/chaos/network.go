//go:build !windows

package chaos

import (
	"time"

	"github.com/tiercache/tiercache/internal/faultproxy"
)

// networkFaults returns the faults in one worker's network.
func networkFaults() []fault {
	return []fault{
		{"cut", network, nil, (*injector).cut},
		{"cut one", network, nil, (*injector).cutOne},
		{"refuse", network, nil, (*injector).refuse},
		{"stall", network, nil, func(in *injector) { in.unreachable((*faultproxy.Proxy).Stall) }},
		{"stall replies", network, nil, func(in *injector) { in.unreachable((*faultproxy.Proxy).StallReplies) }},
		{"half-open", network, nil, (*injector).halfOpen},
		{"delay", network, nil, func(in *injector) { in.delay(5*time.Millisecond, 20*time.Millisecond) }},
		{"long delay", network, nil, func(in *injector) { in.delay(in.options.Timeout, 3*in.options.Timeout) }},
	}
}

// cut breaks all connections. That is no outage, since new ones work.
func (in *injector) cut() {
	for _, p := range in.slot().proxies {
		p.Cut()
	}
}

func (in *injector) cutOne() {
	s := in.slot()
	for range 1 + in.rng.IntN(4) {
		s.proxies[in.rng.IntN(len(s.proxies))].CutOne(in.rng.IntN)
		in.hold(0, 50*time.Millisecond)
	}
}

// unreachable applies turn to all proxies of a worker for a while.
func (in *injector) unreachable(turn func(*faultproxy.Proxy, bool)) {
	s := in.slot()
	defer in.outage(s)(in.recovery())
	for _, p := range s.proxies {
		turn(p, true)
		defer turn(p, false)
	}
	in.hold(100*time.Millisecond, 2*time.Second)
}

func (in *injector) refuse() {
	in.unreachable(func(p *faultproxy.Proxy, on bool) {
		p.Refuse(on)
		if on {
			p.Cut()
		}
	})
}

// halfOpen makes the open connections black holes. The outage lasts until go-redis has given up the last of them, and it
// notices a pool's idle connections one after the other.
func (in *injector) halfOpen() {
	s := in.slot()
	defer in.outage(s)(in.recovery() + time.Second)
	for _, p := range s.proxies {
		p.HalfOpen()
	}
}

// delay adds twice its duration to each round trip. It is no outage if that is less than Timeout.
func (in *injector) delay(least, most time.Duration) {
	s := in.slot()
	d := least + time.Duration(in.rng.Int64N(int64(most-least)))
	if d >= in.options.Timeout/2 {
		defer in.outage(s)(in.recovery() + d)
	}
	for _, p := range s.proxies {
		p.Delay(d)
		defer p.Delay(0)
	}
	in.hold(300*time.Millisecond, 1500*time.Millisecond)
}
