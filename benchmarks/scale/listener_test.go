package scale_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds each wait for Redis. It is only exceeded when something is broken.
const patience = time.Minute

// listener is the connection of a process that learns of changes. It reads a reported key again, as a process does that needs
// it, and drops everything else.
type listener struct {
	conn     net.Conn
	read     func(key string) []byte        // the commands that read a key; nil: it reads none
	reported func(key string, at time.Time) // nil, or called for each key
	bytes    atomic.Int64                   // in both directions
	messages atomic.Int64                   // invalidations, or published messages
	pongs    chan error                     // a PONG, or why there will be none
}

// connect has Redis execute the handshake, and reads the keys that the process holds.
func (l *listener) connect(t testing.TB, addr string, handshake []byte, holds []string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l.conn, l.pongs = conn, make(chan error, 2) // a PONG that nobody takes, and the end
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		l.pongs <- l.receive()
	}()
	commands := handshake
	for _, key := range holds {
		commands = append(commands, l.read(key)...)
	}
	l.send(t, commands)
}

func (l *listener) send(t testing.TB, commands []byte) {
	t.Helper()
	n, err := l.conn.Write(commands)
	l.bytes.Add(int64(n))
	if err != nil {
		t.Fatal(err)
	}
}

// ping and awaitPong make sure that Redis has executed what was sent before, and that what it had reported by then was received.
func (l *listener) ping(t testing.TB) { l.send(t, command("PING")) }

func (l *listener) awaitPong(t testing.TB) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err := <-l.pongs:
		if err != nil {
			t.Fatal(err)
		}
	case <-late.C:
		t.Fatal("Redis doesn't answer a listener")
	}
}

// receive reads until the connection ends.
func (l *listener) receive() error {
	in := &replies{Reader: bufio.NewReader(&countedReader{l.conn, &l.bytes}), seen: l.seen}
	for {
		pong, err := in.next()
		if err != nil {
			return err
		}
		if pong {
			l.pongs <- nil
		}
		if len(in.again) == 0 || in.Buffered() > 0 {
			continue
		}
		n, err := l.conn.Write(in.again)
		l.bytes.Add(int64(n))
		if err != nil {
			return err
		}
		in.again = in.again[:0]
	}
}

// seen takes a message, or with a key one of the keys of an invalidation. It returns the commands that read the key again.
func (l *listener) seen(key []byte) []byte {
	if key == nil {
		l.messages.Add(1)
		return nil
	}
	if l.reported != nil {
		l.reported(string(key), time.Now())
	}
	if l.read == nil {
		return nil
	}
	return l.read(string(key))
}

type countedReader struct {
	io.Reader
	n *atomic.Int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// replies reads what Redis sends, as far as listeners need it: which keys are reported.
type replies struct {
	*bufio.Reader
	seen  func(key []byte) []byte
	again []byte // commands that are due

	pushed, invalidation bool // the name of a push is next; its keys are
	keys                 int  // that are still to come
}

var errReply = errors.New("redis answered a listener")

// next reads a line, with the bytes that it announces, and reports whether it is a PONG.
func (r *replies) next() (pong bool, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return false, err
	}
	line = bytes.TrimSuffix(line, []byte("\r\n"))
	switch line[0] {
	case '+':
		return string(line) == "+PONG", nil
	case '-':
		return false, fmt.Errorf("%w %q", errReply, line)
	case '>':
		r.pushed = true
	case '_':
		r.invalidation = false
	case '*':
		if r.invalidation {
			r.keys, err = strconv.Atoi(string(line[1:]))
		}
		r.invalidation = false
	case '$':
		var n int
		if n, err = strconv.Atoi(string(line[1:])); err == nil && n >= 0 {
			err = r.bulk(n)
		}
	}
	return false, err
}

func (r *replies) bulk(n int) error {
	b, err := r.Peek(n)
	if err != nil {
		return err
	}
	switch {
	case r.pushed:
		r.pushed = false
		r.invalidation = string(b) == "invalidate"
		if r.invalidation || string(b) == "message" {
			r.seen(nil)
		}
	case r.keys > 0:
		r.keys--
		r.again = append(r.again, r.seen(b)...)
	}
	_, err = r.Discard(n + len("\r\n"))
	return err
}

// command encodes a command.
func command(words ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, word := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(word), word)
	}
	return b
}
