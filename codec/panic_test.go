package codec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/codec"
)

// panicking panics whenever it is encoded, and when it is decoded from what is shorter than it expects.
type panicking struct{ Text string }

var errHostile = errors.New("hostile")

func (h panicking) MarshalJSON() ([]byte, error)         { panic(errHostile) }
func (h *panicking) UnmarshalJSON(b []byte) error        { h.Text = string(b[1:][5:]); return nil }
func (h panicking) EncodeMsgpack(*msgpack.Encoder) error { panic(errHostile) }
func (h *panicking) DecodeMsgpack(dec *msgpack.Decoder) error {
	b, err := dec.DecodeRaw()
	if err == nil {
		h.Text = string(b[1:][5:])
	}
	return err
}

// careless panics when it is decoded from what is shorter than it expects.
type careless struct{ first byte }

func (c careless) MarshalJSON() ([]byte, error)             { return []byte{'"', 'c', '"'}, nil }
func (c *careless) UnmarshalJSON(b []byte) error            { c.first = b[1 : len(b)-1][0] &^ 0xff; return nil }
func (c careless) EncodeMsgpack(enc *msgpack.Encoder) error { return enc.EncodeString("ccc") }
func (c *careless) DecodeMsgpack(dec *msgpack.Decoder) error {
	b, err := dec.DecodeRaw()
	if err == nil {
		c.first = b[1 : len(b)-1][0] &^ 0xff
	}
	return err
}

func TestPanics(t *testing.T) {
	for _, c := range withCompressing(structured, 0) {
		_, err := c.Marshal(&panicking{})
		_, err2 := codec.Append(c, nil, panicking{})
		data, err3 := c.Marshal(1)
		if err3 != nil {
			t.Fatal(err3)
		}
		err3 = c.Unmarshal(data, new(panicking))
		for _, err := range []error{err, err2, err3} {
			var p *codec.PanicError
			if !errors.As(err, &p) || !strings.Contains(string(p.Stack), "panicking") || !strings.HasPrefix(err.Error(), "codec: ") {
				t.Errorf("%s: %v", c.Name(), err)
			}
		}
		if !errors.Is(err, errHostile) {
			t.Errorf("%s: %v doesn't wrap what it panicked with", c.Name(), err)
		}
		// What panicked midway spoils nothing.
		data, err = c.Marshal(users(2))
		if err != nil {
			t.Fatal(err)
		}
		var us []user
		if err := c.Unmarshal(data, &us); err != nil || len(us) != 2 || us[1].ID != 1001 {
			t.Errorf("%s: %+v, %v", c.Name(), us, err)
		}
	}
}
