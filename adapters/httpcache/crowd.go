package httpcache

import "sync"

// crowds has, by key, the requests that missed and wait or lead.
type crowds struct {
	mu    sync.Mutex
	byKey map[string]*crowd
}

// crowd is what the requests for one key tell each other beside the response, which comes through the flight.
type crowd struct {
	turns     int
	reloading bool          // one of them wants a new response
	streams   chan struct{} // closed when a leader's answer goes out in parts
	streaming bool          // streams is closed
}

// join lets a turn wait for another request's response, or lead. The answer is false where there is nothing to wait for: a
// response that goes out in parts may take any time, a new response is made for one request at a time, and a request that
// mustn't share only leads.
func (c *crowds) join(t *turn, shares bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	cr := c.byKey[t.at]
	if cr != nil && !shares {
		return false
	}
	if cr == nil {
		cr = &crowd{streams: make(chan struct{})}
		if c.byKey == nil {
			c.byKey = make(map[string]*crowd)
		}
		c.byKey[t.at] = cr
	}
	if t.reload && cr.reloading || !t.reload && cr.streaming {
		return false
	}
	cr.turns++
	cr.reloading = cr.reloading || t.reload
	t.crowd = cr
	return true
}

// leave is called once for each turn that joined.
func (c *crowds) leave(t *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cr := t.crowd
	cr.turns--
	if t.reload {
		cr.reloading = false
	}
	if cr.turns == 0 {
		delete(c.byKey, t.at)
	}
}

// stream says that the turn's answer goes out in parts from now on.
func (c *crowds) stream(t *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cr := t.crowd; !cr.streaming {
		cr.streaming = true
		close(cr.streams)
	}
}
