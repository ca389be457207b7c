package tiered_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// errorProxy is a proxy for a Redis that may reply itself: with the same error to every command but HELLO.
type errorProxy struct {
	listener net.Listener
	upstream string
	reply    atomic.Pointer[string] // nil: Redis replies
	refusal  atomic.Pointer[refusal]
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	over  bool
}

func startErrorProxy(t *testing.T, upstream string) *errorProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &errorProxy{listener: l, upstream: upstream}
	r.wg.Go(r.serve)
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		r.over = true
		for _, c := range r.conns {
			_ = c.Close()
		}
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

func (r *errorProxy) addr() string { return r.listener.Addr().String() }

// replies has it reply with the error, or with "" Redis.
func (r *errorProxy) replies(err string) {
	if err == "" {
		r.reply.Store(nil)
	} else {
		r.reply.Store(&err)
	}
}

// refusal is an error for some commands.
type refusal struct {
	err string
	is  func(words []string) bool
}

// refuses has commands fail with the error, in the order in which they came; nil: none.
func (r *errorProxy) refuses(err string, is func(words []string) bool) {
	if is == nil {
		r.refusal.Store(nil)
	} else {
		r.refusal.Store(&refusal{err, is})
	}
}

// refused is what Redis is sent in the place of a command that is to fail.
func refused(err string) []byte {
	const script = "return redis.error_reply(ARGV[1])"
	return fmt.Appendf(nil, "*4\r\n$4\r\nEVAL\r\n$%d\r\n%s\r\n$1\r\n0\r\n$%d\r\n%s\r\n", len(script), script, len(err), err)
}

func (r *errorProxy) serve() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.upstream)
		if err != nil {
			_ = conn.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, conn, server)
		if r.over {
			_, _ = conn.Close(), server.Close()
		}
		r.mu.Unlock()
		hangUp := func() { _, _ = conn.Close(), server.Close() }
		r.wg.Go(func() { defer hangUp(); _, _ = io.Copy(conn, server) })
		r.wg.Go(func() { defer hangUp(); r.pass(bufio.NewReader(conn), conn, server) })
	}
}

func (r *errorProxy) pass(from *bufio.Reader, client, server net.Conn) {
	for {
		command, words, err := readCommand(from)
		if err != nil {
			return
		}
		if some := r.refusal.Load(); some != nil && some.is(words) {
			command = refused(some.err)
		}
		if own := r.reply.Load(); own != nil && words[0] != "HELLO" {
			_, err = io.WriteString(client, "-"+*own+"\r\n")
		} else {
			_, err = server.Write(command)
		}
		if err != nil {
			return
		}
	}
}

// readCommand returns an array of bulk strings as it came, and them, with the first in upper case.
func readCommand(from *bufio.Reader) (raw []byte, words []string, err error) {
	var all bytes.Buffer
	number := func(kind byte) (int, error) {
		line, err := from.ReadString('\n')
		if err != nil {
			return 0, err
		}
		all.WriteString(line)
		if line[0] != kind {
			return 0, errors.New("not what a client sends: " + line)
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number('*')
	for i := 0; i < n && err == nil; i++ {
		var size int
		if size, err = number('$'); err != nil {
			break
		}
		word := make([]byte, size+2)
		_, err = io.ReadFull(from, word)
		all.Write(word)
		words = append(words, string(word[:size]))
	}
	if len(words) > 0 {
		words[0] = strings.ToUpper(words[0])
	}
	return all.Bytes(), words, err
}
