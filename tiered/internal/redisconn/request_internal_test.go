package redisconn

import (
	"bytes"
	"slices"
	"testing"
)

// bulkReplies are replies with what parseBulk makes of them. No value: it is no string.
var bulkReplies = []struct {
	reply string
	value []byte
	null  bool
}{
	{"_\r\n", nil, true},
	{"$-1\r\n", nil, true},
	{"$0\r\n\r\n", []byte{}, false},
	{"$5\r\nhello\r\n", []byte("hello"), false},
	{"$4\r\n\r\n\r\n\r\n", []byte("\r\n\r\n"), false},
	{"+OK\r\n", nil, false},
	{":1\r\n", nil, false},
	{"-ERR syntax error\r\n", nil, false},
	{"", nil, false},
	{"$\r\n", nil, false},
	{"$x\r\nhello\r\n", nil, false},
	{"$-5\r\nhello\r\n", nil, false},
	{"$4\r\nhello\r\n", nil, false},
	{"$6\r\nhello\r\n", nil, false},
	{"$5\r\nhello", nil, false},
	{"$99999999999999999999\r\nhello\r\n", nil, false},
	{"_\r\nhello", nil, false},
}

func TestParseBulk(t *testing.T) {
	for _, c := range bulkReplies {
		value, null, ok := parseBulk([]byte(c.reply))
		if !bytes.Equal(value, c.value) || null != c.null || ok != (c.null || c.value != nil) {
			t.Errorf("%q: %q, %v, %v", c.reply, value, null, ok)
		}
		if cap(value) > len(value) {
			t.Errorf("%q: who appends to the value overwrites the reply", c.reply)
		}
	}
}

// What is taken for a value is all of the reply but its length and the ends of its lines.
func FuzzParseBulk(f *testing.F) {
	for _, c := range bulkReplies {
		f.Add([]byte(c.reply))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		value, null, ok := parseBulk(slices.Clone(reply))
		header, rest, _ := bytes.Cut(reply, crlf)
		switch {
		case ok && null && len(rest) > 0, (!ok || null) && value != nil:
			t.Errorf("%q: %q, %v, %v", reply, value, null, ok)
		case ok && !null && (header[0] != '$' || string(rest) != string(value)+"\r\n"):
			t.Errorf("%q has the value %q", reply, value)
		}
	})
}
