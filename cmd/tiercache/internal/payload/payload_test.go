package payload_test

import (
	"testing"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/payload"
	"github.com/tiercache/tiercache/codec"
)

func TestJSON(t *testing.T) {
	type user struct {
		ID   int    `json:"id" msgpack:"id"`
		Name string `json:"name" msgpack:"name"`
	}
	const want = `{"id":42,"name":"<Ada>"}`
	for _, c := range []codec.Codec{
		codec.Msgpack, codec.Zstd(codec.Msgpack, 1), codec.S2(codec.Msgpack, 1), codec.S2(codec.Zstd(codec.Msgpack, 1), 1),
	} {
		b, err := c.Marshal(&user{42, "<Ada>"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := payload.JSON(c.Name(), b); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", c.Name(), got, err)
		}
	}
	b, err := codec.Msgpack.Marshal(&map[string]any{"a": []any{[]byte("text")}, "b": []byte{0xff}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := payload.JSON("msgpack", b); err != nil || string(got) != `{"a":["text"],"b":"/w=="}` {
		t.Errorf("%s, %v", got, err)
	}
	for _, c := range []struct{ codec, bytes, want string }{
		{"json", want, want},
		{"json", `{"id":`, ""},
		{"raw", "plain <text>", `"plain <text>"`},
		{"raw", "\xff", ""},
		{"msgpack", "\xc1", ""},
		{"zstd(json)", "\x02", ""},
		{"gob", "x", ""},
		{"s2(", "\x00x", ""},
	} {
		if got, err := payload.JSON(c.codec, []byte(c.bytes)); string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s %q: %s, %v", c.codec, c.bytes, got, err)
		}
	}
	for in, want := range map[string]string{`[1]`: `[1]`, "text": `"text"`, "\xff": ""} {
		if got, err := payload.Foreign([]byte(in)); string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %s, %v", in, got, err)
		}
	}
}
