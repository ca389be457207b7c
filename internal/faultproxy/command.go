package faultproxy

import (
	"bytes"
	"errors"
	"strconv"
)

const (
	maxWords = 1 << 20
	maxWord  = 512 << 20 // bytes; both are limits of Redis
)

var errNoCommand = errors.New("not a command in RESP")

// commands splits what a client sends on a connection into commands, which are arrays of bulk strings. A chunk may hold any number
// of them, and end within one.
type commands struct {
	rest   []byte // the beginning of an incomplete command
	passed int    // how much of rest was already passed on
	opaque bool   // the connection doesn't speak RESP
}

// take adds the next chunk and returns the bytes to pass on. edit returns what is sent instead of a command, or nil
// for the command itself. If edit is nil, incomplete commands are passed on at once, and can't be edited later.
func (c *commands) take(chunk []byte, edit func(words [][]byte) []byte) (out []byte) {
	if c.opaque {
		return chunk
	}
	c.rest = append(c.rest, chunk...)
	for len(c.rest) > 0 {
		words, n, err := parseCommand(c.rest)
		if err != nil {
			c.opaque = true
			return append(out, c.flush()...)
		}
		if n == 0 {
			break
		}
		whole := c.rest[c.passed:n]
		if edit != nil && c.passed == 0 {
			if other := edit(words); other != nil {
				whole = other
			}
		}
		out = append(out, whole...)
		c.rest, c.passed = c.rest[n:], 0
	}
	if edit == nil {
		out = append(out, c.rest[c.passed:]...)
		c.passed = len(c.rest)
	}
	return out
}

// flush returns the bytes of an incomplete command that weren't passed on.
func (c *commands) flush() []byte {
	held := c.rest[c.passed:]
	c.rest, c.passed = nil, 0
	return held
}

// parseCommand returns the words of the command that b begins with, and its length, which is 0 if it isn't complete.
func parseCommand(b []byte) (words [][]byte, n int, err error) {
	count, n, err := parseHead(b, '*', maxWords)
	if n == 0 || err != nil {
		return nil, 0, err
	}
	for range count {
		size, head, err := parseHead(b[n:], '$', maxWord)
		if head == 0 || err != nil {
			return nil, 0, err
		}
		n += head
		end := n + size
		if len(b) < end+2 {
			return nil, 0, nil
		}
		if b[end] != '\r' || b[end+1] != '\n' {
			return nil, 0, errNoCommand
		}
		words = append(words, b[n:end])
		n = end + 2
	}
	return words, n, nil
}

// parseHead parses a line such as "*3\r\n". It returns its number and length; the length is 0 if it isn't complete.
func parseHead(b []byte, kind byte, most int) (number, n int, err error) {
	if len(b) == 0 {
		return 0, 0, nil
	}
	if b[0] != kind {
		return 0, 0, errNoCommand
	}
	const longest = 16
	end := bytes.IndexByte(b[:min(len(b), longest)], '\n')
	if end < 0 {
		if len(b) >= longest {
			return 0, 0, errNoCommand
		}
		return 0, 0, nil
	}
	line, ok := bytes.CutSuffix(b[1:end], []byte{'\r'})
	if !ok {
		return 0, 0, errNoCommand
	}
	number, err = strconv.Atoi(string(line))
	if err != nil || number < 0 || number > most {
		return 0, 0, errNoCommand
	}
	return number, end + 1, nil
}

// encodeCommand is the inverse of parseCommand.
func encodeCommand(words ...[]byte) []byte {
	b := strconv.AppendInt([]byte{'*'}, int64(len(words)), 10)
	b = append(b, "\r\n"...)
	for _, w := range words {
		b = strconv.AppendInt(append(b, '$'), int64(len(w)), 10)
		b = append(b, "\r\n"...)
		b = append(b, w...)
		b = append(b, "\r\n"...)
	}
	return b
}
