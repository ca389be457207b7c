//go:build !windows

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// span is a range of durations.
type span struct{ least, most time.Duration }

// source is the HTTP server in the parent that the workers' loaders ask. It decides the outcome of each load.
type source struct {
	seed    uint64
	fixed   span         // if not 0, how long each load takes; all succeed
	delay   atomic.Int64 // nanoseconds that each load takes longer
	loads   atomic.Int64
	server  *http.Server
	address string
	done    chan struct{}
}

func startSource(seed uint64, fixed span) (*source, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("chaos: the source: %w", err)
	}
	s := &source{seed: seed, fixed: fixed, address: l.Addr().String(), done: make(chan struct{})}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(l) // until it is closed
	}()
	return s, nil
}

func (s *source) close() {
	_ = s.server.Close()
	<-s.done
}

// ServeHTTP responds after the duration of the load, or never.
func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.loads.Add(1)
	id, _ := strconv.ParseUint(r.URL.Query().Get("id"), 10, 64) // made by sourceClient
	takes, status := s.outcome(id)
	select {
	case <-time.After(takes + time.Duration(s.delay.Load())):
		w.WriteHeader(status)
	case <-r.Context().Done():
	}
}

// outcome returns the duration and the status of a load. A load that takes longer than LoadTimeout lasts until the loader's
// context ends.
func (s *source) outcome(id uint64) (time.Duration, int) {
	rng := rand.New(rand.NewPCG(s.seed, id))
	if s.fixed.most > 0 {
		return s.fixed.least + time.Duration(rng.Int64N(int64(s.fixed.most-s.fixed.least)+1)), http.StatusOK
	}
	takes := time.Duration(rng.ExpFloat64() * float64(8*time.Millisecond))
	switch p := rng.Float64(); {
	case p < 0.04:
		return takes, http.StatusInternalServerError
	case p < 0.08:
		return takes, http.StatusNotFound
	case p < 0.09:
		return takes + 300*time.Millisecond + time.Duration(rng.Int64N(int64(700*time.Millisecond))), http.StatusOK
	case p < 0.092:
		return 2 * loadTimeout, http.StatusOK
	}
	return takes, http.StatusOK
}

var errSource = errors.New("the source failed")

// sourceClient is the workers' client of the source.
type sourceClient struct {
	address string
	client  *http.Client
}

func newSourceClient(address string) *sourceClient {
	return &sourceClient{address, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

func (c *sourceClient) close() { c.client.CloseIdleConnections() }

// load asks the source for one load.
func (c *sourceClient) load(ctx context.Context, id int64) error {
	u := url.URL{Scheme: "http", Host: c.address, Path: "/", RawQuery: "id=" + strconv.FormatInt(id, 10)}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the source: %w", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("asking the source: %w", err)
	}
	switch response.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return tiered.ErrNotFound
	}
	return errSource
}
