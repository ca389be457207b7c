package rawtest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Pair is a server with a cache, and one without.
type Pair struct {
	Cached, Bare func(*Conn) // serve a connection, and return when the server has responded
	Clear        func()      // removes what the cache has stored

	mu                     sync.Mutex
	cachedState, bareState Resources
	seen                   []observation // of the server without a cache, on one connection
	bodies                 map[string]string
}

// observation is a request that reached the handler, and its answer.
type observation struct {
	*Seen
	answer Answer
}

// AnswerCached returns the answer of the handler behind the cache.
func (p *Pair) AnswerCached(s *Seen) Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cachedState.Answer(s)
}

// AnswerBare returns the answer of the handler without a cache.
func (p *Pair) AnswerBare(s *Seen) Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.bareState.Answer(s)
	p.seen = append(p.seen, observation{s, a})
	return a
}

// Check sends the connections to both servers, one after the other and then once more, and says how a response of the cached
// server is wrong; "" if none is.
func (p *Pair) Check(conns ...[]byte) string {
	p.Clear()
	p.cachedState, p.bareState, p.bodies = make(Resources), make(Resources), make(map[string]string)
	for round := range 2 {
		for i, in := range conns {
			p.seen = nil
			bare := p.exchange(p.Bare, in)
			cached := p.exchange(p.Cached, in)
			if why := p.difference(bare, cached); why != "" {
				return fmt.Sprintf("connection %d in round %d, %q: %s\nwithout a cache %s\nwith it         %s", i, round, in, why, list(bare), list(cached))
			}
		}
	}
	return ""
}

// response is a response as a client sees it.
type response struct {
	*http.Response
	body string
}

func list(responses []response) string {
	var b strings.Builder
	for _, r := range responses {
		fmt.Fprintf(&b, "%d %v %q; ", r.StatusCode, r.Header, r.body)
	}
	return b.String()
}

// exchange returns the final responses on a connection whose client sends in, as far as they can be parsed.
func (p *Pair) exchange(serve func(*Conn), in []byte) (responses []response) {
	c := newConn(bytes.Clone(in))
	serve(c)
	out := bufio.NewReader(bytes.NewReader(c.output()))
	for {
		method := http.MethodGet
		if n := len(responses); n < len(p.seen) {
			method = p.seen[n].Method
		}
		res, err := http.ReadResponse(out, &http.Request{Method: method})
		if err != nil {
			return responses
		}
		if res.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			body = append(body, " and then: "...)
			body = append(body, err.Error()...)
		}
		responses = append(responses, response{res, string(body)})
	}
}

// difference says how the cached server's responses are wrong; "" if they aren't.
func (p *Pair) difference(bare, cached []response) string {
	if len(bare) != len(cached) {
		return fmt.Sprintf("%d responses, want %d", len(cached), len(bare))
	}
	for i := range bare {
		var s *observation
		if i < len(p.seen) && len(p.seen) <= len(bare) {
			s = &p.seen[i]
		}
		if why := p.compare(s, bare[i], cached[i]); why != "" {
			return fmt.Sprintf("response %d: %s", i, why)
		}
	}
	return ""
}
