package httpcache

import "sync"

// collapseGroups has, by key, the requests that missed, and wait or lead.
type collapseGroups struct {
	mu    sync.Mutex
	byKey map[string]*collapseGroup
}

// collapseGroup is the shared state of the requests for one key. They get the response itself through the flight.
type collapseGroup struct {
	key          string
	participants int
	reloading    bool          // one of them wants a new response
	streams      chan struct{} // closed when a leader's response is sent in parts
	streaming    bool          // streams is closed
	whenAlone    []func()      // are called when only one participant is left
}

// join lets a request wait for another request's response, or lead. It returns nil if it can't wait: a
// response that is sent in parts may take any time, only one request at a time requests a new response (reload), and a request
// that must not share can only lead.
func (gs *collapseGroups) join(key string, reload, shares bool) *collapseGroup {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := gs.byKey[key]
	if g != nil && !shares {
		return nil
	}
	if g == nil {
		g = &collapseGroup{key: key, streams: make(chan struct{})}
		if gs.byKey == nil {
			gs.byKey = make(map[string]*collapseGroup)
		}
		gs.byKey[key] = g
	}
	if reload && g.reloading || !reload && g.streaming {
		return nil
	}
	g.participants++
	g.reloading = g.reloading || reload
	return g
}

// leave is called once for each request that joined.
func (gs *collapseGroups) leave(g *collapseGroup, reload bool) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g.participants--
	if reload {
		g.reloading = false
	}
	switch g.participants {
	case 0:
		delete(gs.byKey, g.key)
	case 1:
		for _, f := range g.whenAlone {
			f()
		}
		g.whenAlone = nil
	}
}

// onAlone makes the group call f when no request but one is left in it. It returns false if that is so already.
func (gs *collapseGroups) onAlone(g *collapseGroup, f func()) bool {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g.participants <= 1 {
		return false
	}
	g.whenAlone = append(g.whenAlone, f)
	return true
}

// stream records that the leader's response is sent in parts from now on.
func (gs *collapseGroups) stream(g *collapseGroup) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if !g.streaming {
		g.streaming = true
		close(g.streams)
	}
}
