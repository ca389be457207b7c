package wire

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestBulletins(t *testing.T) {
	sender := strings.Repeat("a", SenderLen)
	for _, keys := range [][]string{
		{"k"},
		{"a", "b", "a", strings.Repeat("long", 1<<16), "c"},
		slices.Repeat([]string{strings.Repeat("k", 1000)}, 500),
	} {
		var got []string
		for _, m := range Messages(sender, keys) {
			from, some, err := ParseMessage(m)
			if err != nil || from != sender {
				t.Fatalf("from %q, %v", from, err)
			}
			if len(m) > maxMessage && len(some) > 1 {
				t.Errorf("%d bytes for %d keys", len(m), len(some))
			}
			got = append(got, some...)
		}
		if !slices.Equal(got, keys) {
			t.Errorf("%d keys became %d", len(keys), len(got))
		}
	}
	if m := Messages(sender, nil); m != nil {
		t.Errorf("%q says nothing", m)
	}
}

func FuzzMessage(f *testing.F) {
	sender := strings.Repeat("a", SenderLen)
	f.Add([]byte(Messages(sender, []string{"tc:c:k", "tc:c:l"})[0]))
	f.Add([]byte("\x01" + sender + "\x00"))
	f.Add([]byte("\x01" + sender + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"))
	f.Add([]byte("\x02" + sender))
	f.Fuzz(func(t *testing.T, b []byte) {
		from, keys, err := ParseMessage(string(b))
		if err != nil {
			return
		}
		var all []byte
		for _, key := range keys {
			all = append(all, key...)
		}
		if len(from) != SenderLen || len(all)+len(keys) > len(b)-1-SenderLen || !bytes.HasPrefix(b[1:], []byte(from)) {
			t.Errorf("%d keys with %d bytes out of %d", len(keys), len(all), len(b))
		}
		var again []string
		for _, m := range Messages(from, keys) {
			_, some, err := ParseMessage(m)
			if err != nil {
				t.Fatal(err)
			}
			again = append(again, some...)
		}
		if !slices.Equal(again, keys) {
			t.Errorf("%q became %q", keys, again)
		}
	})
}
