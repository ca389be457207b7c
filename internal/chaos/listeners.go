//go:build !windows

package chaos

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// Listeners stand for other processes: bare connections to the servers that hold data, to which Redis reports the changes that it reports
// to the workers. They make these reports as slow as they are in a large deployment.

// listen runs so many listeners until ctx ends.
func (r *run) listen(ctx context.Context, count int) {
	ended := make(chan struct{})
	for i := range count {
		go func() {
			defer func() { ended <- struct{}{} }()
			addr := string(r.deployment.nodes[i%len(r.deployment.nodes)])
			for ctx.Err() == nil {
				l := listener{addr: addr, mode: r.options.Invalidation, keys: r.options.Keys}
				_ = l.run(ctx) // the server may be down, by a fault
				pause(ctx, 100*time.Millisecond)
			}
		}()
	}
	for range count {
		<-ended
	}
}

// listener is one connection.
type listener struct {
	addr string
	mode tiered.Invalidation
	keys int
}

// run listens until the connection or ctx ends.
func (l *listener) run(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var begin strings.Builder
	begin.WriteString("HELLO 3\r\n")
	if l.mode == tiered.TrackingKeys {
		begin.WriteString("CLIENT TRACKING ON\r\n")
		for i := range l.keys {
			begin.WriteString(reading(redisKey(keyName(i))))
		}
	} else {
		fmt.Fprintf(&begin, "CLIENT TRACKING ON BCAST PREFIX %[1]s: PREFIX %[1]s!\r\n", redisPrefix+cacheName)
	}
	if _, err := conn.Write([]byte(begin.String())); err != nil {
		return err
	}
	for lines := bufio.NewScanner(conn); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		// With TrackingKeys a key is reported once. A process that needs it reads it again.
		if l.mode == tiered.TrackingKeys && strings.HasPrefix(lines.Text(), redisPrefix+cacheName+":") {
			if _, err := conn.Write([]byte(reading(lines.Text()))); err != nil {
				return err
			}
		}
	}
}

// reading is a command that reads a little of a key.
func reading(key string) string { return "GETRANGE " + key + " 0 0\r\n" }
