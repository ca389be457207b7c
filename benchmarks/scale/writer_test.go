package scale_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// asker sends commands over a connection of its own, and waits for the answer.
type asker struct {
	conn net.Conn
	in   *bufio.Reader
}

func newAsker(t testing.TB, addr string) *asker {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &asker{conn, bufio.NewReader(conn)}
}

// ask sends commands in one piece, whose answers together have that many lines.
func (a *asker) ask(commands []byte, lines int) error {
	if err := a.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := a.conn.Write(commands); err != nil {
		return err
	}
	for range lines {
		line, err := a.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line[0] == '-' {
			return fmt.Errorf("redis answered %q", bytes.TrimSpace(line))
		}
	}
	return nil
}

// change is what a program sends to change a key.
type change struct {
	commands []byte
	lines    int // of the answer
}

// value is what the SETs store. It has no key in it, for which observers look.
var value = string(bytes.Repeat([]byte("x"), 200))

// changeOf sets a key, and publishes that if the way needs it.
func (w way) changeOf(key, value string) change {
	c := change{command("SET", key, value), 1}
	if w.publishes {
		c.commands = append(c.commands, command("PUBLISH", changesChannel, message(key))...)
		c.lines++
	}
	return c
}

// message is what the caches publish of a key: a version, the sender and the key, each key after its length.
func message(key string) string {
	return "\x01" + "a foreign sender" + string(rune(len(key))) + key
}

// writers change keys at a rate, one after the other and then again from the start.
type writers struct {
	changes []change
	rate    int
	each    []*asker
	next    int // the first that wasn't changed by the last run
}

// newWriters has so many connections that none has to send more than 500 a second, and at most 16.
func newWriters(t testing.TB, addr string, changes []change, rate int) *writers {
	t.Helper()
	w := &writers{changes: changes, rate: rate}
	for range min(max(1, rate/500), 16) {
		w.each = append(w.each, newAsker(t, addr))
	}
	return w
}

// run changes n keys, or until ctx ends if n is 0. It doesn't skip what is due when Redis is slow, but sends it late.
func (w *writers) run(ctx context.Context, n int) error {
	var all errgroup.Group
	begin, first := time.Now(), w.next
	w.next += n
	for k, a := range w.each {
		all.Go(func() error {
			for i := k; (n == 0 || i < n) && ctx.Err() == nil; i += len(w.each) {
				time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(w.rate))))
				c := w.changes[(first+i)%len(w.changes)]
				if err := a.ask(c.commands, c.lines); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}
