// Package payload decodes values without knowing their type.
package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tiercache/tiercache/codec"
)

// JSON returns the value that a codec has encoded as b, as JSON: that of codec "json" as it is, that of "msgpack" converted, text of
// "raw" as a string. Bytes in msgpack are a string if they are text, and else in base64. Values in zstd(...) and s2(...) are
// decompressed. It returns an error for other codecs, and for bytes that have no such form.
func JSON(name string, b []byte) (json.RawMessage, error) {
	for _, c := range []struct {
		name string
		wrap func(codec.Codec, int) codec.Codec
	}{{"zstd(", codec.Zstd}, {"s2(", codec.S2}} {
		inner, ok := strings.CutPrefix(name, c.name)
		if !ok {
			continue
		}
		var plain []byte
		if err := c.wrap(codec.Raw, 0).Unmarshal(b, &plain); err != nil {
			return nil, err
		}
		return JSON(strings.TrimSuffix(inner, ")"), plain)
	}
	switch name {
	case codec.JSON.Name():
		if !json.Valid(b) {
			return nil, fmt.Errorf("it isn't JSON")
		}
		return bytes.Clone(b), nil
	case codec.Msgpack.Name():
		var v any
		if err := codec.Msgpack.Unmarshal(b, &v); err != nil {
			return nil, err
		}
		return encode(readable(v))
	case codec.Raw.Name():
		if !utf8.Valid(b) {
			return nil, fmt.Errorf("it isn't text")
		}
		return encode(string(b))
	}
	return nil, fmt.Errorf("this command doesn't know the codec %q", name)
}

// readable returns the value with strings in place of bytes that are text.
func readable(v any) any {
	switch v := v.(type) {
	case []byte:
		if utf8.Valid(v) {
			return string(v)
		}
	case []any:
		for i := range v {
			v[i] = readable(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = readable(v[k])
		}
	}
	return v
}

// Foreign returns a value that another program wrote, as JSON: it is JSON, or a string of text.
func Foreign(b []byte) (json.RawMessage, error) {
	if json.Valid(b) {
		return bytes.Clone(b), nil
	}
	return JSON(codec.Raw.Name(), b)
}

// encode is json.Marshal, without escapes for HTML.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
