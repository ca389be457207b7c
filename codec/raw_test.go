package codec_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/quick"

	"github.com/tiercache/tiercache/codec"
)

type letter byte

func TestRawRoundTrip(t *testing.T) {
	err := quick.Check(func(b []byte, s string) bool {
		var gotB []byte
		var gotBlob blob
		var gotS string
		var gotText text
		return roundTrip(t, b, &gotB) && string(gotB) == string(b) && gotB != nil &&
			roundTrip(t, blob(b), &gotBlob) && string(gotBlob) == string(b) && gotBlob != nil &&
			roundTrip(t, s, &gotS) && gotS == s &&
			roundTrip(t, text(s), &gotText) && string(gotText) == s
	}, nil)
	if err != nil {
		t.Error(err)
	}
}

func roundTrip(t *testing.T, v, target any) bool {
	t.Helper()
	data, err := codec.Raw.Marshal(v)
	if err != nil {
		t.Error(err)
		return false
	}
	if err := codec.Raw.Unmarshal(data, target); err != nil {
		t.Error(err)
		return false
	}
	return true
}

func TestRawEmpty(t *testing.T) {
	for _, v := range []any{[]byte(nil), []byte{}, blob(nil), "", text("")} {
		data, err := codec.Raw.Marshal(v)
		if err != nil || data == nil || len(data) != 0 {
			t.Errorf("Marshal(%#v) = %#v, %v", v, data, err)
		}
	}
	for _, data := range [][]byte{nil, {}} {
		b, s := []byte("old"), "old"
		if err := codec.Raw.Unmarshal(data, &b); err != nil || b == nil || len(b) != 0 {
			t.Errorf("got %#v, %v", b, err)
		}
		if err := codec.Raw.Unmarshal(data, &s); err != nil || s != "" {
			t.Errorf("got %q, %v", s, err)
		}
	}
}

// A target that has a value already may share it with someone.
func TestRawReplaces(t *testing.T) {
	shared := []byte("shared")
	target := shared
	if err := codec.Raw.Unmarshal([]byte("xyz"), &target); err != nil || string(target) != "xyz" || string(shared) != "shared" {
		t.Errorf("got %q, %q, %v", target, shared, err)
	}
}

func TestRawTypeError(t *testing.T) {
	s := "abc"
	pointer := &s
	for _, v := range []any{nil, 1, &pointer, (*string)(nil), (*blob)(nil), new(int), []string{"a"}, [3]byte{}, []letter("abc"), user{}, []rune("a")} {
		_, err := codec.Raw.Marshal(v)
		var typeErr *codec.TypeError
		if !errors.As(err, &typeErr) || typeErr.Codec != "raw" || typeErr.Type != reflect.TypeOf(v) {
			t.Errorf("Marshal(%T): %v", v, err)
		}
	}
	for _, v := range []any{nil, 1, s, []byte{}, new(int), new([]string), new([3]byte), new([]letter), new(any), new(*string), (*string)(nil), (*blob)(nil)} {
		err := codec.Raw.Unmarshal([]byte("abc"), v)
		var typeErr *codec.TypeError
		if !errors.As(err, &typeErr) || typeErr.Type != reflect.TypeOf(v) {
			t.Errorf("Unmarshal(%T): %v", v, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "codec: raw ") {
			t.Errorf("error %q", err)
		}
	}
}
