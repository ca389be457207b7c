package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/connect"
)

// limit bounds an examination.
const limit = 5 * time.Second

// Examine takes five seconds at most. What doesn't answer in time is part of the report.
func Examine(ctx context.Context, c Config) Report {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	e := &examination{Config: c, report: Report{Target: c.Target.Name}, modes: make(map[string]outcome)}
	var err error
	if e.client, err = c.Target.Open(ctx); err == nil {
		defer e.client.Close()
		err = e.findServers(ctx)
	}
	if err != nil {
		e.add(unreachable(err))
		return e.report
	}
	e.each(func(s *server) { e.examineServer(ctx, s) })
	if e.holdsValues() {
		e.each(func(s *server) { e.examineClock(ctx, s) }) // nothing else may be under way
		e.each(func(s *server) { e.examineConnections(ctx, s) })
	}
	if e.holdsValues() && !e.failed(connections) { // else it would be luck what works
		var all sync.WaitGroup
		all.Go(func() { e.examineLibrary(ctx) })
		all.Go(func() { e.each(func(s *server) { e.examineTracking(ctx, s) }) })
		all.Go(func() { e.examinePubSub(ctx, e.servers[0]) })
		all.Go(func() { e.each(func(s *server) { e.examineMemory(ctx, s) }) })
		all.Wait()
		e.foundModes()
		e.advise()
	}
	slices.SortStableFunc(e.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Check), slices.Index(order, b.Check)), cmp.Compare(a.Server, b.Server))
	})
	return e.report
}

// findServers finds the servers that values are written to.
func (e *examination) findServers(ctx context.Context) error {
	switch client := e.client.(type) {
	case *redis.Client:
		e.servers = []*server{{Client: client}}
	case *redis.ClusterClient:
		var mu sync.Mutex
		err := client.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			e.servers = append(e.servers, &server{Client: node, name: node.Options().Addr})
			return nil
		})
		if err != nil {
			return err
		}
		slices.SortFunc(e.servers, func(a, b *server) int { return cmp.Compare(a.name, b.name) })
	}
	if len(e.servers) == 0 {
		return errors.New("the Cluster has no master")
	}
	for _, s := range e.servers {
		var err error
		if s.hello, err = connect.SayHello(ctx, s.Client); err != nil {
			return fmt.Errorf("%s: %w", s.Options().Addr, err)
		}
	}
	return nil
}

// unreachable is the finding that nothing can be examined.
func unreachable(err error) Finding {
	f := Finding{Check: connection, Level: Failure, Text: reason(err)}
	switch {
	case redis.HasErrorPrefix(err, "WRONGPASS"):
		f.Fix = "check the user and the password in the URL"
	case redis.HasErrorPrefix(err, "NOAUTH"):
		f.Fix = "name a user and a password: redis://user:password@host:port"
	case strings.Contains(err.Error(), "tls:"), strings.Contains(err.Error(), "x509:"):
		f.Fix = "check the certificates; rediss:// is with TLS, redis:// without"
	case strings.Contains(err.Error(), "connection refused"):
		f.Fix = "check the host and the port, and whether Redis runs there"
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(err.Error(), "timeout"):
		f.Fix = "check the host, the port and firewalls; a server with TLS needs rediss://"
	}
	return f
}
