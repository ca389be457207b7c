package codec

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// Msgpack is MessagePack by github.com/vmihailenco/msgpack, with its struct tags (`msgpack:"name,omitempty"`; json tags are
// ignored) and rules. Its name is "msgpack".
//
//   - Struct fields are stored by name, so that fields can be added, removed and reordered; an unknown one is skipped.
//   - Times keep their instant and lose their location: they are decoded in time.Local, the zero time in UTC.
//   - Maps are written in any order: equal values may have different bytes.
//   - In an interface, numbers are decoded as the narrowest type that was written, and maps as map[string]any.
//   - Strings may contain any bytes.
//   - Unexported fields are not stored.
//   - A method with a pointer receiver that encodes the elements of a map is an error: they are not addressable.
//   - Values must not be cyclic: encoding one overflows the stack.
//
// The input is checked before it is decoded: it must be one value, with nothing after it, at most 10,000 deep, and with no length
// beyond its end. nil is an error unless it decodes to a value that is encoded as nil, such as a nil pointer. A panic of a value's
// method is a [*PanicError]. A type that it can't encode is a [*TypeError].
var Msgpack Codec = msgpackCodec{}

const msgpackNil = "\xc0"

type msgpackCodec struct{}

func (msgpackCodec) Name() string { return "msgpack" }

// msgpackEncoder is an encoder with its writer.
type msgpackEncoder struct {
	enc *msgpack.Encoder
	out appended
}

// msgpackDecoder is a decoder with its reader.
type msgpackDecoder struct {
	dec *msgpack.Decoder
	in  msgpackReader
}

// The library's own pools are shared with the rest of the program, and a decoder that failed midway is returned to them
// while it is still recording. These pools only get encoders and decoders that succeeded.
var (
	msgpackEncoders = sync.Pool{New: func() any { return &msgpackEncoder{enc: msgpack.NewEncoder(nil)} }}
	msgpackDecoders = sync.Pool{New: func() any { return &msgpackDecoder{dec: msgpack.NewDecoder(nil)} }}
)

func (c msgpackCodec) Marshal(v any) ([]byte, error) { return marshalAppended(c, v) }

func (msgpackCodec) Append(dst []byte, v any) (b []byte, err error) {
	defer catch("encode msgpack", &err)
	e := msgpackEncoders.Get().(*msgpackEncoder)
	e.out.b = dst
	e.enc.Reset(&e.out)
	if err := e.enc.Encode(v); err != nil {
		return nil, msgpackError(v, err)
	}
	dst = e.out.release()
	msgpackEncoders.Put(e)
	return dst, nil
}

func (c msgpackCodec) Unmarshal(data []byte, v any) (err error) {
	// The library itself panics on some values that don't fit v: a slice as a key of a map[any]any, a string for a fmt.Stringer.
	defer catch("decode msgpack", &err)
	s := msgpackScanner{data: data}
	if err := s.scan(); err != nil {
		return fmt.Errorf("codec: decode msgpack: %w", err)
	}
	d := msgpackDecoders.Get().(*msgpackDecoder)
	d.in = msgpackReader{data: data, opaque: s.opaque}
	if err = d.decode(v); err == nil && string(data) == msgpackNil {
		err = checkNull(c, msgpackNil, v)
	}
	if err != nil {
		return fmt.Errorf("codec: decode msgpack: %w", err)
	}
	if len(data) <= maxPooled {
		d.in = msgpackReader{}
		msgpackDecoders.Put(d)
	}
	return nil
}

func (d *msgpackDecoder) decode(v any) error {
	if v == nil {
		return errors.New("the target is nil")
	}
	d.dec.Reset(&d.in)
	return d.dec.Decode(v)
}

// msgpackError returns the error of encoding v. The library has no error type for an unsupported type.
func msgpackError(v any, err error) error {
	if strings.HasPrefix(err.Error(), "msgpack: Encode(unsupported ") {
		return &TypeError{Codec: "msgpack", Type: reflect.TypeOf(v), Err: err}
	}
	return fmt.Errorf("codec: encode msgpack: %w", err)
}
