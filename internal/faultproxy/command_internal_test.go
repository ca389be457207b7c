package faultproxy

import (
	"bytes"
	"testing"
)

func TestParseCommand(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		words, n int
		fails    bool
	}{
		"":                              {},
		"*":                             {},
		"*1\r\n$4\r\nPING\r":            {},
		"*1\r\n$4\r\nPING\r\n":          {words: 1, n: 14},
		"*1\r\n$4\r\nPING\r\n*1\r\n":    {words: 1, n: 14},
		"*0\r\n":                        {n: 4},
		"*2\r\n$0\r\n\r\n$1\r\n\n\r\n":  {words: 2, n: 17},
		"PING\r\n":                      {fails: true},
		"*-1\r\n":                       {fails: true},
		"*1\r\n+OK\r\n":                 {fails: true},
		"*1\r\n$2\r\nPING\r\n":          {fails: true},
		"*1\n":                          {fails: true},
		"*99999999999999999999999999\r": {fails: true},
		"*1\r\n$999999999999\r\nx\r\n":  {fails: true},
		"*1\r\n$\r\n":                   {fails: true},
	} {
		words, n, err := parseCommand([]byte(in))
		if len(words) != want.words || n != want.n || (err != nil) != want.fails {
			t.Errorf("%q: %q, %d, %v", in, words, n, err)
		}
	}
}

// Without an edit any input passes unchanged, in pieces of any size, and edit is called with whole commands only.
func FuzzCommands(f *testing.F) {
	f.Add([]byte("*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), 5)
	f.Add([]byte("PING\r\n"), 1)
	f.Add([]byte("*1\r\n$4\r\nPINGxx*1\r\n"), 3)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		if piece < 1 {
			piece = 1
		}
		same := func(words [][]byte) []byte {
			if other, n, err := parseCommand(encodeCommand(words...)); err != nil || n == 0 || !equal(other, words) {
				t.Errorf("%q became %q", words, other)
			}
			return nil
		}
		for _, edit := range []func([][]byte) []byte{nil, same} {
			var c commands
			var out []byte
			for rest := in; len(rest) > 0; {
				n := min(piece, len(rest))
				out = append(out, c.take(rest[:n], edit)...)
				rest = rest[n:]
				if edit == nil && len(out) != len(in)-len(rest) {
					t.Fatal("bytes are held back")
				}
			}
			if out = append(out, c.flush()...); !bytes.Equal(in, out) {
				t.Errorf("%q became %q", in, out)
			}
		}
	})
}

func equal(a, b [][]byte) bool {
	return bytes.Equal(bytes.Join(a, []byte{0}), bytes.Join(b, []byte{0})) && len(a) == len(b)
}
