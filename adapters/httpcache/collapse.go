package httpcache

import "sync"

// collapseGroups has, by key, the requests that missed, and wait or lead.
type collapseGroups struct {
	mu    sync.Mutex
	byKey map[string]*collapseGroup
}

// collapseGroup is the shared state of the requests for one key. They get the response itself through the flight.
type collapseGroup struct {
	participants int
	reloading    bool          // one of them wants a new response
	streams      chan struct{} // closed when a leader's response is sent in parts
	streaming    bool          // streams is closed
}

// join lets a participant wait for another request's response, or lead. It returns false if it can't wait: a
// response that is sent in parts may take any time, only one request at a time requests a new response, and a request that
// must not share can only lead.
func (gs *collapseGroups) join(p *participant, shares bool) bool {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := gs.byKey[p.flightKey]
	if g != nil && !shares {
		return false
	}
	if g == nil {
		g = &collapseGroup{streams: make(chan struct{})}
		if gs.byKey == nil {
			gs.byKey = make(map[string]*collapseGroup)
		}
		gs.byKey[p.flightKey] = g
	}
	if p.reload && g.reloading || !p.reload && g.streaming {
		return false
	}
	g.participants++
	g.reloading = g.reloading || p.reload
	p.group = g
	return true
}

// leave is called once for each participant that joined.
func (gs *collapseGroups) leave(p *participant) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := p.group
	g.participants--
	if p.reload {
		g.reloading = false
	}
	if g.participants == 0 {
		delete(gs.byKey, p.flightKey)
	}
}

// stream records that the participant's response is sent in parts from now on.
func (gs *collapseGroups) stream(p *participant) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g := p.group; !g.streaming {
		g.streaming = true
		close(g.streams)
	}
}
