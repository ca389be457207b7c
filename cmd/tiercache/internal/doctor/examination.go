package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/connect"
)

// The parts of an examination.
const (
	connection  = "connection"
	serverKind  = "server"
	protocol    = "RESP3"
	roundTrip   = "round trip"
	clock       = "clock"
	commands    = "commands"
	tracking    = "Tracking"
	byKey       = "TrackingKeys"
	pubSub      = "PubSub"
	memory      = "memory"
	connections = "in between"
)

// order is that of a report.
var order = []string{connection, serverKind, protocol, commands, tracking, byKey, pubSub, memory, roundTrip, clock, connections}

// Config says what to examine.
type Config struct {
	Target  connect.Target
	Prefix  string        // RedisOptions.Prefix
	Timeout time.Duration // RedisOptions.Timeout, more than 0
}

// examination is one that is under way.
type examination struct {
	Config
	client  redis.UniversalClient
	servers []*server

	mu     sync.Mutex
	report Report
	modes  map[string]outcome // by the names of modes
}

// server is a server that values are written to: the only one, or a master of a Cluster.
type server struct {
	*redis.Client
	name  string // "" if it is the only one
	hello connect.Hello
	trip  time.Duration // the median round trip; 0: unknown
	mute  bool          // it doesn't report changes, or doesn't within a second
}

// each calls f for all servers at the same time.
func (e *examination) each(f func(*server)) {
	var all sync.WaitGroup
	for _, s := range e.servers {
		all.Go(func() { f(s) })
	}
	all.Wait()
}

func (e *examination) add(f Finding) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.report.Findings = append(e.report.Findings, f)
}

// found adds a finding about a server.
func (e *examination) found(s *server, check string, level Level, text, fix string) {
	e.add(Finding{Check: check, Server: s.name, Level: level, Text: text, Fix: fix})
}

// measured adds a finding about a server whose text has a duration.
func (e *examination) measured(s *server, check string, level Level, text, fix string) {
	e.add(Finding{Check: check, Server: s.name, Level: level, Text: text, Fix: fix, measured: true})
}

// holdsValues reports whether the servers are such that hold values: a Sentinel doesn't.
func (e *examination) holdsValues() bool {
	return !slices.ContainsFunc(e.servers, func(s *server) bool { return s.hello.Mode == "sentinel" })
}

// failed reports whether a check has failed.
func (e *examination) failed(check string) bool {
	return slices.ContainsFunc(e.report.Findings, func(f Finding) bool { return f.Level == Failure && f.Check == check })
}

// mute reports whether a server has accepted CLIENT TRACKING, and then didn't report a change.
func (e *examination) mute() bool {
	return slices.ContainsFunc(e.servers, func(s *server) bool { return s.mute })
}

// control begins names that no cache has.
func (e *examination) control() string { return strings.TrimSuffix(e.Prefix, ":") + "!" }

// fastTrips is how many round trips a Timeout is at least.
const fastTrips = 4

// fitting returns a Timeout for servers with these round trips: the shorter one, if that suffices.
func (e *examination) fitting() time.Duration {
	fits := e.Timeout
	for _, s := range e.servers {
		if s.trip*fastTrips > fits {
			fits = (2 * fastTrips * s.trip).Round(50 * time.Millisecond)
		}
	}
	return fits
}

// reason is an error's text, without the arguments that Redis repeats.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	text, _, _ := strings.Cut(err.Error(), ", with args beginning with: ")
	return text
}
